//! Route patterns: `host[:port][/path]`, as the operator writes them.

use std::fmt;

use super::{
    host::{HostError, normal_name, split_port},
    request_path::{RequestPath, has_dot_segments},
};

/// A checked pattern in its one spelling: two patterns that match the same requests are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    host: HostPattern,
    port: Option<u16>,
    prefix: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// One name or IP address.
    Exact(Box<str>),
    /// `*.suffix`, held without the `*.`: every name below it, however deep, but not the suffix itself.
    Suffix(Box<str>),
    /// `*`: every host, also requests that name none.
    Any,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("the pattern is empty")]
    Empty,
    #[error("a pattern has no scheme")]
    Scheme,
    #[error("a pattern has no query and no fragment")]
    Query,
    #[error("a blank cannot stand in a pattern")]
    Blank,
    #[error("the host is missing")]
    NoHost,
    #[error("`*` stands for a whole host, or for all labels before a suffix, as in *.example.com")]
    Wildcard,
    #[error("port 0 is no port that a request can name")]
    PortZero,
    #[error("the path holds a `.` or `..` segment")]
    DotSegment,
    #[error("{0}")]
    Host(#[from] HostError),
}

impl PatternError {
    /// How to mend the pattern.
    pub fn help(self) -> &'static str {
        match self {
            Self::Empty | Self::NoHost => {
                "write a host, or `*` for every host: \"example.com\", \"example.com/shop\", \"*\""
            }
            Self::Scheme => "remove the scheme: routes hold for every listener",
            Self::Query => "remove it: routes are chosen by host, port and path alone",
            Self::Blank => "remove the blank; several routes are several strings of the list",
            Self::Wildcard => "write \"*\", \"*.example.com\" or one route for each host",
            Self::PortZero => "name the port that clients use, or none",
            Self::DotSegment => "write the path as it is without them",
            Self::Host(HostError::Port) => "a route is host[:port][/path]",
            Self::Host(HostError::Ipv6 | HostError::Brackets) => {
                "IPv6 addresses stand in brackets: \"[::1]\", \"[::1]:8000\""
            }
            Self::Host(HostError::Ipv4) => {
                "write an address such as 127.0.0.1, or a name whose last label is no number"
            }
            Self::Host(_) => "write a host name such as shop.example.com, \"*.example.com\" or \"*\"",
        }
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// The host is lower-cased and brought to ASCII by UTS 46 (IDNA), one trailing dot is dropped. The path is
    /// normalised as request paths are ([`RequestPath`]), and trailing slashes are dropped: `/shop/` and `/shop` are one
    /// prefix, which matches `/shop`, `/shop/` and `/shop/x`.
    ///
    /// # Errors
    ///
    /// Where the text is no pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.contains("://") {
            return Err(PatternError::Scheme);
        }
        if text.contains(char::is_whitespace) {
            return Err(PatternError::Blank);
        }
        if text.contains(['?', '#']) {
            return Err(PatternError::Query);
        }
        let (authority, path) =
            text.split_at_checked(text.find('/').unwrap_or(text.len())).unwrap_or((text, ""));
        let (host, port) = split_port(authority)?;
        if port == Some(0) {
            return Err(PatternError::PortZero);
        }
        Ok(Self { host: HostPattern::parse(host)?, port, prefix: prefix(path)? })
    }

    pub fn host(&self) -> &HostPattern {
        &self.host
    }

    /// The port, where the pattern names one: it then matches only requests to that port.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path prefix without its trailing slash: empty or `/shop`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl HostPattern {
    fn parse(host: &str) -> Result<Self, PatternError> {
        let checked = |name: &str| match normal_name(name)? {
            name if name.is_empty() => Err(PatternError::NoHost),
            name => Ok(Box::<str>::from(name)),
        };
        match host.strip_prefix("*.") {
            _ if host == "*" => Ok(Self::Any),
            Some(suffix) if suffix.contains('*') => Err(PatternError::Wildcard),
            Some(suffix) => match checked(suffix)? {
                // Addresses have no names below them.
                suffix if suffix.parse::<std::net::Ipv4Addr>().is_ok() => Err(PatternError::Wildcard),
                suffix => Ok(Self::Suffix(suffix)),
            },
            None if host.contains('*') => Err(PatternError::Wildcard),
            None => Ok(Self::Exact(checked(host)?)),
        }
    }
}

fn prefix(path: &str) -> Result<Box<str>, PatternError> {
    if has_dot_segments(path) {
        return Err(PatternError::DotSegment);
    }
    Ok(match path.trim_end_matches('/') {
        "" => "".into(),
        path => RequestPath::new(path).as_str().into(),
    })
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Suffix(suffix) => write!(f, "*.{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))?;
        f.write_str(&self.prefix)
    }
}
