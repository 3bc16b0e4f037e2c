//! How much the folders may hold that an app may write to: measured when its room ends, and from then on counted with what
//! files grow. It bounds what one app can take of a disk; it does not reserve anything.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, task};
use walkdir::WalkDir;

/// What a file, folder or link takes beside its contents: with it the number of them is bounded too.
pub(crate) const ENTRY_BYTES: u64 = 4096;

/// Measurements follow each other no sooner than this, nor than so many times what the last one took: an app that writes
/// to folders that are full does not keep the disk busy.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_FACTOR: u32 = 20;

/// What the instances of a generation may write until it has to be measured again.
///
/// Nothing is given back for what is removed: that shows when it is measured.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    left: AtomicU64,
    /// When it may be measured again.
    due: Mutex<Option<Instant>>,
}

impl Quota {
    /// Bytes that may be written without a measurement.
    pub(crate) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// Counts bytes that were left when somebody looked: who did so at the same time may have taken them too.
    pub(crate) fn count(&self, bytes: u64) {
        let take = |left: u64| Some(left.saturating_sub(bytes));
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
    }

    /// Takes so many bytes of the `max` that these folders may hold together, measured anew. False where they would hold
    /// more.
    pub(crate) async fn take_measured(&self, bytes: u64, folders: BTreeSet<PathBuf>, max: u64) -> bool {
        let mut due = self.due.lock().await;
        // Who had the lock may have measured.
        if self.try_take(bytes) {
            return true;
        }
        let begun = Instant::now();
        if due.is_some_and(|due| begun < due) {
            return false;
        }
        let held = task::spawn_blocking(move || held(&folders, max)).await.unwrap_or(max);
        *due = Some(Instant::now() + PAUSE_MIN.max(begun.elapsed() * PAUSE_FACTOR));
        self.left.store(max.saturating_sub(held), Ordering::Relaxed);
        self.try_take(bytes)
    }

    /// Takes so many bytes of what is left without a measurement, if it is enough.
    pub(crate) fn try_take(&self, bytes: u64) -> bool {
        let take = |left: u64| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// Bytes that folders hold with all below them; no longer counted than up to `max`.
fn held(folders: &BTreeSet<PathBuf>, max: u64) -> u64 {
    let mut held = 0;
    for entry in folders.iter().flat_map(|folder| WalkDir::new(folder).min_depth(1)) {
        // What has gone meanwhile takes no room.
        let Ok(metadata) = entry.and_then(|entry| entry.metadata()) else { continue };
        // What has holes counts as if it had none.
        held += ENTRY_BYTES + if metadata.is_file() { metadata.len() } else { 0 };
        if held >= max {
            break;
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    async fn take(quota: &Quota, bytes: u64, folder: &Path, max: u64) -> bool {
        quota.try_take(bytes) || quota.take_measured(bytes, [folder.to_owned()].into(), max).await
    }

    #[tokio::test]
    async fn what_folders_hold_counts_and_what_is_removed_counts_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, [0; 10_000]).unwrap();
        let quota = Quota::default();
        let take = |bytes| take(&quota, bytes, folder.path(), 20_000);
        assert!(!take(6_000).await, "with the file's own {ENTRY_BYTES} bytes there is less room");
        assert!(take(5_000).await, "room that was measured is there without another measurement");
        fs::remove_file(&file).unwrap();
        assert!(!take(6_000).await, "the next measurement is not due yet");
        *quota.due.lock().await = None;
        assert!(take(20_000).await);
        assert!(!take(1).await);
    }

    #[tokio::test]
    async fn room_that_is_left_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let quota = Quota::default();
        let mut taken = 0;
        while take(&quota, 100, folder.path(), 1_000).await {
            taken += 1;
        }
        assert_eq!(taken, 10);
    }
}
