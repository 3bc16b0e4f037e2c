//! Path prefixes of one host and port: the longest one that a path begins with, on a segment boundary.
//!
//! The prefixes are sorted segment by segment, and each knows the next shorter one that it begins with. All prefixes
//! of a path that lie between the longest such prefix and the path itself in that order begin with it too, so one
//! binary search finds a prefix whose chain of shorter ones holds the answer.

use std::cmp::Ordering;

/// A set of path prefixes (empty, or `/shop` without its trailing slash), each with a value.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths {
    /// The value of the empty prefix. Most hosts have no other, and then a look-up ends here.
    root: Option<usize>,
    /// All others.
    sorted: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    prefix: Box<str>,
    value: usize,
    /// Place of the next shorter prefix of this prefix.
    parent: Option<usize>,
}

impl Paths {
    /// Adds a prefix, or gives back the value of the same one that is already there. [`Paths::link`] must follow.
    pub(super) fn insert(&mut self, prefix: &str, value: usize) -> Result<(), usize> {
        if prefix.is_empty() {
            return self.root.replace(value).map_or(Ok(()), Err);
        }
        match self.sorted.binary_search_by(|entry| by_segment(&entry.prefix, prefix)) {
            Ok(at) => return self.sorted.get(at).map_or(Ok(()), |entry| Err(entry.value)),
            Err(at) => self.sorted.insert(at, Entry { prefix: prefix.into(), value, parent: None }),
        }
        Ok(())
    }

    /// The value of the longest prefix of a path.
    pub(super) fn lookup(&self, path: &str) -> Option<usize> {
        if self.sorted.is_empty() {
            return self.root;
        }
        let after = self.sorted.partition_point(|entry| by_segment(&entry.prefix, path) != Ordering::Greater);
        let mut at = after.checked_sub(1);
        while let Some(entry) = at.and_then(|at| self.sorted.get(at)) {
            if is_prefix(&entry.prefix, path) {
                return Some(entry.value);
            }
            at = entry.parent;
        }
        self.root
    }

    /// Lets each prefix know the next shorter one, once all are there.
    pub(super) fn link(&mut self) {
        // In sorted order, the open prefixes of an entry are a stack.
        let mut open: Vec<usize> = Vec::new();
        for at in 0..self.sorted.len() {
            let prefix_of = |place: usize| self.sorted.get(place).map_or("", |entry| &entry.prefix);
            while open.last().is_some_and(|&top| !is_prefix(prefix_of(top), prefix_of(at))) {
                open.pop();
            }
            if let Some(entry) = self.sorted.get_mut(at) {
                entry.parent = open.last().copied();
            }
            open.push(at);
        }
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

/// Compares as lists of segments: the end comes first, then the slash, then all else.
fn by_segment(left: &str, right: &str) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { u16::from(byte) + 1 };
    left.bytes().map(rank).cmp(right.bytes().map(rank))
}
