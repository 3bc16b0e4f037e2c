//! The cache of compiled code: content-addressed files that only this user can write, each vouched for by a key.
//!
//! A compiled component is native code, so loading a wrong one is running a stranger's program. An entry is named by
//! the digest of the component, of the engine's configuration and of wasmtime's version; beside it stands a keyed
//! digest (HMAC-SHA-256) of its bytes, with a random key that this cache made for itself and that never leaves its
//! folder. A file that was damaged, or that another made, does not match and is compiled anew.
//!
//! Entries that are nearly the same may be kept as what differs from the first of them ([`Delta`]). What they have in
//! common is an entry, too; each of them names it with its keyed digest, which its own covers.

use std::{
    collections::HashMap,
    fmt, fs,
    hash::Hasher,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use anyhow::{Context, Result, bail};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Engine,
    delta::{Delta, Piece},
};

const KEY_BYTES: usize = 32;
/// Counted up when the compiler of this version of wasmtime makes other code (`vendor/`), so that all is compiled anew.
const COMPILER: &[u8] = b"2";

/// Lower-case hexadecimal SHA-256 of a component file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ComponentDigest(String);

/// The text is not `sha256:` with 64 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no digest: it is written as sha256: and 64 hexadecimal digits")]
pub struct NoDigest(String);

impl FromStr for ComponentDigest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64);
        match digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            Some(digits) => Ok(Self(digits.to_ascii_lowercase())),
            None => Err(NoDigest(text.to_owned())),
        }
    }
}

impl TryFrom<String> for ComponentDigest {
    type Error = NoDigest;

    fn try_from(text: String) -> Result<Self, NoDigest> {
        text.parse()
    }
}

