//! One connection to an SQLite file, and what its errors mean.

use std::{
    cell::Cell,
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags};

use crate::keyvalue::Error;

/// How long another process, or another app, may hold the file.
const BUSY: Duration = Duration::from_secs(5);
/// How long is waited between two attempts to open a file that is busy.
const PAUSE: Duration = Duration::from_millis(10);
/// Bytes of the log that stay when it was written into the file.
const LOG_BYTES: u64 = 16 << 20;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS keyvalue \
                     (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL) STRICT";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Reads,
    Writes,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    page_bytes: u64,
    bytes_max: Cell<u64>,
    broken: Cell<bool>,
}

impl Database {
    /// Opens the file, which is made where it is not there: for this user alone.
    pub(super) fn open(path: &Path, kind: Kind) -> Result<Self, Error> {
        // Two that open it at once are in each other's way while it is made, and SQLite does not always wait by itself.
        let begun = Instant::now();
        loop {
            match open(path, kind) {
                Ok(database) => return Ok(database),
                Err(error) if is_busy(&error) && begun.elapsed() < BUSY => std::thread::sleep(PAUSE),
                Err(error) => return Err(Error::Failed(format!("{}: {error}", path.display()))),
            }
        }
    }

    /// Whether it is better to open the file anew.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, Error> {
        self.sound(self.connection.prepare_cached(sql))
    }

    pub(super) fn execute(&self, sql: &str) -> Result<(), Error> {
        let mut statement = self.prepare(sql)?;
        self.sound(statement.raw_execute()).map(|_| ())
    }

    /// Whether a transaction is open.
    pub(super) fn is_within(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Lets the file grow to so many bytes and no further.
    pub(super) fn bound(&self, bytes: u64) -> Result<(), Error> {
        if self.bytes_max.replace(bytes) == bytes {
            return Ok(());
        }
        let pages = (bytes / self.page_bytes).clamp(1, u64::from(u32::MAX - 1));
        // It answers with what holds now: no less than the file has already.
        self.sound(self.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())))
    }

    /// Several statements of which all are done or none, within a transaction.
    pub(super) fn whole(&self, work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        self.execute("SAVEPOINT whole")?;
        let done = work();
        // Grave errors end the transaction by themselves.
        if done.is_err() && self.is_within() {
            self.execute("ROLLBACK TO whole")?;
        }
        if self.is_within() {
            self.execute("RELEASE whole")?;
        }
        done
    }

    /// What an error of SQLite is for the app.
    pub(super) fn sound<T>(&self, result: rusqlite::Result<T>) -> Result<T, Error> {
        result.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => full(self.bytes_max.get()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Error::Failed("another process holds the file".into())
            }
            _ => {
                self.broken.set(true);
                Error::Failed(error.to_string())
            }
        })
    }
}

fn open(path: &Path, kind: Kind) -> rusqlite::Result<Database> {
    // The files beside it get the same rights as this one. That it cannot be made is said by what follows.
    let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF")?;
    connection.query_row(&format!("PRAGMA journal_size_limit = {LOG_BYTES}"), [], |_| Ok(()))?;
    connection.execute_batch(TABLE)?;
    if kind == Kind::Reads {
        connection.execute_batch("PRAGMA query_only = ON")?;
    }
    let page_bytes: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    Ok(Database {
        connection,
        page_bytes: u64::from(page_bytes.max(1)),
        bytes_max: Cell::new(0),
        broken: Cell::new(false),
    })
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// SQLite does not tell the one from the other.
fn full(max: u64) -> Error {
    let max = max / (1024 * 1024);
    let text =
        format!("the store is full: it may have {max} MiB (`limits.keyvalue-file-mib`); or its disk is full");
    Error::Limit(text)
}
