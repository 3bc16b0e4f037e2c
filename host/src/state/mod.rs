//! What a house remembers over a restart: which generation of each app serves, which are kept, and the components that
//! they are made of. It is one folder of the house's own (0700), locked while the house runs.
//!
//! `state.json` is written whole beside the old one, synced and renamed over it; components lie in `components` under
//! their digests and are put there in the same way. So whatever moment the process ends at, the folder holds the old
//! state or the new one, and every component that a state names was there before it.

mod components;
mod saved;

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};

pub use self::{
    components::{Components, Upload},
    saved::{SavedApp, SavedCanary, SavedGeneration, SavedHouse},
};

/// What the names of files begin with while they are written.
const SCRAP: &str = ".new-";

/// The folder. It is made when there is something to write.
pub struct State {
    dir: PathBuf,
    pub components: Components,
    /// Held by this process once it has used the folder.
    lock: Mutex<Option<File>>,
}

impl State {
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            components: Components::new(dir.join("components")),
            lock: Mutex::default(),
        }
    }

    /// Reads what was saved; nothing where there is no state yet. What cannot be read is moved aside, as `state.json.bad`.
    ///
    /// # Errors
    /// When another house uses the folder, or the file is there and cannot be read.
    pub fn load(&self) -> Result<SavedHouse> {
        if !self.dir.exists() {
            return Ok(SavedHouse::default());
        }
        self.lock()?;
        remove_scraps(&self.dir);
        self.components.clean();
        let path = self.file();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(SavedHouse::default()),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        match serde_json::from_slice::<SavedHouse>(&bytes) {
            Ok(saved) if saved.version == saved::VERSION => {
                self.components.retain(&saved.components());
                Ok(saved)
            }
            result => {
                let why = match result {
                    Ok(saved) => {
                        format!("it is of version {}, and this is {}", saved.version, saved::VERSION)
                    }
                    Err(error) => error.to_string(),
                };
                let aside = path.with_extension("json.bad");
                tracing::error!(
                    "{} is moved to {}: {why}; the manifest alone holds",
                    path.display(),
                    aside.display()
                );
                fs::rename(&path, &aside).with_context(|| format!("moving {} aside", path.display()))?;
                Ok(SavedHouse::default())
            }
        }
    }

    /// Writes the state, and has it on the disk when it returns. Components that it does not name are let go.
    ///
    /// # Errors
    /// When the folder cannot be written; the state is then what it was before.
    pub fn save(&self, saved: &SavedHouse) -> Result<()> {
        self.prepare()?;
        let path = self.file();
        let write = || {
            let mut file = tempfile::Builder::new().prefix(SCRAP).tempfile_in(&self.dir)?;
            serde_json::to_writer_pretty(file.as_file_mut(), saved).map_err(io::Error::from)?;
            file.as_file_mut().flush()?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            sync_dir(&self.dir)
        };
        write().with_context(|| format!("writing {}", path.display()))?;
        self.components.retain(&saved.components());
        Ok(())
    }

    /// As [`State::save`], where there is anything to remember or to forget.
    ///
    /// # Errors
    /// As [`State::save`].
    pub fn save_if_needed(&self, saved: &SavedHouse) -> Result<()> {
        if saved.apps.is_empty() && !self.file().exists() {
            return Ok(());
        }
        self.save(saved)
    }

    /// Makes the folder if it is not there, and takes it for this process.
    ///
    /// # Errors
    /// When it cannot be made, or another house has it.
    pub fn prepare(&self) -> Result<()> {
        private_dir(&self.dir).with_context(|| {
            format!("making the state folder {} (`[host] state-dir` names another)", self.dir.display())
        })?;
        self.lock()
    }

    fn lock(&self) -> Result<()> {
        // Under one lock for all threads: a second one that opens the file would find it taken, by the first.
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_some() {
            return Ok(());
        }
        let path = self.dir.join("lock");
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        let file = match opened {
            Ok(file) => file,
            // A state that cannot be written can still be read; writing it will say why.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(&self.dir)?,
            Err(error) => return Err(error).with_context(|| format!("opening {}", path.display())),
        };
        if file.try_lock().is_err() {
            bail!(
                "another house uses the state folder {}: give each its own with `[host] state-dir`",
                self.dir.display()
            );
        }
        *lock = Some(file);
        Ok(())
    }

    fn file(&self) -> PathBuf {
        self.dir.join("state.json")
    }
}

/// Makes a folder that only this user can enter.
fn private_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    if fs::metadata(dir)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Removes files that were being written when an earlier process ended. What cannot be removed harms nobody.
fn remove_scraps(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(SCRAP) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Has the names of a folder on the disk.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_take_a_new_folder_together_and_another_house_does_not() {
        for _ in 0..50 {
            let folder = tempfile::tempdir().unwrap();
            let state = State::new(&folder.path().join("state"));
            let together = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                let take = || {
                    together.wait();
                    state.prepare()
                };
                let taken: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
                taken.into_iter().for_each(|taken| taken.join().unwrap().unwrap());
            });
            assert!(State::new(&folder.path().join("state")).prepare().is_err());
        }
    }
}
