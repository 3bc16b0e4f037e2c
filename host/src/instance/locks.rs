//! Locks of SQLite databases in granted folders: those of the system, in the place of those that a guest can have.
//!
//! WASI has no file locks. SQLite built for it locks a database by making a folder beside it, `db.sqlite3.lock`, which
//! outlives a guest that is ended and is unknown to every other program. So where a guest makes or removes a folder of that
//! name and there is an SQLite database beside it, nothing is made or removed: the host takes or releases the lock that
//! SQLite has everywhere else, on the same bytes of the database (`PENDING_BYTE` and the 511 behind it, `os.h` of SQLite). It
//! belongs to the open file that the host holds for the instance (`F_OFD_SETLK`), and goes when the instance does, or the
//! process, however either ends. It holds for all instances, generations, houses, `guesthouse exec`, and for programs
//! outside such as `sqlite3`.
//!
//! What the guest asks for does not tell reading from writing, so transactions of one database come one after another, in the
//! order in which they wait, and leave room for other processes; from a folder granted for reading alone, databases are read together.

use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::{FileExt, MetadataExt},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{Result, component::Resource};
use wasmtime_wasi::{
    filesystem::{Descriptor, WasiFilesystemView},
    p2::bindings::filesystem::types::{DescriptorFlags, HostDescriptor, OpenFlags, PathFlags},
};

use super::guest::Guest;

/// What SQLite adds to the name of a database for its lock (`DOTLOCK_SUFFIX`).
const SUFFIX: &str = ".lock";
/// How a database begins that is not empty (<https://www.sqlite.org/fileformat.html>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const PENDING_BYTE: libc::off_t = 0x4000_0000;
/// It, the reserved byte, and those that readers share.
const LOCK_BYTES: libc::off_t = 512;
const SHARED_FIRST: libc::off_t = PENDING_BYTE + 2;
const SHARED_BYTES: libc::off_t = LOCK_BYTES - 2;
/// How long the host waits for a lock before SQLite does, by trying again until its own timeout (`sqlite3_busy_timeout`) is
/// over. In that time those that wait have their turn in the order of their coming; afterwards luck decides. Half of what a
/// request may take by default.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// Between two looks whether another process has released it.
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(20);
/// How long instances of this process may hand a database to each other before it is left free for a moment. Other processes
/// cannot stand in line: they try again, SQLite after up to 100 ms.
const BUSY_MAX: Duration = Duration::from_millis(45);
/// For so much of that time it is left free then, within these bounds: a tenth of all tries find it so.
const BUSY_TO_REST: u32 = 9;
const REST_MIN: Duration = Duration::from_millis(5);
const REST_MAX: Duration = Duration::from_millis(50);
/// Between two looks whether the system is done with what an ended instance was writing.
const WRITTEN_AGAIN: Duration = Duration::from_millis(1);

/// Device and inode.
type FileId = (u64, u64);

/// Whose turn it is with each database that something in this process has locked or waits for.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<FileId, Weak<Turn>>>);

impl Turns {
    fn of(&self, file: FileId) -> Arc<Turn> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&file).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Turn::default());
        turns.insert(file, Arc::downgrade(&turn));
        turn
    }
}

/// The instances of this process that want one database, in the order in which they came.
#[derive(Debug)]
struct Turn {
    place: Arc<Semaphore>,
    /// Since when the database has hardly been free.
    busy: Mutex<Busy>,
}

#[derive(Debug)]
struct Busy {
    since: Instant,
    released: Instant,
}

impl Default for Turn {
    fn default() -> Self {
        let now = Instant::now();
        Self { place: Arc::new(Semaphore::new(1)), busy: Mutex::new(Busy { since: now, released: now }) }
    }
}

impl Turn {
    async fn take(self: Arc<Self>) -> Option<Turned> {
        let permit = self.place.clone().acquire_owned().await.ok()?;
        let rest = {
            let busy = self.busy();
            (busy.released.elapsed() < REST_MIN).then(|| busy.since.elapsed()).filter(|busy| *busy > BUSY_MAX)
        };
        if let Some(busy) = rest {
            tokio::time::sleep((busy / BUSY_TO_REST).clamp(REST_MIN, REST_MAX)).await;
        }
        if rest.is_some() || self.busy().released.elapsed() >= REST_MIN {
            self.busy().since = Instant::now();
        }
        Some(Turned { turn: self, _permit: permit })
    }

