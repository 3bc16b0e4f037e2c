//! The files that a build needs beside the guest's own, carried in the binary so that it works wherever it is
//! installed: the guest-side Python library and the WIT files.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rust_embed::{Embed, EmbeddedFile};
use sha2::{Digest, Sha256};

/// `guests/python`.
#[derive(Embed)]
#[folder = "../guests/python"]
#[include = "build.py"]
#[include = "builder/**"]
#[include = "lib/**"]
#[include = "wit/**"]
#[exclude = "*.pyc"]
pub(super) struct PythonLibrary;

/// `wit`.
#[derive(Embed)]
#[folder = "../wit"]
#[include = "**/*.wit"]
pub(crate) struct Wit;

/// SHA-256 over the names and contents of a set of files, in hexadecimal.
pub(crate) fn digest<E: Embed>() -> String {
    let mut hasher = Sha256::new();
    digest_into::<E>(&mut hasher);
    hex::encode(hasher.finalize())
}

/// As [`digest`], as a part of another.
pub(crate) fn digest_into<E: Embed>(hasher: &mut Sha256) {
    let mut names: Vec<_> = E::iter().collect();
    names.sort_unstable();
    for name in names {
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(E::get(&name).map(|file| file.metadata.sha256_hash()).unwrap_or_default());
    }
}

/// Writes the files below `folder`. Those that are there already as they should be are not touched, so that tools see
/// no change.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn unpack<E: Embed>(folder: &Path) -> Result<()> {
    for name in E::iter() {
        let Some(file) = E::get(&name) else { continue };
        let path = folder.join(name.as_ref());
        if !is_there(&path, &file) {
            write(&path, &file.data).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// Where a set of files lies in the cache: a folder of its own for each content.
pub(crate) fn folder<E: Embed>(cache_dir: &Path, name: &str) -> PathBuf {
    let digest = digest::<E>();
    cache_dir.join(format!("{name}-{}", digest.get(..16).unwrap_or(&digest)))
}

fn is_there(path: &Path, file: &EmbeddedFile) -> bool {
    fs::read(path).is_ok_and(|found| found == *file.data)
}

fn write(path: &Path, data: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".guesthouse-").tempfile_in(folder)?;
    file.write_all(data)?;
    file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacking_mends_what_differs_and_touches_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        unpack::<Wit>(dir.path()).unwrap();
        let (one, other) = (dir.path().join("settings.wit"), dir.path().join("deps/wasi-io-0.2/package.wit"));
        let untouched = fs::metadata(&other).unwrap().modified().unwrap();
        let right = fs::read(&one).unwrap();
        fs::write(&one, "damaged").unwrap();
        unpack::<Wit>(dir.path()).unwrap();
        assert_eq!(fs::read(&one).unwrap(), right);
        assert_eq!(fs::metadata(&other).unwrap().modified().unwrap(), untouched);
    }

    #[test]
    fn nothing_compiled_is_carried() {
        assert!(PythonLibrary::iter().any(|name| name == "build.py"));
        assert!(PythonLibrary::iter().all(|name| !name.contains("__pycache__") && !name.ends_with(".pyc")));
    }
}
