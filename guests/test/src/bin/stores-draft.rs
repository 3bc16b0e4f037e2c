//! Uses the key-value store with no name by the first draft of the interface, as components for wasmtime and wasmCloud do:
//! `/set?key=&value=`, `/get?key=`, `/list?cursor=`, `/increment?key=&delta=`, and `/many?key=&key=` for all operations on
//! several keys.

use serde_json::{Value as Json, json};
use test_guests::{
    guest,
    keyvalue_draft::wasi::keyvalue0_2_0_draft::{
        atomics, batch,
        store::{self, Error},
    },
    p2,
    target::Target,
};

guest!(|_request, target, out| {
    let outcome = act(target).unwrap_or_else(|error| json!({ "error": format!("{error:?}") }));
    p2::answer_json(out, &outcome);
});

fn act(target: &Target) -> Result<Json, Error> {
    let bucket = store::open("")?;
    let key = target.get("key").unwrap_or_default();
    match target.path.as_str() {
        "/set" => {
            bucket.set(key, target.get("value").unwrap_or_default().as_bytes()).map(|()| json!("set"))
        }
        "/get" => bucket.get(key).map(|value| json!(value.map(|value| String::from_utf8_lossy(&value).into_owned()))),
        "/list" => {
            let page = bucket.list_keys(target.number("cursor"))?;
            Ok(json!({ "keys": page.keys, "cursor": page.cursor }))
        }
        "/increment" => {
            atomics::increment(&bucket, key, target.number("delta").unwrap_or(1)).map(|sum| json!(sum))
        }
        _ => {
            let keys: Vec<String> = target.all("key").map(str::to_owned).collect();
            let pairs: Vec<_> = keys.iter().map(|key| (key.clone(), key.as_bytes().to_vec())).collect();
            batch::set_many(&bucket, &pairs)?;
            let found = batch::get_many(&bucket, &keys)?.iter().flatten().count();
            let there = bucket.exists(key)?;
            batch::delete_many(&bucket, &keys)?;
            let left = batch::get_many(&bucket, &keys)?.iter().flatten().count();
            Ok(json!({ "found": found, "there": there, "left": left }))
        }
    }
}
