//! `wasi:keyvalue` for guests, in both of its drafts: the stores of the app's grants by their names, each operation counted
//! against the app's limits, and told to the operator where it is refused.
//!
//! What a store does is `crate::keyvalue`'s. Functions of the interface are not `async`: an instance of WASI 0.3 waits for
//! an operation as a whole, while other instances and the thread go on.

mod alike;
mod draft;
mod draft2;

use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable, ResourceTableError, ResourceType};

use super::guest::{Guest, Template};
use crate::{
    keyvalue::{Error, Store},
    plan::KeyvalueLimits,
    taken::Slot,
};

/// The store that is meant where a guest names none, as components for `wasmtime serve` do.
const DEFAULT: &str = "default";
/// Values that an app may keep to compare them, in values of the largest size.
const KEPT: usize = 16;
/// Resources of the interface, by its versions.
const RESOURCES: [(&str, &str); 3] = [
    ("wasi:keyvalue/store@0.2.0-draft", "bucket"),
    ("wasi:keyvalue/store@0.2.0-draft2", "bucket"),
    ("wasi:keyvalue/atomics@0.2.0-draft2", "cas"),
];

/// An open store.
pub struct Bucket {
    name: Arc<str>,
    store: Arc<Store>,
}

/// A value of the time when it was looked at, to be compared with the one when it is to be exchanged.
pub struct Cas {
    bucket: Bucket,
    key: String,
    seen: Option<Vec<u8>>,
    _room: Slot,
}

/// Why a call was not done.
pub enum Trouble {
    Denied,
    Other(String),
    /// The guest ends.
    Trap(wasmtime::Error),
}

impl From<ResourceTableError> for Trouble {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

/// What an instance sees of its stores.
pub(super) struct View<'a> {
    pub(super) table: &'a mut ResourceTable,
    pub(super) template: &'a Arc<Template>,
}

struct HasView;

impl HasData for HasView {
    type Data<'a> = View<'a>;
}

/// An operation that has a place.
struct Call {
    name: Arc<str>,
    store: Arc<Store>,
    template: Arc<Template>,
    _place: Slot,
}

impl Call {
    fn limits(&self) -> &KeyvalueLimits {
        &self.template.limits.keyvalue
    }

    /// What came of it, for the guest; what the operator should know is logged.
    fn settle<T>(&self, result: Result<T, Error>) -> Result<T, Trouble> {
        let error = match result {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let Template { app, stats, .. } = &*self.template;
        let store = format_args!("the key-value store `{}`", self.name);
        match (&error, error.detail()) {
            (Error::Limit(_), Some(detail)) => {
                stats.keyvalue.count_refusal();
                stats.refusals.tell(app, "an operation on", store, detail);
            }
            (_, Some(detail)) => stats.refusals.say(app, &format!("{store} failed"), detail),
            (_, None) => {}
        }
        Err(match error {
            Error::Denied(_) => Trouble::Denied,
            error => Trouble::Other(error.to_string()),
        })
    }
}

impl View<'_> {
    fn open(&mut self, name: &str) -> Result<Resource<Bucket>, Trouble> {
        let name = if name.is_empty() { DEFAULT } else { name };
        let Template { app, stats, keyvalue, .. } = &**self.template;
        let Some(store) = keyvalue.open(name) else {
            stats.keyvalue.count_refusal();
            let target = format_args!("the key-value store {name:?}");
            let help = format_args!(
                "grant it with `grants.keyvalue = {{ {name:?} = \"memory\" }}`, or an SQLite file or a Redis server"
            );
            stats.refusals.tell(app, "to open", target, help);
            return Err(Trouble::Denied);
        };
        Ok(self.table.push(Bucket { name: name.into(), store: store.clone() })?)
    }

    fn call(&self, bucket: &Resource<Bucket>) -> Result<Call, Trouble> {
        let Bucket { name, store } = self.table.get(bucket)?;
        self.call_of(name, store)
    }

    fn call_of(&self, name: &Arc<str>, store: &Arc<Store>) -> Result<Call, Trouble> {
        let Template { app, stats, limits, .. } = &**self.template;
        let max = limits.keyvalue.waiting;
        let Some(place) = stats.keyvalue.begin(max) else {
            stats.keyvalue.count_refusal();
            let text = format!("the app has {max} operations at work (`limits.keyvalue-waiting`)");
            stats.refusals.tell(app, "an operation on", "key-value stores", &text);
            return Err(Trouble::Other(text));
        };
        Ok(Call { name: name.clone(), store: store.clone(), template: self.template.clone(), _place: place })
    }