impl From<ComponentDigest> for String {
    fn from(digest: ComponentDigest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for ComponentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl ComponentDigest {
    /// Of what was fed into `hasher`.
    pub fn from_hasher(hasher: Sha256) -> Self {
        Self(hex::encode(hasher.finalize()))
    }

    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    pub fn of_file(path: &Path) -> Result<Self> {
        let mut digest = Sha256::new();
        let mut file = fs::File::open(path).with_context(|| format!("reading {}", path.display()))?;
        io::copy(&mut file, &mut HashWriter(&mut digest))
            .with_context(|| format!("reading {}", path.display()))?;
        Ok(Self::from_hasher(digest))
    }

    /// The digits alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Compiled code in files that were checked against their keyed digests.
#[derive(Debug)]
pub struct Entry {
    path: PathBuf,
    pieces: Arc<[Piece]>,
}

impl Entry {
    fn whole(path: PathBuf, file: fs::File) -> io::Result<Self> {
        let len = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        Ok(Self { path, pieces: Arc::new([(Arc::new(file), 0, len)]) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What makes it, in a row: the very files that were checked.
    pub fn pieces(&self) -> &Arc<[Piece]> {
        &self.pieces
    }

    /// Length in bytes.
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(|(_, _, len)| len).sum()
    }
}

/// The folder of compiled code.
pub struct Cache {
    dir: PathBuf,
    key: [u8; KEY_BYTES],
    engine: String,
    /// What entries in use have in common with others, by its keyed digest.
    bases: Mutex<HashMap<String, Weak<fs::File>>>,
    putting: Mutex<()>,
}

/// What a look-up found.
pub enum Lookup {
    Found(Entry),
    Absent,
    /// There was a file, but not one that this cache vouches for. The reason is for the log.
    Rejected(&'static str),
}

impl Cache {
    /// Opens (or makes, 0700) the folder `compiled` in `root`.
    ///
    /// # Errors
    /// When the folder cannot be made, or belongs to another user or can be written by others.
    pub fn open(root: &Path, engine: &Engine) -> Result<Self> {
        let dir = root.join("compiled");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("making the compile cache {}", dir.display()))?;
        let meta = fs::symlink_metadata(&dir)?;
        if !meta.is_dir() || meta.uid() != current_uid() {
            bail!(
                "the compile cache {} must be a folder of this user: remove it, or name another one with \
                 GUESTHOUSE_CACHE_DIR or `[host] cache-dir`",
                dir.display()
            );
        }
        if meta.mode() & 0o077 != 0 {
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))
                .with_context(|| format!("making the compile cache {} private (0700)", dir.display()))?;
        }
        let key = key(&dir)?;
        let mut hasher = EngineHasher(Sha256::new());
        hasher.0.update(COMPILER);
        engine.hash_compatibility(&mut hasher);
        Ok(Self {
            dir,
            key,
            engine: hex::encode(hasher.0.finalize()),
            bases: Mutex::default(),
            putting: Mutex::default(),
        })
    }

    /// Where the compiled form of `component` stands, if it does.
    pub fn path(&self, component: &ComponentDigest) -> PathBuf {
        let mut name = Sha256::new();
        name.update(component.as_str());
        name.update(&self.engine);
        self.dir.join(format!("{}.cwasm", hex::encode(name.finalize())))
    }

    /// Looks an entry up and checks it.
    pub fn get(&self, component: &ComponentDigest) -> Lookup {
        let path = self.path(component);
        let file = match self.checked(&path) {
            Ok((file, _)) => file,
            Err(missing) => return missing,
        };
        let found = match Delta::read(&file) {
            Ok(None) => Entry::whole(path, file),
            Ok(Some((delta, pages))) => {
                let Some(base) = self.base(&delta) else {
                    return Lookup::Rejected("what it has in common with others is not there or has changed");
                };
                let pieces = delta.pieces(&base, &Arc::new(file), pages);
                pieces.map(|pieces| Entry { path, pieces: pieces.into() })
            }
            Err(error) => Err(error),
        };
        found.map_or(Lookup::Rejected("it cannot be read"), Lookup::Found)
    }

    /// The file at `path` with its keyed digest, which matches; or why there is none.
    fn checked(&self, path: &Path) -> Result<(fs::File, Vec<u8>), Lookup> {
        let Ok(mut file) = fs::File::open(path) else { return Err(Lookup::Absent) };
        let Ok(expected) = fs::read(path.with_extension("mac")) else {
            return Err(Lookup::Rejected("it has no digest"));
        };
        match file.metadata() {
            Ok(meta) if meta.uid() == current_uid() && meta.mode() & 0o022 == 0 => {}
            _ => return Err(Lookup::Rejected("others may have written it")),
        }
        let Ok(mac) = self.mac(&mut file) else { return Err(Lookup::Rejected("it cannot be read")) };
        match mac.verify_slice(&expected) {
            Ok(()) => Ok((file, expected)),
            Err(_) => Err(Lookup::Rejected("its digest does not match")),
        }
    }

    /// What `delta` is over, checked: one open file for all that are in use.
    fn base(&self, delta: &Delta) -> Option<Arc<fs::File>> {
        // Held while it is checked, so that it is checked once.
        let mut bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(base) = bases.get(&delta.base_mac).and_then(Weak::upgrade) {
            return Some(base);
        }
        let (file, mac) = self.checked(&self.path(&delta.base)).ok()?;
        if hex::encode(mac) != delta.base_mac {
            return None;
        }
        let base = Arc::new(file);
        bases.retain(|_, base| base.strong_count() > 0);
        bases.insert(delta.base_mac.clone(), Arc::downgrade(&base));
        Some(base)
    }

    /// Takes a freshly compiled file into the cache: digest first, then the file under its name by an atomic rename.
    pub fn put(&self, component: &ComponentDigest, compiled: tempfile::NamedTempFile) -> Result<Entry> {
        let path = self.path(component);
        let mac = self.mac(&mut fs::File::open(compiled.path())?)?.finalize().into_bytes();
        let mut beside = self.scratch()?;
        beside.write_all(&mac)?;
        beside.as_file().sync_all()?;
        compiled.as_file().sync_all()?;
        beside.persist(path.with_extension("mac"))?;
        let file = compiled.persist(&path)?;
        Ok(Entry::whole(path, file)?)
    }

    /// The same of one that is like others, and kept as what differs from one of `bases`: the first of them that it is like
    /// enough. Those that are not there yet are made of the first that is unlike all before.
    pub fn put_over(
        &self,
        bases: &[ComponentDigest],
        component: &ComponentDigest,
        compiled: tempfile::NamedTempFile,
    ) -> Result<Entry> {
        const LOST: &str = "the compile cache has lost what was just written to it";
        let whole = compiled.reopen()?;
        let file = self.scratch()?;
        // Two that come at once are over the same.
        let putting = self.putting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut compiled = Some(compiled);
        let mut over: Option<Delta> = None;
        for key in bases {
            let path = self.path(key);
            let mut found = self.checked(&path);
            if found.is_err()
                && let Some(compiled) = compiled.take()
            {
                self.put(key, compiled)?;
                found = self.checked(&path);
            }
            let Ok((base, mac)) = found else { bail!(LOST) };
            let delta = Delta::between(key, hex::encode(mac), &base, &whole)?;
            let small = delta.is_small();
            if over.as_ref().is_none_or(|over| delta.bytes() < over.bytes()) {
                over = Some(delta);
            }
            if small {
                break;
            }
        }
        drop(putting);
        over.context("an image is kept over another")?
            .write(&whole, file.as_file())
            .with_context(|| format!("writing to the compile cache {}", self.dir.display()))?;
        self.put(component, file)?;
        match self.get(component) {
            Lookup::Found(entry) => Ok(entry),
            Lookup::Absent | Lookup::Rejected(_) => bail!(LOST),
        }
    }

    /// A private temporary file in the cache's own folder.
    pub fn scratch(&self) -> Result<tempfile::NamedTempFile> {
        tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(&self.dir)
            .with_context(|| format!("writing to the compile cache {}", self.dir.display()))
    }

    fn mac(&self, file: &mut fs::File) -> Result<Hmac<Sha256>> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).context("the cache's key has a wrong length")?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(mac),
                n => mac.update(buffer.get(..n).unwrap_or_default()),
            }
        }
    }
}

