//! Key-value stores of apps, as far as they have nothing to do with wasm: in memory, in an SQLite file, on a Redis server.
//! Which stores an app has is the plan's; how guests come by them is `instance::keyvalue`.
//!
//! Stores belong to the app, not to a generation of it: all generations that are granted the same have the same store, and
//! what is in memory lives as long as any generation does.

mod error;
mod memory;
mod redis;
mod sqlite;
mod store;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

pub(crate) use self::{error::Error, store::Store};
use crate::{
    plan::Keyvalue,
    taken::{Slot, Taken},
};

/// The stores of all apps of the process.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<HashMap<Arc<str>, Weak<Stores>>>);

impl Registry {
    /// Those of one app.
    pub(crate) fn of(&self, app: &Arc<str>) -> Arc<Stores> {
        let mut apps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stores) = apps.get(app).and_then(Weak::upgrade) {
            return stores;
        }
        apps.retain(|_, stores| stores.strong_count() > 0);
        let stores = Arc::new(Stores::default());
        apps.insert(app.clone(), Arc::downgrade(&stores));
        stores
    }
}

/// The stores of one app.
#[derive(Debug, Default)]
pub struct Stores {
    /// Those in memory, by their names: they are kept even while no generation has them.
    memory: Mutex<BTreeMap<String, Arc<Store>>>,
    /// The others, for as long as a generation has them.
    others: Mutex<HashMap<Keyvalue, Weak<Store>>>,
}

impl Stores {
    fn open(&self, name: &str, grant: &Keyvalue) -> Arc<Store> {
        if *grant == Keyvalue::Memory {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            return memory.entry(name.to_owned()).or_insert_with(|| Arc::new(Store::new(grant))).clone();
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = others.get(grant).and_then(Weak::upgrade) {
            return store;
        }
        others.retain(|_, store| store.strong_count() > 0);
        let store = Arc::new(Store::new(grant));
        others.insert(grant.clone(), Arc::downgrade(&store));
        store
    }
}

/// The stores that one generation may open, each there from its first opening on.
#[derive(Debug)]
pub struct Granted {
    stores: Arc<Stores>,
    by_name: BTreeMap<String, (Keyvalue, OnceLock<Arc<Store>>)>,
}

impl Granted {
    pub fn new(stores: Arc<Stores>, grants: &BTreeMap<String, Keyvalue>) -> Self {
        let by_name = grants.iter().map(|(name, grant)| (name.clone(), (grant.clone(), OnceLock::new())));
        Self { stores, by_name: by_name.collect() }
    }

    /// The store of this name; none where it is not granted.
    pub(crate) fn open(&self, name: &str) -> Option<&Arc<Store>> {
        let (name, (grant, store)) = self.by_name.get_key_value(name)?;
        Some(store.get_or_init(|| self.stores.open(name, grant)))
    }
}

/// What one generation does with its stores.
#[derive(Debug, Default)]
pub struct Usage {
    /// Operations at this moment.
    operations: Taken,
    /// Bytes of values that are kept to be compared.
    kept: Taken,
    refused: AtomicU64,
}

impl Usage {
    /// Operations that were refused, for want of a grant or over a limit.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn count_refusal(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A place for an operation; none where `max` are at work.
    pub(crate) fn begin(&self, max: usize) -> Option<Slot> {
        self.operations.take(1, max)
    }

    /// Room for a value that is kept; none where more than `max` bytes would be kept then.
    pub(crate) fn keep(&self, bytes: usize, max: usize) -> Option<Slot> {
        self.kept.take(bytes, max)
    }
}
