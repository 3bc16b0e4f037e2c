//! The folder in the cache where finished components are kept, and what they were made from.
//!
//! Every file appears under its final name complete or not at all: it is written in `tmp/`, flushed, and renamed. One
//! lock serialises the processes that build; looking whether anything has to be built needs no lock.

use std::{
    collections::HashSet,
    fs::{self, File, FileTimes, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{inputs::Inputs, progress::Progress};

/// First bytes of a component: `\0asm`, version 13, layer 1 (component-model/design/mvp/Binary.md).
const COMPONENT_MAGIC: [u8; 8] = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
/// First bytes of a core module: `\0asm`, version 1, layer 0.
const MODULE_MAGIC: [u8; 8] = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/// How often a waiting process looks whether the other one has finished.
const LOCK_POLL: Duration = Duration::from_millis(100);
/// How long a component that no source leads to any more is kept, for one who goes back to it.
const UNUSED_KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// `<cache>/` as the builds use it: `components/`, `stamps/`, `logs/`, `tmp/`, `build.lock`, and the tools' own folders.
#[derive(Debug, Clone)]
pub(super) struct Store {
    root: PathBuf,
}

/// The last build of one recipe.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) inputs: Inputs,
    /// Names the file in `components/`.
    pub(super) component: String,
    /// The file's size in bytes, and its modification time in nanoseconds since the epoch: it was not touched since.
    size: u64,
    modified: u64,
}

/// Held while building; let go when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Store {
    pub(super) fn open(cache_dir: &Path) -> Result<Store> {
        let store = Store { root: cache_dir.to_owned() };
        for folder in ["components", "stamps", "logs", "tmp"] {
            let path = store.root.join(folder);
            fs::create_dir_all(&path).with_context(|| {
                format!(
                    "cannot make {}; set GUESTHOUSE_CACHE_DIR to a folder that can be written",
                    path.display()
                )
            })?;
        }
        Ok(store)
    }

    /// A folder or file of the cache by its name.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Waits for other processes that build with this cache, and clears away what an interrupted one left.
    pub(super) async fn lock(&self, progress: &Progress) -> Result<Lock> {
        let path = self.path("build.lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.with_context(|| format!("cannot open {}", path.display()))?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        let mut holder = String::new();
                        let _unread = file.read_to_string(&mut holder);
                        progress.note(&format!("waiting for another build ({})", holder.trim()));
                        told = true;
                    }
                    tokio::time::sleep(LOCK_POLL).await;
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
        }
        // Only for the message of one that waits.
        let _untold = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "process {}", std::process::id()));
        let tmp = self.path("tmp");
        fs::remove_dir_all(&tmp)
            .and_then(|()| fs::create_dir(&tmp))
            .context("cannot clear the cache's tmp folder")?;
        Ok(Lock { _file: file })
    }

    /// A folder for unfinished work, on the file system of the cache; removed when dropped.
    pub(super) fn scratch(&self) -> Result<tempfile::TempDir> {
        tempfile::tempdir_in(self.path("tmp")).context("cannot make a folder in the cache")
    }

    pub(super) fn stamp(&self, recipe: &str) -> Option<Stamp> {
        read_json(&self.stamp_path(recipe))
    }

    pub(super) fn write_stamp(&self, recipe: &str, inputs: Inputs, component: &str) -> Result<()> {
        let (size, modified) = looks(&self.component_path(component))?;
        let stamp = Stamp { inputs, component: component.to_owned(), size, modified };
        let path = self.stamp_path(recipe);
        let mut file =
            tempfile::NamedTempFile::new_in(self.path("tmp")).context("cannot write to the cache")?;
        let written =
            serde_json::to_vec(&stamp).map_err(io::Error::from).and_then(|json| file.write_all(&json));
        written.with_context(|| format!("cannot write {}", path.display()))?;
        file.persist(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    /// The stamp's component, if it is still there as it was written.
    pub(super) fn stamped(&self, stamp: &Stamp) -> Option<PathBuf> {
        let path = self.component_path(&stamp.component);
        (looks(&path).ok()? == (stamp.size, stamp.modified)).then_some(path)
    }

    /// A component that was made before from the same things.
    pub(super) fn component(&self, key: &str) -> Option<PathBuf> {
        let path = self.component_path(key);
        check_component(&path).is_ok().then_some(path)
    }

    /// Takes a finished component in, under the name `key`.
    pub(super) fn keep(&self, key: &str, made: &Path) -> Result<PathBuf> {
        let path = self.component_path(key);
        copy_into_place(made, &path, &self.path("tmp"))?;
        Ok(path)
    }

    /// Removes components that no stamp leads to and that are old, and stamps of sources that are there no more.
    pub(super) fn prune(&self) -> Result<()> {
        let mut used = HashSet::new();
        for entry in fs::read_dir(self.path("stamps"))? {
            let path = entry?.path();
            match read_json::<Stamp>(&path) {
                Some(stamp) if !stamp.inputs.are_gone() => {
                    used.insert(self.component_path(&stamp.component));
                }
                Some(_) | None => fs::remove_file(path)?,
            }
        }
        let now = SystemTime::now();
        for entry in fs::read_dir(self.path("components"))? {
            let entry = entry?;
            let age = entry.metadata()?.modified().ok().and_then(|made| now.duration_since(made).ok());
            if !used.contains(&entry.path()) && age.is_some_and(|age| age > UNUSED_KEPT) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn component_path(&self, key: &str) -> PathBuf {
        self.root.join("components").join(key).with_extension("wasm")
    }

    fn stamp_path(&self, recipe: &str) -> PathBuf {
        self.root.join("stamps").join(recipe).with_extension("json")
    }
}

/// Whether `target` is a copy of `kept` that [`place`] made.
pub(super) fn is_placed(kept: &Path, target: &Path) -> bool {
    matches!((looks(kept), looks(target)), (Ok(kept), Ok(target)) if kept == target)
}

/// Copies a component to where the plan wants it, in one step as seen from outside.
///
/// A copy and not a hard link: whoever overwrites the file in place must not change the one in the cache with it. The
/// copy keeps the modification time, by which [`is_placed`] knows it.
pub(super) fn place(kept: &Path, target: &Path) -> Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    copy_into_place(kept, target, folder)
}

/// Refuses what is no component, saying what it is instead.
///
/// # Errors
/// No such file, a core module, anything else.
pub(super) fn check_component(path: &Path) -> Result<u64> {
    let mut magic = [0; 8];
    let shown = path.display();
    let mut file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
    let meta = file.metadata().with_context(|| format!("cannot read {shown}"))?;
    match file.read_exact(&mut magic) {
        Ok(()) if magic == COMPONENT_MAGIC => Ok(meta.len()),
        Ok(()) if magic == MODULE_MAGIC => bail!(
            "{shown} is a core WebAssembly module, not a component\n\
             help: build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`"
        ),
        Ok(()) | Err(_) => bail!("{shown} is not a WebAssembly component"),
    }
}

fn copy_into_place(from: &Path, to: &Path, tmp: &Path) -> Result<()> {
    let copy = || -> io::Result<()> {
        let mut source = File::open(from)?;
        let mut file = tempfile::Builder::new().prefix(".guesthouse-").tempfile_in(tmp)?;
        io::copy(&mut source, file.as_file_mut())?;
        file.as_file().set_times(FileTimes::new().set_modified(source.metadata()?.modified()?))?;
        file.as_file().set_permissions(ordinary_mode())?;
        file.as_file().sync_all()?;
        file.persist(to)?;
        Ok(())
    };
    copy().with_context(|| format!("cannot write {}", to.display()))
}

/// Temporary files are made for their owner's eyes alone; a component is an ordinary file.
fn ordinary_mode() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

/// Size in bytes and modification time in nanoseconds since the epoch.
fn looks(path: &Path) -> io::Result<(u64, u64)> {
    let meta = fs::metadata(path)?;
    let since = meta.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok((meta.len(), u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
}

/// `None` for a file that is missing, or that an older or newer version wrote in its own way.
fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::{super::inputs::Kind, *};

    fn component(dir: &Path, tail: &[u8]) -> PathBuf {
        let path = dir.join("made.wasm");
        fs::write(&path, [&COMPONENT_MAGIC, tail].concat()).unwrap();
        path
    }

    #[test]
    fn only_components_pass() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check_component(&component(dir.path(), b"...")).unwrap(), 11);
        let path = dir.path().join("other.wasm");
        fs::write(&path, MODULE_MAGIC).unwrap();
        assert!(check_component(&path).unwrap_err().to_string().contains("core WebAssembly module"));
        fs::write(&path, "text").unwrap();
        assert!(check_component(&path).unwrap_err().to_string().contains("not a WebAssembly component"));
    }

    #[test]
    fn a_placed_copy_is_known_until_it_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let kept = store.keep("abc", &component(dir.path(), b"1")).unwrap();
        let target = dir.path().join("house/.guesthouse/components/a.wasm");
        assert!(!is_placed(&kept, &target));
        place(&kept, &target).unwrap();
        assert!(is_placed(&kept, &target));
        fs::write(&target, "overwritten in place").unwrap();
        assert!(!is_placed(&kept, &target));
        assert!(store.component("abc").is_some());
    }

    #[test]
    fn a_stamp_leads_to_its_component_unless_that_was_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let kept = store.keep("abc", &component(dir.path(), b"1")).unwrap();
        store.write_stamp("recipe", Inputs::read(Kind::Rust, vec![], [], None).unwrap(), "abc").unwrap();
        let stamp = store.stamp("recipe").unwrap();
        assert_eq!(store.stamped(&stamp), Some(kept.clone()));
        fs::write(&kept, "damaged").unwrap();
        assert_eq!(store.stamped(&stamp), None);
        fs::write(store.stamp_path("recipe"), "not JSON").unwrap();
        assert!(store.stamp("recipe").is_none());
    }

    #[test]
    fn pruning_spares_what_is_young_or_used() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let old = SystemTime::now() - 2 * UNUSED_KEPT;
        for key in ["used", "unused", "young"] {
            let made = component(dir.path(), key.as_bytes());
            if key != "young" {
                File::options().append(true).open(&made).unwrap().set_modified(old).unwrap();
            }
            store.keep(key, &made).unwrap();
        }
        let sources = dir.path().join("sources");
        fs::create_dir(&sources).unwrap();
        let inputs = Inputs::read(Kind::Rust, vec![sources], [], None).unwrap();
        store.write_stamp("recipe", inputs, "used").unwrap();
        store.prune().unwrap();
        assert_eq!(
            ["used", "unused", "young"].map(|key| store.component(key).is_some()),
            [true, false, true]
        );
    }
}