/// The cache's own key, made on first use.
fn key(dir: &Path) -> Result<[u8; KEY_BYTES]> {
    let path = dir.join("key");
    for _ in 0..2 {
        match fs::read(&path) {
            Ok(bytes) => {
                return bytes.try_into().ok().with_context(|| {
                    format!(
                        "{} is damaged: remove the folder {}, it is made again",
                        path.display(),
                        dir.display()
                    )
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        }
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key)
            .map_err(|error| anyhow::anyhow!("no random numbers from the system: {error}"))?;
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(&key)?;
        file.as_file().sync_all()?;
        // Where another process was faster, its key is the one: the loop reads it.
        match file.persist_noclobber(&path) {
            Ok(_) => return Ok(key),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.error).with_context(|| format!("writing {}", path.display())),
        }
    }
    bail!("{} cannot be made", path.display())
}

fn current_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Feeds wasmtime's compatibility hash, which is only offered through [`Hash`], into SHA-256.
struct EngineHasher(Sha256);

impl Hasher for EngineHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // Never asked for: the digest is read instead.
        0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    const PAGE: usize = 64 << 10;

    /// Forty pages that all files of a kind have, but for one.
    fn whole(kind: u8, own: u8) -> Vec<u8> {
        let mut bytes = vec![kind; 40 * PAGE];
        bytes[20 * PAGE] = own;
        bytes
    }

    fn content(entry: &Entry) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (file, at, len) in entry.pieces().iter() {
            let mut piece = vec![0; *len];
            file.read_exact_at(&mut piece, *at).unwrap();
            bytes.append(&mut piece);
        }
        bytes
    }

    #[test]
    fn what_is_unlike_all_before_is_a_base_for_what_comes_after() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), &Engine::new().unwrap()).unwrap();
        let key = |name: &str| ComponentDigest::of_bytes(name.as_bytes());
        let bases = ["first", "second"].map(key);
        for (kind, own, is_small) in [(1, 7, true), (1, 8, true), (2, 7, true), (2, 8, true), (3, 7, false)] {
            let bytes = whole(kind, own);
            let mut compiled = cache.scratch().unwrap();
            compiled.write_all(&bytes).unwrap();
            let name = key(&format!("{kind} {own}"));
            let entry = cache.put_over(&bases, &name, compiled).unwrap();
            assert!(content(&entry) == bytes, "{kind} {own}");
            let kept = fs::metadata(cache.path(&name)).unwrap().len();
            assert_eq!(kept <= 3 * PAGE as u64, is_small, "{kept} bytes of {kind} {own}");
        }
        for (base, kind) in bases.iter().zip([1, 2]) {
            assert!(fs::read(cache.path(base)).unwrap() == whole(kind, 7), "{kind}");
        }
    }
}
