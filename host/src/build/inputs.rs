//! What a component was made from: files with their content, compared cheaply from one build to the next.
//!
//! A file whose size, inode and times are what they were is taken to have the content it had (as git and rsync do);
//! any other is hashed. Times too close to the moment of looking prove nothing, because a second write may carry the
//! same one, so such files are hashed again the next time. This module runs no tool and knows no language.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use walkdir::{DirEntry, WalkDir};

/// Which files of a folder are sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// Whatever goes into the component; `guests/python/builder/bundle.py` leaves out what is left out here.
    Python,
    /// Folders that tools mark as their caches (<https://bford.info/cachedir/>), such as cargo's `target`, are none. What
    /// the compiler reads for all that, it tells (see `depinfo`).
    Rust,
    /// Whatever esbuild may read, but for installed packages, which a lockfile tells.
    Js,
}

const FOLDERS_LEFT_OUT: &[&str] = &["__pycache__", "node_modules"];
const FILES_LEFT_OUT: &[&str] =
    &[".pyc", ".pyo", ".sqlite3", ".sqlite3-journal", ".sqlite3-wal", ".sqlite3-shm", ".wasm"];

/// Coarsest step of the file-time clocks in use, in nanoseconds: kernels stamp files once per timer tick (10 ms at
/// most), and some file systems keep two seconds.
const CLOCK_STEP_NS: i64 = 2_000_000_000;

/// Files and their content at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Inputs {
    kind: Kind,
    /// Folders of which every file counts, those that come later too.
    trees: Vec<PathBuf>,
    /// By absolute path. `None`: there was no such file, and its appearing would be a change.
    files: BTreeMap<PathBuf, Option<Seen>>,
    /// Nanoseconds since the epoch, before the first file was looked at.
    taken: i64,
    /// How many files were read for this.
    #[serde(skip)]
    hashed: usize,
}

/// One file as it was when last looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Seen {
    size: u64,
    inode: u64,
    modified: i64,
    changed: i64,
    sha256: String,
}

impl Inputs {
    /// Reads the files of `trees` and the single files `extra`. Contents that `known` already has are not read again.
    ///
    /// # Errors
    /// A folder or file that exists and cannot be read.
    pub(super) fn read(
        kind: Kind,
        trees: Vec<PathBuf>,
        extra: impl IntoIterator<Item = PathBuf>,
        known: Option<&Inputs>,
    ) -> Result<Inputs> {
        let taken = now_ns();
        let mut inputs = Inputs { kind, trees, files: BTreeMap::new(), taken, hashed: 0 };
        for tree in inputs.trees.clone() {
            for path in files_below(kind, &tree)? {
                inputs.add(path, known)?;
            }
        }
        for path in extra {
            inputs.add(path, known)?;
        }
        Ok(inputs)
    }

    /// The same folders and files, as they are now.
    ///
    /// # Errors
    /// As [`Inputs::read`].
    pub(super) fn again(&self) -> Result<Inputs> {
        // Files that the folders had and have no more are recorded as such.
        Inputs::read(self.kind, self.trees.clone(), self.files.keys().cloned(), Some(self))
    }

    /// Whether both have the same files with the same content, whatever their times.
    pub(super) fn same_content(&self, other: &Inputs) -> bool {
        self.files.len() == other.files.len()
            && self.files.iter().zip(&other.files).all(|((path, seen), (other_path, other_seen))| {
                path == other_path && content(seen.as_ref()) == content(other_seen.as_ref())
            })
    }

    /// Whether any file had to be read, its times proving nothing: then this is the better record to keep.
    pub(super) fn is_news(&self) -> bool {
        self.hashed > 0
    }

    /// The first file of the same folders that has another content in `later`, or that only one of both has. The
    /// lockfile of cargo does not count: cargo writes it when it builds.
    pub(super) fn first_change<'a>(&'a self, later: &'a Inputs) -> Option<&'a Path> {
        let differs = |path: &Path| content(self.get(path)) != content(later.get(path));
        let mut paths = self.files.keys().chain(later.files.keys()).map(PathBuf::as_path);
        paths.find(|path| self.in_tree(path) && !path.ends_with("Cargo.lock") && differs(path))
    }

    /// Whether the folders are there no more, or the files where there are none: nobody will build them again.
    pub(super) fn are_gone(&self) -> bool {
        let mut all = self.trees.iter().chain(self.files.keys().filter(|_| self.trees.is_empty())).peekable();
        all.peek().is_some() && !all.any(|path| path.exists())
    }

    /// The folders and files by themselves.
    pub(super) fn paths(self) -> impl Iterator<Item = PathBuf> {
        self.trees.into_iter().chain(self.files.into_keys())
    }

