//! Hosts that an app asks for, and whether a grant names them.
//!
//! There is one spelling for each host, and what could be read in two ways is no host: a number that some resolvers take for
//! an address (`2130706433`, `0177.0.0.1`, `0x7f.1`), a user name before it, a zone behind it.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use serde::{Deserialize, Serialize};

use super::{GrantedHost, Service};
use crate::router::{Host, HostError};

/// One host: an address, or a name that is to be resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteHost {
    /// Never an address of IPv4 in the form of IPv6 (`::ffff:127.0.0.1`): that is the one of IPv4.
    Address(IpAddr),
    /// ASCII, lower case, without a trailing dot, and no number in any notation.
    Name(String),
}

/// Why a text is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemoteHostError {
    #[error("the host is missing")]
    Empty,
    #[error("a port does not belong here")]
    Port,
    #[error("a number is no name, and some would read it as an address")]
    Number,
    #[error("{0}")]
    Host(#[from] HostError),
}

impl RemoteHost {
    /// Reads a name or an address; those of IPv6 stand in brackets.
    ///
    /// # Errors
    /// Where it is neither, or could be taken for another one than is meant.
    pub fn parse(text: &str) -> Result<Self, RemoteHostError> {
        match Self::parse_with_port(text)? {
            (host, None) => Ok(host),
            (_, Some(_)) => Err(RemoteHostError::Port),
        }
    }

    /// Reads `host[:port]`, the authority of a URL (RFC 3986, section 3.2) without user information.
    ///
    /// # Errors
    /// As [`RemoteHost::parse`].
    pub fn parse_with_port(text: &str) -> Result<(Self, Option<u16>), RemoteHostError> {
        let host = Host::parse(text)?;
        let name = host.name();
        if name.is_empty() {
            return Err(RemoteHostError::Empty);
        }
        if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = address.parse().map_err(|_| HostError::Ipv6)?;
            return Ok((Self::Address(address.to_canonical()), host.port()));
        }
        if let Ok(address) = name.parse() {
            return Ok((Self::Address(IpAddr::V4(address)), host.port()));
        }
        // `Host` has refused those that end in a decimal number; the URL Standard has hexadecimal ones be numbers too.
        let last = name.rsplit('.').next().unwrap_or(name);
        if last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err(RemoteHostError::Number);
        }
        Ok((Self::Name(name.to_owned()), host.port()))
    }

    /// Whether it is a name of this very machine, which is never looked up (RFC 6761, section 6.3).
    pub fn is_localhost(&self) -> bool {
        matches!(self, Self::Name(name) if name == "localhost" || name.ends_with(".localhost"))
    }
}

impl GrantedHost {
    pub fn includes(&self, host: &RemoteHost) -> bool {
        match (self, host) {
            (Self::One(one), host) => one == host,
            (Self::Below(suffix), RemoteHost::Name(name)) => {
                name.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Self::Below(_), RemoteHost::Address(_)) => false,
        }
    }
}

impl Service {
    pub fn includes(&self, host: &RemoteHost, port: u16) -> bool {
        self.port == port && self.host.includes(host)
    }
}

impl fmt::Display for RemoteHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Option<String> {
        RemoteHost::parse(text).ok().map(|host| host.to_string())
    }

    #[test]
    fn one_spelling_for_each_host() {
        for (written, meant) in [
            ("API.Example.COM", "api.example.com"),
            ("api.example.com.", "api.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("[::FFFF:127.0.0.1]", "127.0.0.1"),
            ("[::ffff:7f00:1]", "127.0.0.1"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]"),
            ("0x7f.example", "0x7f.example"),
        ] {
            assert_eq!(one(written).as_deref(), Some(meant), "{written}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_host() {
        for text in [
            "2130706433",
            "0x7f000001",
            "0X7F000001",
            "0x7f.0.0.0x1",
            "example.0x",
            "0177.0.0.1",
            "127.1",
            "127.0.0.1.5",
            "127.0.0.256",
            "user@example.com",
            "user:word@example.com",
            "[fe80::1%eth0]",
            "::1",
            "[127.0.0.1]",
            "example.com:80",
            "example..com",
            "exa mple.com",
            "example.com/x",
            "example.com%2e",
            "",
            ".",
        ] {
            assert_eq!(one(text), None, "{text}");
        }
    }

    #[test]
    fn a_grant_names_what_is_below_it_and_nothing_beside() {
        let below = GrantedHost::Below("example.com".to_owned());
        let granted = |text| below.includes(&RemoteHost::parse(text).unwrap());
        assert!(granted("api.example.com") && granted("a.b.example.com"));
        for other in ["example.com", "badexample.com", "example.com.evil.test", "127.0.0.1", "[::1]"] {
            assert!(!granted(other), "{other}");
        }
    }
}
