//! What the guests `version-1` and `version-2` say of themselves, and what must hold of it.
//!
//! The tests give each swap a number, and the setting `VERSION` is made of the word for the code that it belongs to and
//! that number: `one-7`, `two-8`. So each answer tells whether it is whole from one generation, and from which.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{Check, Response};

/// The words for the versions of the code, by which settings and code are known to belong together.
const WORDS: [&str; 4] = ["none", "one", "two", "three"];

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub code: u64,
    pub setting: String,
    pub generation: u64,
}

impl Version {
    /// The setting that goes with this version of the code, with the number of the swap.
    ///
    /// # Panics
    ///
    /// Where there is no such version.
    pub fn setting(code: u64, swap: u64) -> String {
        let word = WORDS[usize::try_from(code).expect("a version of the code")];
        format!("{word}-{swap}")
    }

    fn parse_line(line: &str) -> Option<Version> {
        let mut fields = line.split(' ');
        let code = fields.next()?.strip_prefix("code=")?.parse().ok()?;
        let setting = fields.next()?.strip_prefix("setting=")?.to_owned();
        let generation = fields.next()?.strip_prefix("generation=")?.parse().ok()?;
        Some(Version { code, setting, generation })
    }

    /// The generation that an answer is from.
    ///
    /// # Errors
    ///
    /// Where it is no answer of such a guest, or not whole from one generation.
    pub fn of(answer: &Response) -> Result<Version, String> {
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status() != 200 {
            return Err(format!("status {}: {}", answer.status(), text.trim_end()));
        }
        let mut lines = text.lines().filter(|line| !line.starts_with('x')).map(Version::parse_line);
        let first = lines.next().flatten().ok_or_else(|| format!("an unknown answer: {text:?}"))?;
        if lines.any(|line| line.as_ref() != Some(&first)) || first.swap().is_none() {
            return Err(format!("not from one generation: {text:?}"));
        }
        Ok(first)
    }

    /// The number of the swap that made this generation; none where code and setting do not belong together.
    pub fn swap(&self) -> Option<u64> {
        let (word, swap) = self.setting.split_once('-')?;
        if WORDS.get(usize::try_from(self.code).ok()?) != Some(&word) {
            return None;
        }
        swap.parse().ok()
    }
}

/// The number of the last swap that was done: no request that begins later may see an earlier one.
#[derive(Clone, Default)]
pub struct Floor(Arc<AtomicU64>);

impl Floor {
    pub fn new() -> Floor {
        Floor::default()
    }

    /// Says that a swap is done.
    pub fn raise(&self, swap: u64) {
        self.0.fetch_max(swap, Ordering::SeqCst);
    }

    /// What a load generator holds its answers against.
    pub fn check(&self) -> Check {
        let floor = self.clone();
        Arc::new(move || {
            let floor = floor.0.load(Ordering::SeqCst);
            Box::new(move |answer| {
                let version = Version::of(answer)?;
                match version.swap() {
                    Some(swap) if swap >= floor => Ok(()),
                    _ => Err(format!("{version:?} after swap {floor} was done")),
                }
            })
        })
    }
}

impl Response {
    /// The generation that this answer of a guest `version-…` is from.
    ///
    /// # Panics
    ///
    /// Where it is not whole from one.
    pub fn version(&self) -> Version {
        Version::of(self).unwrap_or_else(|why| panic!("{why}"))
    }
}
