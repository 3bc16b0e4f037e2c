//! A store in an SQLite file: one table, written in turns, read beside that.
//!
//! What was acknowledged is on the disk: `synchronous = FULL` in WAL mode syncs before a transaction is done, and writes that
//! wait at the same time are one transaction (`queue`). The file may be used by other processes at the same time.

mod file;
mod queue;

use std::{path::Path, sync::Arc};

use rusqlite::{OptionalExtension as _, params};

use self::{
    file::{Database, Kind},
    queue::Queue,
};
use super::{
    error::{Error, number, sum},
    store::{Page, Pair, check_batch, too_large},
};
use crate::plan::KeyvalueLimits as Limits;

const VALUE: &str = "SELECT value FROM keyvalue WHERE key = ?1";
const SET: &str = "INSERT INTO keyvalue (key, value) VALUES (?1, ?2) \
                   ON CONFLICT (key) DO UPDATE SET value = excluded.value";

#[derive(Debug)]
pub(crate) struct Sqlite {
    reads: Arc<Queue>,
    writes: Arc<Queue>,
}

impl Sqlite {
    pub(super) fn new(path: &Path) -> Self {
        Self { reads: Queue::new(path, Kind::Reads), writes: Queue::new(path, Kind::Writes) }
    }

    pub(super) async fn get(
        &self,
        keys: Vec<String>,
        limits: &Limits,
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let limits = limits.clone();
        self.reads.run(move |database| get(database, &keys, &limits)).await
    }

    pub(super) async fn set(&self, pairs: Vec<Pair>, limits: &Limits) -> Result<(), Error> {
        let bytes = limits.file_bytes;
        self.writes
            .run(move |database| {
                database.bound(bytes)?;
                database.whole(|| pairs.iter().try_for_each(|(key, value)| set(database, key, value)))
            })
            .await
    }

    pub(super) async fn delete(&self, keys: Vec<String>) -> Result<(), Error> {
        let delete = move |database: &Database| {
            database.whole(|| {
                let mut delete = database.prepare("DELETE FROM keyvalue WHERE key = ?1")?;
                keys.iter().try_for_each(|key| database.sound(delete.execute([key])).map(|_| ()))
            })
        };
        self.writes.run(delete).await
    }

    pub(super) async fn exists(&self, key: String) -> Result<bool, Error> {
        self.reads
            .run(move |database| {
                let mut exists = database.prepare("SELECT 1 FROM keyvalue WHERE key = ?1")?;
                database.sound(exists.exists([&key]))
            })
            .await
    }

    pub(super) async fn list(&self, after: u64, limits: &Limits) -> Result<Page, Error> {
        let keys = limits.keys;
        // A cursor of ours is the number of a row; beyond those there is nothing.
        let Ok(after) = i64::try_from(after) else { return Ok((Vec::new(), None)) };
        self.reads.run(move |database| list(database, after, keys)).await
    }

    pub(super) async fn increment(&self, key: String, delta: i64, limits: &Limits) -> Result<i64, Error> {
        let bytes = limits.file_bytes;
        self.writes
            .run(move |database| {
                database.bound(bytes)?;
                let value = value(database, &key)?.map_or(Ok(0), |value| number(&value))?;
                let sum = sum(value, delta)?;
                set(database, &key, sum.to_string().as_bytes())?;
                Ok(sum)
            })
            .await
    }

    pub(super) async fn swap(
        &self,
        key: String,
        seen: Option<Vec<u8>>,
        new: Vec<u8>,
        limits: &Limits,
    ) -> Result<bool, Error> {
        let bytes = limits.file_bytes;
        self.writes
            .run(move |database| {
                database.bound(bytes)?;
                let same = value(database, &key)? == seen;
                if same {
                    set(database, &key, &new)?;
                }
                Ok(same)
            })
            .await
    }
}

fn value(database: &Database, key: &str) -> Result<Option<Vec<u8>>, Error> {
    let mut value = database.prepare(VALUE)?;
    database.sound(value.query_row([key], |row| row.get(0)).optional())
}

fn set(database: &Database, key: &str, value: &[u8]) -> Result<(), Error> {
    let mut set = database.prepare(SET)?;
    database.sound(set.execute(params![key, value])).map(|_| ())
}

fn get(database: &Database, keys: &[String], limits: &Limits) -> Result<Vec<Option<Vec<u8>>>, Error> {
    // Another process may have written a larger one: its length is looked at before it is read.
    let mut get = database.prepare(
        "SELECT length(value), CASE WHEN length(value) <= ?2 THEN value END FROM keyvalue WHERE key = ?1",
    )?;
    let max = i64::try_from(limits.value_bytes).unwrap_or(i64::MAX);
    let mut all = 0;
    let mut values = Vec::with_capacity(keys.len());
    for key in keys {
        let found: Option<(i64, Option<Vec<u8>>)> = database
            .sound(get.query_row(params![key, max], |row| Ok((row.get(0)?, row.get(1)?))).optional())?;
        let value = match found {
            None => None,
            Some((length, None)) => return Err(too_large(usize::try_from(length).unwrap_or(0), limits)),
            Some((_, Some(value))) => Some(value),
        };
        all += value.as_ref().map_or(0, Vec::len);
        if keys.len() > 1 {
            check_batch(all, limits)?;
        }
        values.push(value);
    }
    Ok(values)
}

fn list(database: &Database, after: i64, count: usize) -> Result<Page, Error> {
    let mut list = database.prepare("SELECT id, key FROM keyvalue WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    // One more than asked for tells whether there is a next page.
    let limit = i64::try_from(count.saturating_add(1)).unwrap_or(i64::MAX);
    let rows = database.sound(list.query_map([after, limit], |row| Ok((row.get(0)?, row.get(1)?))))?;
    let mut rows: Vec<(i64, String)> = database.sound(rows.collect())?;
    let more = rows.len() > count;
    rows.truncate(count);
    let last = rows.last().and_then(|(id, _)| u64::try_from(*id).ok());
    Ok((rows.into_iter().map(|(_, key)| key).collect(), last.filter(|_| more)))
}
