//! The reasoning of a look-up, for `guesthouse explain`: every route whose host matches, the most specific first.

use super::{Host, HostPattern, Pattern, RequestPath, Table, paths::is_prefix};

/// A route that a look-up weighs, and what became of it.
#[derive(Debug)]
pub struct Considered<'a, T> {
    pub pattern: &'a Pattern,
    pub target: &'a T,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The most specific of those that match: this one answers.
    Answers,
    /// It matches too, but an earlier one is more specific.
    LessSpecific,
    /// Its host matches, its port does not.
    OtherPort,
    /// Its host and port match, its path does not.
    OtherPath,
}

impl<T> Table<T> {
    /// Every route whose host pattern matches, in the order in which [`Table::lookup`] prefers them. Goes through the
    /// whole table: for people, not for requests.
    pub fn explain(&self, host: &Host<'_>, port: u16, path: &RequestPath<'_>) -> Vec<Considered<'_, T>> {
        let port = host.port().unwrap_or(port);
        let mut considered: Vec<_> = self
            .routes()
            .iter()
            .filter(|(pattern, _)| matches_host(pattern.host(), host))
            .map(|(pattern, target)| (pattern, target, mismatch(pattern, port, path.as_str())))
            .collect();
        considered.sort_by_key(|(pattern, ..)| std::cmp::Reverse(specificity(pattern)));
        let mut answered = false;
        considered
            .into_iter()
            .map(|(pattern, target, mismatch)| {
                let outcome = match mismatch {
                    Some(mismatch) => mismatch,
                    None if answered => Outcome::LessSpecific,
                    None => Outcome::Answers,
                };
                answered |= outcome == Outcome::Answers;
                Considered { pattern, target, outcome }
            })
            .collect()
    }
}

fn matches_host(pattern: &HostPattern, host: &Host<'_>) -> bool {
    match pattern {
        HostPattern::Exact(name) => **name == *host.name(),
        HostPattern::Suffix(suffix) => host.parents().any(|parent| parent == &**suffix),
        HostPattern::Any => true,
    }
}

fn mismatch(pattern: &Pattern, port: u16, path: &str) -> Option<Outcome> {
    if pattern.port().is_some_and(|named| named != port) {
        Some(Outcome::OtherPort)
    } else if !is_prefix(pattern.prefix(), path) {
        Some(Outcome::OtherPath)
    } else {
        None
    }
}

/// Host first, then port, then path; greater is more specific.
fn specificity(pattern: &Pattern) -> impl Ord {
    let host = match pattern.host() {
        HostPattern::Exact(_) => (2, 0),
        HostPattern::Suffix(suffix) => (1, suffix.len()),
        HostPattern::Any => (0, 0),
    };
    (host, pattern.port().is_some(), pattern.prefix().len())
}
