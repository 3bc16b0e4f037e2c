//! Components by their digest, each written beside its name, synced, and renamed to it.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::{SCRAP, private_dir, remove_scraps, sync_dir};
use crate::engine::cache::ComponentDigest;

/// How long an uploaded component waits for a swap that names it.
const UPLOAD_KEPT: Duration = Duration::from_secs(3_600);

/// The folder of components.
pub struct Components {
    dir: PathBuf,
    /// Components that came a short while ago.
    fresh: Mutex<HashMap<ComponentDigest, Fresh>>,
    /// Components that the state names.
    named: Mutex<BTreeSet<ComponentDigest>>,
}

/// How a component came.
struct Fresh {
    at: Instant,
    /// It may be asked for again; else it is of no more use once a state has named it.
    uploaded: bool,
    /// How often it came and was not let go: two may bring the same one at a time.
    wanted: usize,
}

/// A component on its way into the folder. Dropped, it leaves nothing behind.
pub struct Upload {
    file: tempfile::NamedTempFile,
    digest: Sha256,
    bytes: u64,
}

impl Upload {
    /// # Errors
    /// When the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.as_file_mut().write_all(bytes);
        written.with_context(|| format!("writing {}", self.file.path().display()))?;
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Components {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, fresh: Mutex::default(), named: Mutex::default() }
    }

    fn fresh(&self) -> MutexGuard<'_, HashMap<ComponentDigest, Fresh>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn named(&self) -> MutexGuard<'_, BTreeSet<ComponentDigest>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a component go that turned out to be of no use to one who brought it.
    pub fn forget(&self, digest: &ComponentDigest) {
        // Held until the file is gone, so that it is none that comes meanwhile.
        let mut fresh = self.fresh();
        if let Some(came) = fresh.get_mut(digest)
            && came.wanted > 1
        {
            came.wanted -= 1;
            return;
        }
        fresh.remove(digest);
        if !self.named().contains(digest) {
            // Where it cannot be removed now, that is tried again with the next state.
            let _ = fs::remove_file(self.path_of(digest));
        }
    }

    /// Removes what an earlier process left half done.
    pub(super) fn clean(&self) {
        remove_scraps(&self.dir);
    }

    fn path_of(&self, digest: &ComponentDigest) -> PathBuf {
        self.dir.join(digest.as_str()).with_extension("wasm")
    }

    /// Where a component is, if it is there.
    pub fn path(&self, digest: &ComponentDigest) -> Option<PathBuf> {
        Some(self.path_of(digest)).filter(|path| path.is_file())
    }

    /// # Errors
    /// When the folder cannot be written.
    pub fn upload(&self) -> Result<Upload> {
        let make = || {
            private_dir(&self.dir)?;
            tempfile::Builder::new().prefix(SCRAP).tempfile_in(&self.dir)
        };
        let file = make().with_context(|| format!("writing to {}", self.dir.display()))?;
        Ok(Upload { file, digest: Sha256::new(), bytes: 0 })
    }

    /// Puts an upload in place. It is on the disk when this returns.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn finish(&self, upload: Upload) -> Result<(ComponentDigest, PathBuf)> {
        self.put(upload, true)
    }

    fn put(&self, upload: Upload, uploaded: bool) -> Result<(ComponentDigest, PathBuf)> {
        let digest = ComponentDigest::from_hasher(upload.digest);
        let path = self.path_of(&digest);
        // Before it is there, so that it is not taken for one that nobody wants.
        let at = Instant::now();
        self.fresh()
            .entry(digest.clone())
            .and_modify(|came| {
                *came = Fresh { at, uploaded: uploaded || came.uploaded, wanted: came.wanted + 1 }
            })
            .or_insert(Fresh { at, uploaded, wanted: 1 });
        let put = || {
            upload.file.as_file().sync_all()?;
            upload.file.persist(&path).map_err(|error| error.error)?;
            sync_dir(&self.dir)
        };
        let put = put().with_context(|| format!("writing {}", path.display()));
        if let Err(error) = put {
            self.forget(&digest);
            return Err(error);
        }
        Ok((digest, path))
    }

    /// Copies a component file into the folder, as it is at this moment.
    ///
    /// # Errors
    /// When the file cannot be read, or the folder not be written.
    pub fn copy(&self, file: &Path) -> Result<(ComponentDigest, PathBuf)> {
        let mut source = File::open(file).with_context(|| format!("reading {}", file.display()))?;
        let mut upload = self.upload()?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            match source.read(&mut buffer).with_context(|| format!("reading {}", file.display()))? {
                0 => return self.put(upload, false),
                n => upload.write(buffer.get(..n).unwrap_or_default())?,
            }
        }
    }

    /// Lets go of the components that are not among these, and did not come just now.
    pub(super) fn retain(&self, wanted: &BTreeSet<ComponentDigest>) {
        self.named().clone_from(wanted);
        let mut fresh = self.fresh();
        fresh.retain(|digest, fresh| {
            fresh.at.elapsed() < UPLOAD_KEPT && (fresh.uploaded || !wanted.contains(digest))
        });
        let wanted: BTreeSet<PathBuf> =
            wanted.iter().chain(fresh.keys()).map(|digest| self.path_of(digest)).collect();
        // What cannot be removed now is tried again the next time.
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "wasm") && !wanted.contains(&path) {
                let _ = fs::remove_file(path);
            }
        }
    }
}
