//! Looks for words that must be nowhere: in what a house said, and in all files that it left.

use std::{fmt::Write, fs, path::Path};

/// Words that were planted, and where they were found.
pub struct Planted {
    words: Vec<String>,
    found: Vec<String>,
    looked_at: usize,
}

impl Planted {
    /// Words that are looked for as they are, and in hexadecimal.
    pub fn new(words: &[&str]) -> Planted {
        Planted {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            found: Vec::new(),
            looked_at: 0,
        }
    }

    /// Looks through a text or a file's bytes.
    pub fn look(&mut self, place: &str, bytes: impl AsRef<[u8]>) {
        self.looked_at += 1;
        let bytes = bytes.as_ref();
        for word in &self.words {
            let mut hex = String::new();
            word.bytes().for_each(|byte| write!(hex, "{byte:02x}").expect("memory takes it"));
            for word in [word, &hex] {
                if contains(bytes, word.as_bytes()) {
                    self.found.push(format!("{word} in {place}"));
                }
            }
        }
    }

    /// Looks through all files below a folder, but for some, which are the sources.
    ///
    /// # Panics
    ///
    /// Where the folder cannot be read.
    pub fn look_below(&mut self, folder: &Path, but: &[&Path]) {
        for path in files(folder) {
            if !but.iter().any(|but| path.starts_with(but)) {
                // What went in the meantime has nothing in it.
                let Ok(bytes) = fs::read(&path) else { continue };
                self.look(&path.display().to_string(), bytes);
            }
        }
    }

    /// Ends the search.
    ///
    /// # Panics
    ///
    /// Where a word was found, with its place, or where nothing was looked at.
    pub fn assert_nowhere(self) {
        assert!(self.looked_at > 0, "nothing was looked at");
        assert!(self.found.is_empty(), "found:\n{}", self.found.join("\n"));
    }
}

/// Whether a file below a folder holds a word.
///
/// # Panics
///
/// Where the folder cannot be read.
pub fn is_below(folder: &Path, word: &str) -> bool {
    files(folder).iter().any(|path| fs::read(path).is_ok_and(|bytes| contains(&bytes, word.as_bytes())))
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry of the folder"));
    paths
        .flat_map(|entry| match entry.file_type().expect("its type") {
            kind if kind.is_dir() => files(&entry.path()),
            kind if kind.is_file() => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    // Few bytes begin like the word, and comparing the rest costs nothing.
    let Some((first, _)) = word.split_first() else { return true };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = &rest[at..];
        if rest.starts_with(word) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}