    async fn get(&mut self, bucket: &Resource<Bucket>, key: String) -> Result<Option<Vec<u8>>, Trouble> {
        let mut values = self.get_many(bucket, vec![key]).await?;
        Ok(values.pop().flatten().map(|(_, value)| value))
    }

    async fn get_many(
        &mut self,
        bucket: &Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, Trouble> {
        let call = self.call(bucket)?;
        let values = call.store.get(keys, call.limits()).await;
        call.settle(values)
    }

    async fn set(&mut self, bucket: &Resource<Bucket>, pairs: Vec<(String, Vec<u8>)>) -> Result<(), Trouble> {
        let call = self.call(bucket)?;
        let done = call.store.set(pairs, call.limits()).await;
        call.settle(done)
    }

    async fn delete(&mut self, bucket: &Resource<Bucket>, keys: Vec<String>) -> Result<(), Trouble> {
        let call = self.call(bucket)?;
        let done = call.store.delete(keys, call.limits()).await;
        call.settle(done)
    }

    async fn exists(&mut self, bucket: &Resource<Bucket>, key: String) -> Result<bool, Trouble> {
        let call = self.call(bucket)?;
        let exists = call.store.exists(key, call.limits()).await;
        call.settle(exists)
    }

    async fn list(
        &mut self,
        bucket: &Resource<Bucket>,
        after: u64,
    ) -> Result<(Vec<String>, Option<u64>), Trouble> {
        let call = self.call(bucket)?;
        let page = call.store.list(after, call.limits()).await;
        call.settle(page)
    }

    async fn increment(
        &mut self,
        bucket: &Resource<Bucket>,
        key: String,
        delta: i64,
    ) -> Result<i64, Trouble> {
        let call = self.call(bucket)?;
        let sum = call.store.increment(key, delta, call.limits()).await;
        call.settle(sum)
    }

    async fn look(&mut self, bucket: &Resource<Bucket>, key: String) -> Result<Resource<Cas>, Trouble> {
        let Bucket { name, store } = self.table.get(bucket)?;
        let bucket = Bucket { name: name.clone(), store: store.clone() };
        self.look_at(bucket, key).await
    }

    async fn look_at(&mut self, bucket: Bucket, key: String) -> Result<Resource<Cas>, Trouble> {
        let call = self.call_of(&bucket.name, &bucket.store)?;
        let found = call.store.get(vec![key.clone()], call.limits()).await;
        let seen = call.settle(found)?.pop().flatten().map(|(_, value)| value);
        let max = call.limits().value_bytes.saturating_mul(KEPT);
        // The key and the handle are something, too.
        let bytes = seen.as_ref().map_or(0, Vec::len) + key.len() + size_of::<Cas>();
        let Some(room) = self.template.stats.keyvalue.keep(bytes, max) else {
            let text =
                format!("the app keeps {KEPT} values of the largest size to compare them; let some go");
            return call.settle(Err(Error::Limit(text)));
        };
        Ok(self.table.push(Cas { bucket, key, seen, _room: room })?)
    }

    fn seen(&self, cas: &Resource<Cas>) -> Result<Option<Vec<u8>>, Trouble> {
        Ok(self.table.get(cas)?.seen.clone())
    }

    /// Exchanges a value; where it is another one by now, a handle with that.
    async fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> Result<Option<Resource<Cas>>, Trouble> {
        let Cas { bucket, key, seen, _room } = self.table.delete(cas)?;
        let call = self.call_of(&bucket.name, &bucket.store)?;
        let swapped = call.store.swap(key.clone(), seen, value, call.limits()).await;
        let swapped = call.settle(swapped)?;
        drop((call, _room));
        if swapped { Ok(None) } else { self.look_at(bucket, key).await.map(Some) }
    }
}

/// Adds both drafts of the interface.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    draft::add_to_linker(linker)?;
    draft2::add_to_linker(linker)
}

/// Adds its resources alone, for guests that are not to call anything of it.
pub(crate) fn add_resources<T: 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    for (interface, name) in RESOURCES {
        let kind = if name == "cas" { ResourceType::host::<Cas>() } else { ResourceType::host::<Bucket>() };
        linker.instance(interface)?.resource(name, kind, |_, _| Ok(()))?;
    }
    Ok(())
}
