//! Whether a file is another one than before, and the digests of components.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::Result;

use crate::engine::cache::ComponentDigest;

/// How old a file must be for its digest to be remembered: a younger one may be written again within the file system's
/// idea of the same moment.
const SETTLED: Duration = Duration::from_secs(2);

/// Digests of files, so that those that did not change are not read again.
#[derive(Debug, Default)]
pub(super) struct Digests(HashMap<PathBuf, (Signature, ComponentDigest)>);

/// What differs when a file is replaced or written: device, inode, size, and the time of its last change.
pub(super) type Signature = (u64, u64, u64, i64, i64);

/// The signature of a file, if it is there.
pub(super) fn signature(path: &Path) -> Option<Signature> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec()))
}

/// The time of a file's last change.
fn changed_at((.., seconds, nanoseconds): &Signature) -> SystemTime {
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(part(*seconds)) + Duration::from_nanos(part(*nanoseconds))
}

impl Digests {
    pub(super) fn of_file(&mut self, path: &Path) -> Result<ComponentDigest> {
        let now = signature(path);
        if let (Some(now), Some((then, digest))) = (now, self.0.get(path))
            && now == *then
        {
            return Ok(digest.clone());
        }
        let digest = ComponentDigest::of_file(path)?;
        let settled = |now: &Signature| changed_at(now).elapsed().is_ok_and(|age| age > SETTLED);
        match now.filter(settled) {
            Some(now) => self.0.insert(path.to_owned(), (now, digest.clone())),
            None => self.0.remove(path),
        };
        Ok(digest)
    }
}
