//! Takes changes of files up by itself: the manifest, the settings files and the components that it names.
//!
//! What the system tells of a folder is a hint and no more: what counts is whether one of the files is another one than
//! before. So it does not matter whether a file was renamed into place, written where it is, or stands behind a link that
//! was turned. A change is taken up when nothing more has happened for a moment, and files that are still being written
//! are waited for a while.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
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
use tokio_util::sync::CancellationToken;

use super::{
    Manager,
    digests::{Signature, signature},
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

impl Manager {
    /// Watches until `stop`.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            () = self.watching() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn watching(self: &Arc<Self>) {
        let (tell, mut hints) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if let Some(hint) = event.map_or(Some(Hint::Settled), |event| hint(&event)) {
                // Where nobody listens any more, the house is ending.
                let _ = tell.send(hint);
            }
        });
        let mut watcher = watcher
            .map_err(|error| {
                tracing::warn!("files are looked at every second, changes are not told: {error}")
            })
            .ok();
        let mut watched = BTreeMap::new();
        // Read once more at first: what changed since the start was read was told to nobody.
        let mut files = BTreeMap::new();
        loop {
            let told =
                watcher.as_mut().is_some_and(|watcher| follow(watcher, &mut watched, self.files().keys()));
            // What changed before the folders were watched was not told.
            if self.files() == files {
                wait(&mut hints, told).await;
            }
            let now = self.files();
            if now != files {
                files = now;
                // What came of it is in the log and in the status.
                let _ = self.reload("watch").await;
                let after = self.files();
                // Files that the new manifest names are watched from now on; those that it had named before and that
                // changed in the meantime are still to be taken up.
                files = after
                    .into_iter()
                    .map(|(path, now)| (path.clone(), files.get(&path).copied().unwrap_or(now)))
                    .collect();
            }
        }
    }

    /// The files that matter, with what would show that one is another.
    fn files(&self) -> BTreeMap<PathBuf, Option<Signature>> {
        let book = self.book();
        let components = book.plan.apps.iter().map(|app| &app.component);
        let paths = [&book.plan.manifest].into_iter().chain(&book.plan.settings_files).chain(components);
        let paths: Vec<PathBuf> = paths.cloned().collect();
        drop(book);
        paths.into_iter().map(|path| (path.clone(), signature(&path))).collect()
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

/// Waits for a change to begin and to end.
async fn wait(hints: &mut mpsc::UnboundedReceiver<Hint>, told: bool) {
    let first = timeout(if told { POLL_TOLD } else { POLL }, hints.recv()).await;
    let Some(mut last) = first.unwrap_or(Some(Hint::Settled)) else {
        return tokio::time::sleep(POLL).await;
    };
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let quiet = match last {
            Hint::Settled => QUIET,
            Hint::Open => QUIET_OPEN,
        };
        match timeout(quiet, hints.recv()).await {
            Ok(Some(hint)) => last = hint,
            Ok(None) | Err(_) => return,
        }
    }
}

/// Watches the folders of these files, and those that links among them lead to. False where one cannot be watched.
fn follow<'a>(
    watcher: &mut RecommendedWatcher,
    watched: &mut BTreeMap<PathBuf, Folder>,
    files: impl Iterator<Item = &'a PathBuf>,
) -> bool {
    let mut wanted = BTreeSet::new();
    for file in files {
        wanted.extend(file.parent().map(Path::to_owned));
        wanted.extend(file.canonicalize().ok().and_then(|real| real.parent().map(Path::to_owned)));
    }
    let now: BTreeMap<PathBuf, Folder> =
        wanted.into_iter().filter_map(|path| Some((path.clone(), folder(&path)?))).collect();
    watched.retain(|path, folder| {
        let stays = now.get(path) == Some(folder);
        if !stays {
            // A folder that is no more is not watched any more either.
            let _ = watcher.unwatch(path);
        }
        stays
    });
    let mut all = true;
    for (path, folder) in now {
        if let Entry::Vacant(vacant) = watched.entry(path) {
            match watcher.watch(vacant.key(), RecursiveMode::NonRecursive) {
                Ok(()) => drop(vacant.insert(folder)),
                Err(_) => all = false,
            }
        }
    }
    all
}

/// Device and inode of a folder: one that was replaced has to be watched anew.
type Folder = (u64, u64);

fn folder(path: &Path) -> Option<Folder> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}
