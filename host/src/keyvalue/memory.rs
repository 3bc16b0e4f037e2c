//! A store in the memory of the process: it ends with it.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    error::{Error, number, sum},
    store::{Page, Pair, check_batch, too_large},
};
use crate::plan::KeyvalueLimits as Limits;

/// Bytes that an entry takes beside its key and its value, about.
const ENTRY_BYTES: usize = 192;

#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<Arc<str>, Entry>,
    /// By the numbers of the entries, in the order in which they came: what pages are made of.
    in_order: BTreeMap<u64, Arc<str>>,
    last: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    value: Arc<[u8]>,
}

impl Memory {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, keys: &[String], limits: &Limits) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let entries = self.entries();
        let values: Vec<Option<Arc<[u8]>>> = keys.iter().map(|key| entries.value(key)).collect();
        drop(entries);
        let large = values.iter().flatten().find(|value| value.len() > limits.value_bytes);
        if let Some(value) = large {
            return Err(too_large(value.len(), limits));
        }
        if keys.len() > 1 {
            check_batch(values.iter().flatten().map(|value| value.len()).sum(), limits)?;
        }
        Ok(values.into_iter().map(|value| Some(value?.to_vec())).collect())
    }

    pub(super) fn set(&self, pairs: Vec<Pair>, limits: &Limits) -> Result<(), Error> {
        let mut entries = self.entries();
        pairs.into_iter().try_for_each(|(key, value)| entries.set(key, value, limits))
    }

    pub(super) fn delete(&self, keys: &[String]) -> Result<(), Error> {
        let mut entries = self.entries();
        keys.iter().for_each(|key| entries.delete(key));
        Ok(())
    }

    pub(super) fn exists(&self, key: &str) -> bool {
        self.entries().by_key.contains_key(key)
    }

    pub(super) fn list(&self, after: u64, limits: &Limits) -> Page {
        let entries = self.entries();
        let mut rest = entries.in_order.range((Bound::Excluded(after), Bound::Unbounded));
        let page: Vec<_> = rest.by_ref().take(limits.keys).collect();
        let cursor = page.last().map(|(number, _)| **number).filter(|_| rest.next().is_some());
        (page.into_iter().map(|(_, key)| key.to_string()).collect(), cursor)
    }

    pub(super) fn increment(&self, key: String, delta: i64, limits: &Limits) -> Result<i64, Error> {
        let mut entries = self.entries();
        let value = entries.by_key.get(&*key).map_or(Ok(0), |entry| number(&entry.value))?;
        let sum = sum(value, delta)?;
        entries.set(key, sum.to_string().into_bytes(), limits)?;
        Ok(sum)
    }

    pub(super) fn swap(
        &self,
        key: String,
        seen: Option<&[u8]>,
        value: Vec<u8>,
        limits: &Limits,
    ) -> Result<bool, Error> {
        let mut entries = self.entries();
        let same = entries.by_key.get(&*key).map(|entry| &*entry.value) == seen;
        if same {
            entries.set(key, value, limits)?;
        }
        Ok(same)
    }
}

impl Entries {
    fn value(&self, key: &str) -> Option<Arc<[u8]>> {
        self.by_key.get(key).map(|entry| entry.value.clone())
    }

    fn set(&mut self, key: String, value: Vec<u8>, limits: &Limits) -> Result<(), Error> {
        let before = self.by_key.get(&*key).map(|entry| size(&key, &entry.value));
        let bytes = self.bytes - before.unwrap_or(0) + size(&key, &value);
        // What makes a full store smaller is let in.
        if bytes as u64 > limits.memory_bytes && bytes > self.bytes {
            return Err(full(limits.memory_bytes));
        }
        self.bytes = bytes;
        if let Some(entry) = self.by_key.get_mut(&*key) {
            entry.value = value.into();
            return Ok(());
        }
        self.last += 1;
        let key: Arc<str> = key.into();
        self.in_order.insert(self.last, key.clone());
        self.by_key.insert(key, Entry { number: self.last, value: value.into() });
        Ok(())
    }

    fn delete(&mut self, key: &str) {
        let Some(entry) = self.by_key.remove(key) else { return };
        self.in_order.remove(&entry.number);
        self.bytes -= size(key, &entry.value);
    }
}

fn full(max: u64) -> Error {
    let max = max / (1024 * 1024);
    Error::Limit(format!("the store is full: it may have {max} MiB (`limits.keyvalue-memory-mib`)"))
}

fn size(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + ENTRY_BYTES
}
