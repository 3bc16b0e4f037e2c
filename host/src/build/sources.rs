//! The files that an app's source consists of, for those who watch them. Nothing is read, only looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{
    inputs::{self, Kind},
    job::Job,
    python,
    store::Store,
};
use crate::plan::{App, Source};

/// Files with their looks.
pub(crate) type Files = BTreeMap<PathBuf, Option<Look>>;

/// What differs when a file is replaced or written: device, inode, size, and the time of its last change.
pub(crate) type Look = (u64, u64, u64, i64, i64);

/// The files of one app's source as they look now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    /// A change of these wants another component.
    pub(crate) built: Files,
    /// These are mounted: a change wants another instance of the same.
    pub(crate) mounted: Files,
    /// Where others may appear.
    pub(crate) folders: BTreeSet<PathBuf>,
}

/// How a file looks, if it is there.
pub(crate) fn look(path: &Path) -> Option<Look> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec()))
}

impl Sources {
    /// The sources of an app whose manifest is in `folder`, but for what is below `without`.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub(crate) fn of(app: &App, folder: &Path, cache_dir: &Path, without: &[PathBuf]) -> Result<Sources> {
        let mut sources = Sources::default();
        let Some(source) = &app.source else { return Ok(sources) };
        match source {
            Source::Python(python) => {
                for file in python::requirement_files(python.requirements.as_deref())? {
                    sources.add_built(file);
                }
                let files = sources.walk(Kind::Python, &python.dir, without)?;
                let files = files.into_iter().map(|path| (path.clone(), look(&path)));
                if python.mounted { sources.mounted.extend(files) } else { sources.built.extend(files) }
            }
            Source::Rust(rust) => {
                for file in sources.walk(Kind::Rust, &rust.dir, without)? {
                    sources.add_built(file);
                }
                // What the compiler read the last time: crates in other folders, too.
                let recipe = Job::of(vec![app]).first().and_then(Job::recipe);
                let store = Store::open(cache_dir)?;
                let stamp = recipe.and_then(|recipe| store.stamp(&recipe));
                for path in stamp.into_iter().flat_map(|stamp| stamp.inputs.paths()) {
                    if !path.is_dir() {
                        sources.add_built(path);
                    }
                }
            }
            Source::Js(js) => {
                for file in sources.walk(Kind::Js, &js.root, without)? {
                    sources.add_built(file);
                }
            }
            Source::Command { .. } => {
                for file in sources.walk(Kind::Rust, folder, without)? {
                    sources.add_built(file);
                }
            }
        }
        Ok(sources)
    }

    /// All that is to be watched.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.built.keys().chain(self.mounted.keys())
    }

    fn add_built(&mut self, path: PathBuf) {
        let seen = look(&path);
        self.built.insert(path, seen);
    }

    fn walk(&mut self, kind: Kind, tree: &Path, without: &[PathBuf]) -> Result<Vec<PathBuf>> {
        let below = inputs::walk(kind, tree, without)?;
        self.folders.extend(below.folders);
        Ok(below.files)
    }
}
