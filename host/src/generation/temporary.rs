//! Folders for the temporary files of single instances (`grants.dirs` with `temporary`): made with the instance, gone
//! with it.
//!
//! Those of one generation lie in a folder of their own below the system's for temporary files. It goes with the generation;
//! what a process that was killed has left there goes when the next one makes its first.

use std::{
    collections::BTreeSet,
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
    time::Duration,
};

use tempfile::TempDir;
use tokio::runtime::Handle;

const PREFIX: &str = "guesthouse-files-";
/// A folder may be looked at before whoever made it has locked it.
const YOUNG: Duration = Duration::from_secs(60);

/// All that this process has made and that are not gone yet.
static ROOTS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The folders of one generation.
#[derive(Debug, Default)]
pub(crate) struct Temporary(Mutex<Option<Arc<Root>>>);

/// What the folders of the instances lie in.
#[derive(Debug)]
pub(crate) struct Root {
    folder: TempDir,
    /// Locked as long as somebody uses it.
    _lock: File,
}

/// One instance's.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: Option<TempDir>,
    _root: Arc<Root>,
}

impl Temporary {
    /// A new and empty one.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub(crate) fn folder(&self) -> io::Result<Folder> {
        let root = self.root()?;
        let folder = private().tempdir_in(root.folder.path())?;
        Ok(Folder { folder: Some(folder), _root: root })
    }

    /// What all of them lie in.
    pub(crate) fn root(&self) -> io::Result<Arc<Root>> {
        let mut root = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = &*root {
            return Ok(root.clone());
        }
        Ok(root.insert(Arc::new(Root::new(&std::env::temp_dir())?)).clone())
    }
}

impl Root {
    fn new(parent: &Path) -> io::Result<Self> {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(|| sweep(parent));
        let folder = private().prefix(PREFIX).tempdir_in(parent)?;
        let lock = File::open(folder.path())?;
        lock.lock()?;
        roots().insert(folder.path().to_owned());
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        roots().remove(self.folder.path());
    }
}

/// Removes all folders of this process, which ends: what still has them does not drop them any more.
pub(crate) fn remove_all() {
    for root in std::mem::take(&mut *roots()) {
        let _ = fs::remove_dir_all(root);
    }
}

fn roots() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    ROOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let Some(folder) = self.folder.take() else { return };
        // Most are empty.
        if fs::remove_dir(folder.path()).is_ok() {
            let _ = folder.keep();
            return;
        }
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(folder))),
            Err(_) => drop(folder),
        }
    }
}

fn private() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.permissions(Permissions::from_mode(0o700));
    builder
}

/// Removes what this user's processes have left that are gone. What cannot be removed stays: somebody else may be at it.
fn sweep(parent: &Path) {
    let user = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Ok(meta) = entry.metadata() else { continue };
        let young = meta.modified().is_ok_and(|time| time.elapsed().is_ok_and(|age| age < YOUNG));
        let Ok(folder) = File::open(entry.path()) else { continue };
        if meta.is_dir() && meta.uid() == user && !young && folder.try_lock().is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_folder_goes_with_all_that_is_in_it() {
        let temporary = Temporary::default();
        let (empty, full) = (temporary.folder().unwrap(), temporary.folder().unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(empty.path()), mode(temporary.root().unwrap().path())), (0o700, 0o700));
        fs::create_dir(full.path().join("folder")).unwrap();
        fs::write(full.path().join("folder/file"), "text").unwrap();
        let paths = [empty.path().to_owned(), full.path().to_owned()];
        drop((empty, full));
        assert!(paths.iter().all(|path| !path.exists()));
        let root = temporary.root().unwrap().path().to_owned();
        drop(temporary);
        assert!(!root.exists());
    }

    #[test]
    fn what_is_left_of_others_is_removed_once_they_are_gone() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str, minutes: u64| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("file"), "text").unwrap();
            let then = SystemTime::now() - Duration::from_secs(60 * minutes);
            File::open(&path).unwrap().set_modified(then).unwrap();
            path
        };
        let gone = make("guesthouse-files-gone", 5);
        let kept = [make("guesthouse-files-young", 0), make("guesthouse-files-used", 5), make("another", 5)];
        let used = File::open(&kept[1]).unwrap();
        used.lock().unwrap();
        sweep(parent.path());
        assert!(!gone.exists());
        assert!(kept.iter().all(|path| path.join("file").exists()));
    }
}
