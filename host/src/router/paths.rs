//! Path prefixes of one host and port: the longest one that a path begins with, on a segment boundary.

use std::collections::HashMap;

/// A set of path prefixes (empty, or `/shop` without its trailing slash), each with a value.
///
/// A look-up asks for the path, then for it without its last segment, and so on: as many questions as the path has
/// segments within the longest prefix, however many prefixes there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    /// The value of the empty prefix. Most hosts have no other, and then a look-up ends here.
    root: Option<usize>,
    /// All others.
    prefixes: HashMap<Box<str>, usize>,
    length_max: usize,
}

impl Paths {
    /// Adds a prefix, or gives back the value of the same one that is already there.
    pub(crate) fn insert(&mut self, prefix: &str, value: usize) -> Result<(), usize> {
        self.length_max = self.length_max.max(prefix.len());
        let before = match prefix {
            "" => self.root.replace(value),
            _ => self.prefixes.insert(prefix.into(), value),
        };
        before.map_or(Ok(()), Err)
    }

    /// The value of the longest prefix of a path.
    pub(crate) fn lookup(&self, path: &str) -> Option<usize> {
        let mut left = path;
        while !self.prefixes.is_empty() && !left.is_empty() {
            if left.len() <= self.length_max
                && let Some(value) = self.prefixes.get(left)
            {
                return Some(*value);
            }
            // What is longer than any prefix is passed over at once.
            let within = left.as_bytes().get(..=self.length_max).unwrap_or(left.as_bytes());
            let slash = within.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            left = left.get(..slash).unwrap_or_default();
        }
        self.root
    }
}

/// Whether a path begins with a prefix that ends on a segment boundary. The empty prefix begins every path, also the
/// `*` of an OPTIONS request.
pub(super) fn is_prefix(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}
