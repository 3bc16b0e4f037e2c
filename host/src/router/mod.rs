//! Routing: from a request's host, port and path to whatever a table holds for them.
//!
//! A [`Pattern`] is `host[:port][/path]`; a [`Table`] holds many and finds the most specific one that matches:
//!
//! 1. by host: the exact name, then the longest `*.suffix`, then `*`;
//! 2. by port: a pattern that names the request's port, then one that names none;
//! 3. by path: the longest prefix on a segment boundary.
//!
//! Where the patterns of the most specific host match neither port nor path, the next host is tried, so that
//! `example.com/shop` beside `*` leaves the rest of `example.com` to `*`. The order of the patterns never matters, and
//! what a lookup costs does not depend on how many hosts there are.
//!
//! Nothing here does I/O, knows of wasm, or allocates in a lookup of an ordinary request.

mod explain;
mod host;
mod paths;
mod pattern;
mod request_path;

use std::collections::HashMap;

pub use explain::{Considered, Outcome};
pub use host::{Host, HostError};
pub(crate) use paths::Paths;
pub use pattern::{HostPattern, Pattern, PatternError};
pub use request_path::RequestPath;
pub(crate) use request_path::has_dot_segments;

/// Patterns and what they lead to. Immutable once made.
#[derive(Debug, Clone)]
pub struct Table<T> {
    routes: Vec<(Pattern, T)>,
    /// Exact names and IP addresses, as [`Host`] spells them.
    exact: HashMap<Box<str>, Ports>,
    /// Suffixes without their `*.`.
    suffixes: HashMap<Box<str>, Ports>,
    /// Bytes of the longest suffix: longer tails of a name need no look-up.
    suffix_length_max: usize,
    any: Ports,
}

/// Two patterns that match the very same requests, by their places in what the table was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("routes {first} and {second} are the same")]
pub struct Conflict {
    pub first: usize,
    pub second: usize,
}

/// The patterns of one host pattern.
#[derive(Debug, Clone, Default)]
struct Ports {
    /// Few: a house has few listeners.
    named: Vec<(u16, Paths)>,
    unnamed: Paths,
}

impl<T> Default for Table<T> {
    /// No routes: nothing is ever found.
    fn default() -> Self {
        Self {
            routes: Vec::new(),
            exact: HashMap::new(),
            suffixes: HashMap::new(),
            suffix_length_max: 0,
            any: Ports::default(),
        }
    }
}

impl<T> Table<T> {
    /// A table of these routes.
    ///
    /// # Errors
    ///
    /// Where two patterns are the same.
    pub fn new(routes: Vec<(Pattern, T)>) -> Result<Self, Conflict> {
        let mut table = Self::default();
        for (second, (pattern, _)) in routes.iter().enumerate() {
            let paths = table.ports_mut(pattern.host()).paths_mut(pattern.port());
            paths.insert(pattern.prefix(), second).map_err(|first| Conflict { first, second })?;
        }
        table.routes = routes;
        Ok(table)
    }

    fn ports_mut(&mut self, host: &HostPattern) -> &mut Ports {
        match host {
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
            HostPattern::Suffix(suffix) => {
                self.suffix_length_max = self.suffix_length_max.max(suffix.len());
                self.suffixes.entry(suffix.clone()).or_default()
            }
            HostPattern::Any => &mut self.any,
        }
    }

    /// What the most specific matching pattern leads to.
    ///
    /// `port` is the scheme's default (80 or 443), which counts where `host` names none.
    pub fn lookup(&self, host: &Host<'_>, port: u16, path: &RequestPath<'_>) -> Option<&T> {
        let port = host.port().unwrap_or(port);
        let place = self.candidates(host).find_map(|ports| ports.lookup(port, path.as_str()))?;
        self.routes.get(place).map(|(_, target)| target)
    }

    /// The patterns that match a host by its name, the most specific first.
    fn candidates<'a>(&'a self, host: &'a Host<'_>) -> impl Iterator<Item = &'a Ports> {
        let exact = self.exact.get(host.name());
        let suffixes = host
            .parents()
            .filter(|parent| parent.len() <= self.suffix_length_max)
            .filter_map(|parent| self.suffixes.get(parent));
        exact.into_iter().chain(suffixes).chain([&self.any])
    }

    /// All routes, in the order that the table was made from.
    pub fn routes(&self) -> &[(Pattern, T)] {
        &self.routes
    }
}

impl Ports {
    fn paths_mut(&mut self, port: Option<u16>) -> &mut Paths {
        let Some(port) = port else { return &mut self.unnamed };
        let at = self.named.partition_point(|(named, _)| *named < port);
        if self.named.get(at).is_none_or(|(named, _)| *named != port) {
            self.named.insert(at, (port, Paths::default()));
        }
        match self.named.get_mut(at) {
            Some((_, paths)) => paths,
            None => &mut self.unnamed,
        }
    }

    fn lookup(&self, port: u16, path: &str) -> Option<usize> {
        let named = self.named.iter().find(|(named, _)| *named == port);
        named.and_then(|(_, paths)| paths.lookup(path)).or_else(|| self.unnamed.lookup(path))
    }
}

#[cfg(test)]
mod tests;
