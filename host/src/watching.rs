//! Waits for changes of files: what the system tells of a folder is a hint and no more, and who waits looks for himself.
//!
//! A change is over when nothing more has happened for a moment, and files that are still being written are waited for a
//! while.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

/// Quiet that ends a change.
const QUIET: Duration = Duration::from_millis(50);
/// The same after a file was written to that its writer has not closed yet.
const QUIET_OPEN: Duration = Duration::from_millis(500);
/// A file that is written to without end is looked at after this time all the same.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often files are looked at where the system cannot tell of changes, and where it should.
const POLL: Duration = Duration::from_secs(1);
const POLL_TOLD: Duration = Duration::from_secs(10);

/// What is to be known of an event.
enum Hint {
    Settled,
    /// A file was written to, and is open still.
    Open,
}

/// Folders that are watched.
pub(crate) struct Watching {
    /// None where the system cannot tell of changes.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, Folder>,
    hints: mpsc::UnboundedReceiver<Hint>,
}

impl Watching {
    pub(crate) fn new() -> Self {
        let (tell, hints) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if let Some(hint) = event.map_or(Some(Hint::Settled), |event| hint(&event)) {
                // Where nobody listens any more, the house is ending.
                let _ = tell.send(hint);
            }
        });
        let watcher = watcher
            .map_err(|error| {
                tracing::warn!("files are looked at every second, changes are not told: {error}")
            })
            .ok();
        Self { watcher, watched: BTreeMap::new(), hints }
    }

    /// Watches these folders, and those of these files, and those that links among the files lead to; no others. False where
    /// one cannot be watched.
    pub(crate) fn follow<'a>(
        &mut self,
        files: impl Iterator<Item = &'a PathBuf>,
        folders: impl Iterator<Item = &'a PathBuf>,
    ) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let mut wanted: BTreeSet<PathBuf> = folders.cloned().collect();
        for file in files {
            wanted.extend(file.parent().map(Path::to_owned));
            wanted.extend(file.canonicalize().ok().and_then(|real| real.parent().map(Path::to_owned)));
        }
        let now: BTreeMap<PathBuf, Folder> =
            wanted.into_iter().filter_map(|path| Some((path.clone(), folder(&path)?))).collect();
        self.watched.retain(|path, folder| {
            let stays = now.get(path) == Some(folder);
            if !stays {
                // A folder that is no more is not watched any more either.
                let _ = watcher.unwatch(path);
            }
            stays
        });
        let mut all = true;
        for (path, folder) in now {
            if let Entry::Vacant(vacant) = self.watched.entry(path) {
                match watcher.watch(vacant.key(), RecursiveMode::NonRecursive) {
                    Ok(()) => drop(vacant.insert(folder)),
                    Err(_) => all = false,
                }
            }
        }
        all
    }

    /// Waits for a change to begin and to end. `told` is what [`Watching::follow`] said.
    pub(crate) async fn wait(&mut self, told: bool) {
        let first = timeout(if told { POLL_TOLD } else { POLL }, self.hints.recv()).await;
        let Some(mut last) = first.unwrap_or(Some(Hint::Settled)) else {
            return tokio::time::sleep(POLL).await;
        };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let quiet = match last {
                Hint::Settled => QUIET,
                Hint::Open => QUIET_OPEN,
            };
            match timeout(quiet, self.hints.recv()).await {
                Ok(Some(hint)) => last = hint,
                Ok(None) | Err(_) => return,
            }
        }
    }
}

fn hint(event: &Event) -> Option<Hint> {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Hint::Settled),
        EventKind::Access(_) => None,
        EventKind::Modify(ModifyKind::Data(_)) | EventKind::Create(_) => Some(Hint::Open),
        _ => Some(Hint::Settled),
    }
}

/// Device and inode of a folder: one that was replaced has to be watched anew.
type Folder = (u64, u64);

fn folder(path: &Path) -> Option<Folder> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}
