//! Compiled functions, so that what two components have in common is compiled once.
//!
//! An app that is to have an image is compiled twice: with what reads its memory built in, and as the image that comes of
//! it. All but a few of its functions are the same, and the same again with other settings: they are kept in one file for
//! each component, in the cache of compiled code. Of a Django site (48 MB, 14,600 functions, 30 MB of them here) either
//! compilation takes 14.7 s of CPU time, and 4.7 s when its functions are known.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt, fs,
    io::{self, BufWriter, Write},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use wasmtime::CacheStore;

/// Functions by wasmtime's key of their code and of all that shapes it.
#[derive(Default)]
pub(super) struct Functions(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl Functions {
    /// Those that [`Functions::write`] has written into a file which the cache vouches for: native code, as any there.
    ///
    /// # Errors
    /// When it cannot be read, or was written otherwise.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let mut left = &bytes[..];
        let mut known = HashMap::new();
        while !left.is_empty() {
            let (key, rest) = field(left).ok_or(io::ErrorKind::InvalidData)?;
            let (value, rest) = field(rest).ok_or(io::ErrorKind::InvalidData)?;
            known.insert(key.to_owned(), value.to_owned());
            left = rest;
        }
        Ok(Self(Mutex::new(known)))
    }

    /// Writes all of them: each as its key and its code, with their lengths in 4 bytes before them, lowest first.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(fs::File::create(path)?);
        for field in self.known().iter().flat_map(|(key, value)| [key, value]) {
            let length = u32::try_from(field.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
            file.write_all(&length.to_le_bytes())?;
            file.write_all(field)?;
        }
        file.flush()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.known().get(key).cloned().map(Cow::Owned)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.known().insert(key.to_owned(), value);
        true
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} functions", self.known().len())
    }
}

/// A field and what follows it.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}