    /// Feeds names (relative to their tree, so that the same sources elsewhere are the same) and contents.
    pub(super) fn digest_into(&self, hasher: &mut Sha256) {
        for (path, seen) in &self.files {
            let name = self.trees.iter().find_map(|tree| path.strip_prefix(tree).ok()).unwrap_or(path);
            let name = name.as_os_str().as_encoded_bytes();
            hasher.update((name.len() as u64).to_le_bytes());
            hasher.update(name);
            hasher.update(content(seen.as_ref()).unwrap_or("absent"));
        }
    }

    fn add(&mut self, path: PathBuf, known: Option<&Inputs>) -> Result<()> {
        if self.files.contains_key(&path) {
            return Ok(());
        }
        let seen = match metadata(&path)? {
            None => None,
            Some(meta) => match known.and_then(|known| known.believed(&path, &meta)) {
                Some(seen) => Some(seen.clone()),
                None => {
                    self.hashed += 1;
                    Some(Seen::read(&path, &meta)?)
                }
            },
        };
        self.files.insert(path, seen);
        Ok(())
    }

    /// What is known of a file that must have the content it had, by its looks and their age.
    fn believed(&self, path: &Path, meta: &Metadata) -> Option<&Seen> {
        let seen = self.files.get(path)?.as_ref()?;
        let newest = seen.changed.max(seen.modified);
        (seen.looks_like(meta) && newest < self.taken.saturating_sub(CLOCK_STEP_NS)).then_some(seen)
    }

    fn get(&self, path: &Path) -> Option<&Seen> {
        self.files.get(path)?.as_ref()
    }

    fn in_tree(&self, path: &Path) -> bool {
        self.trees.iter().any(|tree| path.starts_with(tree))
    }
}

impl Seen {
    fn read(path: &Path, meta: &Metadata) -> Result<Seen> {
        Ok(Seen {
            size: meta.size(),
            inode: meta.ino(),
            modified: nanoseconds(meta.mtime(), meta.mtime_nsec()),
            changed: nanoseconds(meta.ctime(), meta.ctime_nsec()),
            sha256: sha256_file(path)?,
        })
    }

    fn looks_like(&self, meta: &Metadata) -> bool {
        self.size == meta.size()
            && self.inode == meta.ino()
            && self.modified == nanoseconds(meta.mtime(), meta.mtime_nsec())
            && self.changed == nanoseconds(meta.ctime(), meta.ctime_nsec())
    }
}

/// SHA-256 of a file, in hexadecimal.
pub(super) fn sha256_file(path: &Path) -> Result<String> {
    let read = || -> io::Result<String> {
        let (mut file, mut hasher) = (File::open(path)?, Sha256::new());
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex::encode(hasher.finalize())),
                read => hasher.update(buffer.get(..read).unwrap_or_default()),
            }
        }
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

fn content(seen: Option<&Seen>) -> Option<&str> {
    seen.map(|seen| seen.sha256.as_str())
}

/// `None` where there is no such file, or something that is none.
fn metadata(path: &Path) -> Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(meta) => Ok(meta.is_file().then_some(meta)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn files_below(kind: Kind, tree: &Path) -> Result<Vec<PathBuf>> {
    Ok(walk(kind, tree, &[])?.files)
}

/// What is below a folder.
#[derive(Debug, Default)]
pub(super) struct Below {
    pub(super) files: Vec<PathBuf>,
    /// Itself, and those in it.
    pub(super) folders: Vec<PathBuf>,
}

/// The sources below a folder, but for what is below those to be left out.
pub(super) fn walk(kind: Kind, tree: &Path, without: &[PathBuf]) -> Result<Below> {
    let mut below = Below::default();
    let wanted =
        |entry: &DirEntry| is_source(kind, entry) && !without.iter().any(|path| path == entry.path());
    for entry in WalkDir::new(tree).follow_links(true).into_iter().filter_entry(wanted) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => below.files.push(entry.into_path()),
            Ok(entry) if entry.file_type().is_dir() => below.folders.push(entry.into_path()),
            Ok(_) => {}
            // A link to nowhere or in a circle has no content of its own, and editors leave such links as locks.
            Err(error) if error.depth() > 0 && (error.loop_ancestor().is_some() || is_gone(&error)) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read the sources in {}", tree.display()));
            }
        }
    }
    Ok(below)
}

