//! Key-value stores as requests ask for them, alike in both worlds: `/OPERATION?store=&key=&value=`. The answer is JSON: what
//! the operation gave, or `{"error": ...}`. A value is text, or `bytes=N` letters of it.

use serde_json::{Value as Json, json};

use crate::{
    keyvalue::wasi::keyvalue0_2_0_draft2::{
        atomics::{self, Cas, CasError},
        batch,
        store::{self, Bucket, Error},
    },
    target::Target,
};

/// Does what a request asks for.
pub fn act(target: &Target) -> Json {
    let outcome = store::open(target.get("store").unwrap_or("default")).and_then(|bucket| on(&bucket, target));
    outcome.unwrap_or_else(|error| json!({ "error": told(&error) }))
}

fn on(bucket: &Bucket, target: &Target) -> Result<Json, Error> {
    let key = target.get("key").unwrap_or_default();
    let keys = || target.all("key").map(str::to_owned).collect::<Vec<_>>();
    match target.path.as_str() {
        "/open" => Ok(json!("open")),
        "/get" => bucket.get(key).map(|value| shown(value.as_deref())),
        "/length" => bucket.get(key).map(|value| json!(value.map(|value| value.len()))),
        "/set" => bucket.set(key, &value(target)).map(|()| json!("set")),
        "/delete" => bucket.delete(key).map(|()| json!("deleted")),
        "/exists" => bucket.exists(key).map(|exists| json!(exists)),
        "/list" => {
            let page = bucket.list_keys(target.get("cursor"))?;
            Ok(json!({ "keys": page.keys, "cursor": page.cursor }))
        }
        "/increment" => {
            let delta = target.get("delta").map_or(1, |delta| delta.parse().expect("a number"));
            atomics::increment(bucket, key, delta).map(|sum| json!(sum))
        }
        // As many times as told, each its own call.
        "/count" => {
            let times = target.number("times").unwrap_or(1);
            (0..times).try_fold(0, |_, _| atomics::increment(bucket, key, 1)).map(|sum| json!(sum))
        }
        "/swap" => swap(bucket, key, target),
        // Adds one by comparing and swapping, again and again until it is done.
        "/swap-count" => swap_count(bucket, key).map(|tries| json!(tries)),
        // Keeps values to compare them until it may not.
        "/hoard" => {
            let mut kept = Vec::new();
            loop {
                match Cas::new(bucket, key) {
                    Ok(cas) => kept.push(cas),
                    Err(error) => return Ok(json!({ "kept": kept.len(), "error": told(&error) })),
                }
            }
        }
        "/get-many" => {
            let values = batch::get_many(bucket, &keys())?;
            Ok(values.iter().map(|pair| json!(pair.as_ref().map(|(key, value)| (key, shown(Some(value)))))).collect())
        }
        "/set-many" => {
            let pairs: Vec<_> = keys().into_iter().map(|key| (key, value(target))).collect();
            batch::set_many(bucket, &pairs).map(|()| json!("set"))
        }
        "/delete-many" => batch::delete_many(bucket, &keys()).map(|()| json!("deleted")),
        // `count` keys that begin with `key`.
        "/fill" => {
            let count = target.number("count").unwrap_or(1);
            (0..count).try_for_each(|n| bucket.set(&format!("{key}{n}"), &value(target)))?;
            Ok(json!("filled"))
        }
        other => Ok(json!({ "error": format!("there is no operation {other}") })),
    }
}

/// Looks at a value, lets `meanwhile` be set if there is one, and swaps.
fn swap(bucket: &Bucket, key: &str, target: &Target) -> Result<Json, Error> {
    let cas = Cas::new(bucket, key)?;
    let seen = shown(cas.current()?.as_deref());
    if let Some(meanwhile) = target.get("meanwhile") {
        bucket.set(key, meanwhile.as_bytes())?;
    }
    match atomics::swap(cas, &value(target)) {
        Ok(()) => Ok(json!({ "seen": seen, "swapped": true })),
        Err(CasError::StoreError(error)) => Err(error),
        Err(CasError::CasFailed(cas)) => {
            let now = shown(cas.current()?.as_deref());
            // The new handle is good for another try.
            let again = atomics::swap(cas, &value(target)).is_ok();
            Ok(json!({ "seen": seen, "swapped": false, "now": now, "again": again }))
        }
    }
}

fn swap_count(bucket: &Bucket, key: &str) -> Result<u32, Error> {
    let mut cas = Cas::new(bucket, key)?;
    for tries in 1.. {
        let now = cas.current()?.map_or(0, |value| {
            String::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok()).expect("a number")
        });
        match atomics::swap(cas, (now + 1).to_string().as_bytes()) {
            Ok(()) => return Ok(tries),
            Err(CasError::StoreError(error)) => return Err(error),
            Err(CasError::CasFailed(newer)) => cas = newer,
        }
    }
    unreachable!("it is tried without end")
}

fn value(target: &Target) -> Vec<u8> {
    match target.number("bytes") {
        Some(bytes) => vec![b'x'; usize::try_from(bytes).expect("a length")],
        None => target.get("value").unwrap_or_default().as_bytes().to_vec(),
    }
}

fn shown(value: Option<&[u8]>) -> Json {
    json!(value.map(String::from_utf8_lossy))
}

fn told(error: &Error) -> String {
    match error {
        Error::NoSuchStore => "no-such-store".to_owned(),
        Error::AccessDenied => "access-denied".to_owned(),
        Error::Other(text) => text.clone(),
    }
}