    fn busy(&self) -> MutexGuard<'_, Busy> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One whose turn it is, until this is dropped.
#[derive(Debug)]
struct Turned {
    turn: Arc<Turn>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Turned {
    fn drop(&mut self) {
        self.turn.busy().released = Instant::now();
    }
}

/// A lock that an instance holds. What it is made of is let go in this order.
#[derive(Debug)]
struct Held {
    /// Open for nothing else; closed, the lock is released.
    _file: Arc<File>,
    _turn: Option<Turned>,
    _place: crate::taken::Slot,
    id: FileId,
    /// The folder, for what the system may still do in it.
    folder: Weak<File>,
}

/// The locks of one instance, by folder and name.
#[derive(Debug, Default)]
pub(super) struct Locks {
    held: HashMap<(FileId, String), Held>,
    /// How long the host has waited since the instance last got a lock.
    waited: Duration,
}

/// What came of asking for a lock.
pub(super) enum Asked {
    Locked,
    /// Somebody else has it.
    Busy,
    /// It is no database's.
    Other,
}

/// Releases the lock that a folder of this name stands for. False where it stands for none that the instance holds.
pub(super) fn release(guest: &mut Guest, directory: &Resource<Descriptor>, path: &str) -> Result<bool> {
    if !path.ends_with(SUFFIX) {
        return Ok(false);
    }
    let Some((folder, _)) = folder(guest, directory)? else { return Ok(false) };
    Ok(guest.files().locks.held.remove(&(folder, path.to_owned())).is_some())
}

/// The folder behind a handle, if it is one.
fn folder(guest: &mut Guest, directory: &Resource<Descriptor>) -> Result<Option<(FileId, Arc<File>)>> {
    let Descriptor::Dir(folder) = guest.filesystem().table.get(directory)? else { return Ok(None) };
    let file = folder.dir.clone();
    Ok(file.metadata().ok().map(|meta| ((meta.dev(), meta.ino()), file)))
}

/// Takes the lock of the database that a folder of this name stands for.
pub(super) async fn lock(guest: &mut Guest, directory: &Resource<Descriptor>, path: &str) -> Result<Asked> {
    let Some(name) = path.strip_suffix(SUFFIX) else { return Ok(Asked::Other) };
    let Some((folder_id, folder)) = folder(guest, directory)? else { return Ok(Asked::Other) };
    let Some((file, exclusive)) = open(guest, directory, name).await? else { return Ok(Asked::Other) };
    let file = Arc::new(file);
    let probe = file.clone();
    let Ok(Some(id)) = tokio::task::spawn_blocking(move || database(&probe)).await else {
        return Ok(Asked::Other);
    };
    if is_there(guest, directory, path).await? {
        let help = "this folder was left there by another program. Remove it when nothing else has the database open";
        let template = guest.template().clone();
        template.stats.refusals.tell(&template.app, "to lock a database by", path, help);
        return Ok(Asked::Busy);
    }
    let locks = &guest.files().locks;
    // Another connection of the same instance has it: nobody else can release it while this one waits.
    if locks.held.values().any(|held| held.id == id) {
        return Ok(Asked::Busy);
    }
    let patience = WAIT_MAX.saturating_sub(locks.waited);
    let Some(place) = guest.files().place() else { return Ok(Asked::Busy) };
    let turn = exclusive.then(|| guest.template().engine.turns.of(id));
    let asked_at = Instant::now();
    let got = tokio::time::timeout(patience, wait(&file, turn)).await;
    if let Ok(Err(error)) = &got {
        let help =
            format_args!("its file system has no locks ({error}), and without them it would be damaged");
        let template = guest.template().clone();
        template.stats.refusals.tell(&template.app, "to lock", name, help);
    }
    let locks = &mut guest.files().locks;
    let Ok(Ok(turn)) = got else {
        locks.waited += asked_at.elapsed();
        return Ok(Asked::Busy);
    };
    locks.waited = Duration::ZERO;
    let held = Held { _file: file, _turn: turn, _place: place, id, folder: Arc::downgrade(&folder) };
    locks.held.insert((folder_id, path.to_owned()), held);
    Ok(Asked::Locked)
}

/// Opens a file by the guest's own means, for writing where the guest may write to it. Tells whether it may.
async fn open(
    guest: &mut Guest,
    directory: &Resource<Descriptor>,
    name: &str,
) -> Result<Option<(File, bool)>> {
    for (flags, writes) in
        [(DescriptorFlags::READ | DescriptorFlags::WRITE, true), (DescriptorFlags::READ, false)]
    {
        let mut files = guest.filesystem();
        let borrowed = Resource::new_borrow(directory.rep());
        let opened = files
            .open_at(borrowed, PathFlags::SYMLINK_FOLLOW, name.to_owned(), OpenFlags::empty(), flags)
            .await;
        let Ok(opened) = opened else { continue };
        return Ok(match files.table.delete(opened)? {
            Descriptor::File(file) => Arc::into_inner(file.file).map(|file| (file, writes)),
            Descriptor::Dir(_) => None,
        });
    }
    Ok(None)
}

/// The identity of a file, if it is an SQLite database or empty, as one is at first.
fn database(file: &File) -> Option<FileId> {
    let meta = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut magic = [0; MAGIC.len()];
    let is_database = meta.len() == 0 || (file.read_exact_at(&mut magic, 0).is_ok() && magic == *MAGIC);
    is_database.then_some((meta.dev(), meta.ino()))
}

/// Whether there is something of this name.
async fn is_there(guest: &mut Guest, directory: &Resource<Descriptor>, path: &str) -> Result<bool> {
    let borrowed = Resource::new_borrow(directory.rep());
    Ok(guest.filesystem().stat_at(borrowed, PathFlags::empty(), path.to_owned()).await.is_ok())
}

/// Waits for the turn within this process, then for all others. Without a turn, for reading.
async fn wait(file: &File, turn: Option<Arc<Turn>>) -> std::result::Result<Option<Turned>, Errno> {
    let exclusive = turn.is_some();
    let turn = match turn {
        // It is never closed.
        Some(turn) => Some(turn.take().await.ok_or(Errno::EBADF)?),
        None => None,
    };
    let mut pause = Duration::from_millis(1);
    while let Err(error) = take(file, exclusive) {
        if !matches!(error, Errno::EAGAIN | Errno::EACCES | Errno::EINTR) {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_AGAIN_MAX);
    }
    Ok(turn)
}

/// Takes the lock if it is free.
fn take(file: &File, exclusive: bool) -> std::result::Result<(), Errno> {
    let (kind, start, length) = match exclusive {
        true => (libc::F_WRLCK, PENDING_BYTE, LOCK_BYTES),
        false => (libc::F_RDLCK, SHARED_FIRST, SHARED_BYTES),
    };
    let lock = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: length,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock)).map(drop)
}

impl Locks {
    /// Releases all, when the system is done with what it still does to these files for the instance, which has ended: a
    /// write that was on its way must not come after the next one's.
    pub(super) fn release(&mut self, files: impl Iterator<Item = Weak<File>>) {
        if self.held.is_empty() {
            return;
        }
        let held: Vec<Held> = self.held.drain().map(|(_, held)| held).collect();
        let mut busy: Vec<Weak<File>> = files.chain(held.iter().map(|held| held.folder.clone())).collect();
        busy.retain(|file| file.strong_count() > 0);
        if busy.is_empty() {
            return;
        }
        let waiting = std::thread::Builder::new().name("locks".into()).spawn(move || {
            while busy.iter().any(|file| file.strong_count() > 0) {
                std::thread::sleep(WRITTEN_AGAIN);
            }
            drop(held);
        });
        if let Err(error) = waiting {
            tracing::error!("locks of an ended instance are released early: {error}");
        }
    }
}