fn is_source(kind: Kind, entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    if entry.depth() == 0 {
        return true;
    }
    // Version control, caches, editors' files; and `.env`, which may hold secrets.
    if name.starts_with('.') {
        return false;
    }
    if !entry.file_type().is_dir() {
        return !FILES_LEFT_OUT.iter().any(|ending| name.ends_with(ending));
    }
    let has = |file: &str| entry.path().join(file).exists();
    !(FOLDERS_LEFT_OUT.contains(&&*name) || has("pyvenv.cfg") || (kind == Kind::Rust && has("CACHEDIR.TAG")))
}

fn is_gone(error: &walkdir::Error) -> bool {
    error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn nanoseconds(seconds: i64, fraction: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(fraction)
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("pkg/__pycache__")).unwrap();
        fs::create_dir_all(dir.path().join("target")).unwrap();
        fs::write(dir.path().join("pkg/a.py"), "one").unwrap();
        fs::write(dir.path().join("pkg/__pycache__/a.pyc"), "x").unwrap();
        fs::write(dir.path().join("target/out"), "x").unwrap();
        fs::write(dir.path().join("target/CACHEDIR.TAG"), "x").unwrap();
        fs::write(dir.path().join("db.sqlite3"), "x").unwrap();
        dir
    }

    fn read(dir: &Path) -> Inputs {
        Inputs::read(Kind::Rust, vec![dir.to_owned()], [dir.join("absent.toml")], None).unwrap()
    }

    fn digest(inputs: &Inputs) -> String {
        let mut hasher = Sha256::new();
        inputs.digest_into(&mut hasher);
        hex::encode(hasher.finalize())
    }

    #[test]
    fn leavings_of_tools_are_no_sources() {
        let dir = tree();
        let paths: Vec<_> = read(dir.path()).files.into_keys().collect();
        assert_eq!(paths, [dir.path().join("absent.toml"), dir.path().join("pkg/a.py")]);
    }

    #[test]
    fn a_python_package_may_be_called_as_cargos_folder_is() {
        let dir = tree();
        let inputs = Inputs::read(Kind::Python, vec![dir.path().join("target")], [], None).unwrap();
        assert_eq!(inputs.files.len(), 2);
    }

    #[test]
    fn a_rewrite_of_the_same_length_within_one_clock_tick_is_seen() {
        let dir = tree();
        let before = read(dir.path());
        fs::write(dir.path().join("pkg/a.py"), "two").unwrap();
        let after = before.again().unwrap();
        assert!(!before.same_content(&after));
        assert_eq!(before.first_change(&after), Some(dir.path().join("pkg/a.py").as_path()));
    }

    #[test]
    fn files_that_come_or_go_are_changes() {
        let dir = tree();
        let before = read(dir.path());
        fs::write(dir.path().join("absent.toml"), "now here").unwrap();
        assert!(!before.same_content(&before.again().unwrap()));
        fs::remove_file(dir.path().join("absent.toml")).unwrap();
        assert!(before.same_content(&before.again().unwrap()));
        fs::write(dir.path().join("pkg/b.py"), "new").unwrap();
        assert_eq!(
            before.first_change(&before.again().unwrap()),
            Some(dir.path().join("pkg/b.py").as_path())
        );
        fs::remove_file(dir.path().join("pkg/b.py")).unwrap();
        fs::remove_file(dir.path().join("pkg/a.py")).unwrap();
        assert!(!before.same_content(&before.again().unwrap()));
    }

    #[test]
    fn old_files_are_not_read_again() {
        let dir = tree();
        let mut before = read(dir.path());
        before.taken = before.taken.saturating_add(CLOCK_STEP_NS).saturating_add(1_000_000_000);
        let path = dir.path().join("pkg/a.py");
        before.files.get_mut(&path).unwrap().as_mut().unwrap().sha256 = "remembered".to_owned();
        assert_eq!(content(before.again().unwrap().files.get(&path).unwrap().as_ref()), Some("remembered"));
    }

    #[test]
    fn the_same_sources_elsewhere_have_the_same_digest() {
        let (one, other) = (tree(), tree());
        let only = |dir: &Path| Inputs::read(Kind::Python, vec![dir.to_owned()], [], None).unwrap();
        assert_eq!(digest(&only(one.path())), digest(&only(other.path())));
        fs::write(other.path().join("pkg/a.py"), "two").unwrap();
        assert_ne!(digest(&only(one.path())), digest(&only(other.path())));
    }

    #[test]
    fn broken_links_and_circles_are_passed_over() {
        let dir = tree();
        std::os::unix::fs::symlink("nowhere", dir.path().join("pkg/.#a.py")).unwrap();
        std::os::unix::fs::symlink("..", dir.path().join("pkg/round")).unwrap();
        assert_eq!(read(dir.path()).files.len(), 2);
    }
}
