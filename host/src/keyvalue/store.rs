//! One store, whatever keeps it: what an operation may be and how long it may take is checked here, for all alike.

use std::future::Future;

use super::{error::Error, memory::Memory, redis::Redis, sqlite::Sqlite};
use crate::plan::{Keyvalue, KeyvalueLimits as Limits};

/// A key and its value.
pub(super) type Pair = (String, Vec<u8>);

/// A page of keys, and what the next one is asked for with; nothing where this was the last one.
pub(super) type Page = (Vec<String>, Option<u64>);

/// One store.
#[derive(Debug)]
pub(crate) enum Store {
    Memory(Memory),
    Sqlite(Sqlite),
    Redis(Redis),
}

impl Store {
    /// Nothing is opened yet.
    pub(super) fn new(grant: &Keyvalue) -> Self {
        match grant {
            Keyvalue::Memory => Self::Memory(Memory::default()),
            Keyvalue::Sqlite(path) => Self::Sqlite(Sqlite::new(path)),
            Keyvalue::Redis(server) => Self::Redis(Redis::new(server)),
        }
    }

    /// The values of keys, each where it is there.
    pub(crate) async fn get(&self, keys: Vec<String>, limits: &Limits) -> Result<Vec<Option<Pair>>, Error> {
        check_keys(keys.iter(), limits)?;
        let values = match self {
            Self::Memory(memory) => memory.get(&keys, limits)?,
            Self::Sqlite(file) => in_time(limits, file.get(keys.clone(), limits)).await?,
            Self::Redis(server) => on_time(server, limits, server.get(&keys, limits)).await?,
        };
        Ok(keys.into_iter().zip(values).map(|(key, value)| Some((key, value?))).collect())
    }

    /// Sets values.
    pub(crate) async fn set(&self, pairs: Vec<Pair>, limits: &Limits) -> Result<(), Error> {
        check_keys(pairs.iter().map(|(key, _)| key), limits)?;
        pairs.iter().try_for_each(|(_, value)| check_value(value, limits))?;
        if pairs.len() > 1 {
            check_batch(pairs.iter().map(|(_, value)| value.len()).sum(), limits)?;
        }
        match self {
            Self::Memory(memory) => memory.set(pairs, limits),
            Self::Sqlite(file) => in_time(limits, file.set(pairs, limits)).await,
            Self::Redis(server) => on_time(server, limits, server.set(&pairs)).await,
        }
    }

    /// Removes keys, those that are there.
    pub(crate) async fn delete(&self, keys: Vec<String>, limits: &Limits) -> Result<(), Error> {
        check_keys(keys.iter(), limits)?;
        match self {
            Self::Memory(memory) => memory.delete(&keys),
            Self::Sqlite(file) => in_time(limits, file.delete(keys)).await,
            Self::Redis(server) => on_time(server, limits, server.delete(&keys)).await,
        }
    }

    pub(crate) async fn exists(&self, key: String, limits: &Limits) -> Result<bool, Error> {
        check_keys([&key].into_iter(), limits)?;
        match self {
            Self::Memory(memory) => Ok(memory.exists(&key)),
            Self::Sqlite(file) => in_time(limits, file.exists(key)).await,
            Self::Redis(server) => on_time(server, limits, server.exists(&key)).await,
        }
    }

    /// The keys after a cursor; the first ones after 0. A key that is there all the time is in one page at least.
    pub(crate) async fn list(&self, after: u64, limits: &Limits) -> Result<Page, Error> {
        match self {
            Self::Memory(memory) => Ok(memory.list(after, limits)),
            Self::Sqlite(file) => in_time(limits, file.list(after, limits)).await,
            Self::Redis(server) => on_time(server, limits, server.list(after, limits)).await,
        }
    }

    /// Adds to the number that is the value of a key, or to 0.
    pub(crate) async fn increment(&self, key: String, delta: i64, limits: &Limits) -> Result<i64, Error> {
        check_keys([&key].into_iter(), limits)?;
        match self {
            Self::Memory(memory) => memory.increment(key, delta, limits),
            Self::Sqlite(file) => in_time(limits, file.increment(key, delta, limits)).await,
            Self::Redis(server) => on_time(server, limits, server.increment(&key, delta)).await,
        }
    }

    /// Sets a value if the one before is `seen`; whether it was.
    pub(crate) async fn swap(
        &self,
        key: String,
        seen: Option<Vec<u8>>,
        value: Vec<u8>,
        limits: &Limits,
    ) -> Result<bool, Error> {
        check_keys([&key].into_iter(), limits)?;
        check_value(&value, limits)?;
        match self {
            Self::Memory(memory) => memory.swap(key, seen.as_deref(), value, limits),
            Self::Sqlite(file) => in_time(limits, file.swap(key, seen, value, limits)).await,
            Self::Redis(server) => on_time(server, limits, server.swap(&key, seen.as_deref(), &value)).await,
        }
    }
}

async fn in_time<T>(limits: &Limits, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(limits.wait, work).await {
        Ok(done) => done,
        Err(_) => {
            let ms = limits.wait.as_millis();
            Err(Error::Late(format!("it did not answer within {ms} ms (`limits.keyvalue-ms`)")))
        }
    }
}

/// The same with a server, whose connection is not believed in after it was silent.
async fn on_time<T>(
    server: &Redis,
    limits: &Limits,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    in_time(limits, work).await.inspect_err(|error| {
        if matches!(error, Error::Late(_)) {
            server.distrust();
        }
    })
}

fn check_keys<'a>(
    keys: impl ExactSizeIterator<Item = &'a String> + Clone,
    limits: &Limits,
) -> Result<(), Error> {
    let count = keys.len();
    if count > limits.keys {
        let max = limits.keys;
        return Err(Error::Limit(format!("{count} keys at once, at most {max} (`limits.keyvalue-keys`)")));
    }
    for key in keys {
        let (bytes, max) = (key.len(), limits.key_bytes);
        if bytes > max {
            let text = format!("a key of {bytes} bytes, at most {max} (`limits.keyvalue-key-bytes`)");
            return Err(Error::Limit(text));
        }
        if bytes == 0 {
            return Err(Error::Unfit("a key is not empty".into()));
        }
    }
    Ok(())
}

fn check_value(value: &[u8], limits: &Limits) -> Result<(), Error> {
    if value.len() > limits.value_bytes { Err(too_large(value.len(), limits)) } else { Ok(()) }
}

/// A value that is larger than it may be, whoever wrote it.
pub(super) fn too_large(bytes: usize, limits: &Limits) -> Error {
    let max = limits.value_bytes / 1024;
    Error::Limit(format!("a value of {bytes} bytes, at most {max} KiB (`limits.keyvalue-value-kib`)"))
}

/// Whether the values of one operation are not too large together.
pub(super) fn check_batch(bytes: usize, limits: &Limits) -> Result<(), Error> {
    if bytes <= limits.batch_bytes {
        return Ok(());
    }
    let max = limits.batch_bytes / 1024;
    Err(Error::Limit(format!(
        "values of {bytes} bytes at once, at most {max} KiB (`limits.keyvalue-batch-kib`)"
    )))
}
