//! The host of a request: what the `Host` field or the request target names, checked and in one spelling.

use std::{
    borrow::Cow,
    fmt::{self, Write},
    net::{Ipv4Addr, Ipv6Addr},
};

/// `host[:port]` of a request: the name in lower-case ASCII without a trailing dot, IPv6 literals in brackets and in
/// the form of RFC 5952. Borrows where the text already is in that form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host<'a> {
    name: Cow<'a, str>,
    port: Option<u16>,
}

/// Why a text is no `host[:port]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("the port is not a number from 0 to 65535")]
    Port,
    #[error("the brackets hold no IPv6 address")]
    Ipv6,
    #[error("an IPv6 address needs brackets, as in [::1]")]
    Brackets,
    #[error("the last label is a number, but the whole is no IPv4 address")]
    Ipv4,
    #[error("a label is empty (two dots in a row, or a dot at the start)")]
    EmptyLabel,
    #[error("the name or one of its labels is too long (253 and 63 characters at most)")]
    Length,
    #[error("{0:?} cannot stand in a host name")]
    Character(char),
    #[error("the name is not valid by IDNA (UTS 46)")]
    Idna,
}

impl<'a> Host<'a> {
    /// Reads the value of a `Host` field or the authority of a request target (RFC 9110, section 7.2; RFC 3986,
    /// section 3.2.2). An empty host is allowed there, and matched by `*` alone; an empty port is none.
    ///
    /// # Errors
    ///
    /// Where the text is no host; the answer to such a request is 400.
    pub fn parse(text: &'a str) -> Result<Self, HostError> {
        let (name, port) = split_port(text)?;
        Ok(Self { name: normal_name(name)?, port })
    }

    /// The name in the form described above; empty if the request names none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port, where the host names one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The names above this one, the longest first: `b.c` and `c` for `a.b.c`. Addresses have none.
    pub(super) fn parents(&self) -> impl Iterator<Item = &str> {
        let mut rest: &str = if is_address(&self.name) { "" } else { &self.name };
        std::iter::from_fn(move || {
            rest = rest.split_once('.')?.1;
            Some(rest)
        })
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Splits `host[:port]`.
pub(super) fn split_port(text: &str) -> Result<(&str, Option<u16>), HostError> {
    let (name, port) = if text.starts_with('[') {
        let end = text.find(']').ok_or(HostError::Ipv6)?;
        let (name, port) = text.split_at_checked(end + 1).ok_or(HostError::Ipv6)?;
        match port.strip_prefix(':') {
            Some(port) => (name, port),
            None if port.is_empty() => (name, ""),
            None => return Err(HostError::Port),
        }
    } else {
        text.split_once(':').unwrap_or((text, ""))
    };
    if port.is_empty() {
        return Ok((name, None));
    }
    if port.contains(':') {
        return Err(HostError::Brackets);
    }
    // `parse` would also take a plus sign.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = if digits { port.parse().ok() } else { None };
    port.map(|port| (name, Some(port))).ok_or(HostError::Port)
}

/// A host name in its one spelling.
pub(super) fn normal_name(name: &str) -> Result<Cow<'_, str>, HostError> {
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().map_err(|_| HostError::Ipv6)?;
        return Ok(ipv6_literal(name, address));
    }
    if name.is_empty() {
        return Ok(Cow::Borrowed(name));
    }
    let lower = if !name.is_ascii() {
        Cow::Owned(idna::domain_to_ascii(name).map_err(|_| HostError::Idna)?)
    } else if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    };
    let dotless = match lower {
        Cow::Borrowed(name) => Cow::Borrowed(name.strip_suffix('.').unwrap_or(name)),
        Cow::Owned(mut name) => {
            if name.ends_with('.') {
                name.pop();
            }
            Cow::Owned(name)
        }
    };
    check_labels(&dotless)?;
    Ok(dotless)
}

/// The brackets and the address in its canonical form, borrowed where the text is just that.
fn ipv6_literal(text: &str, address: Ipv6Addr) -> Cow<'_, str> {
    /// Goes on as long as what is written is what the text holds.
    struct Same<'a>(&'a str);
    impl Write for Same<'_> {
        fn write_str(&mut self, written: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(written).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut same = Same(text);
    match write!(same, "[{address}]") {
        Ok(()) if same.0.is_empty() => Cow::Borrowed(text),
        _ => Cow::Owned(format!("[{address}]")),
    }
}

fn check_labels(name: &str) -> Result<(), HostError> {
    if name.len() > 253 {
        return Err(HostError::Length);
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(HostError::EmptyLabel);
        }
        if label.len() > 63 {
            return Err(HostError::Length);
        }
        // The underscore is not for host names by RFC 952, but names with it are in use.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !label.bytes().all(allowed) {
            let stray = label.chars().find(|c| !u8::try_from(*c).is_ok_and(allowed));
            return Err(HostError::Character(stray.unwrap_or_default()));
        }
    }
    // As in the URL Standard ("ends in a number"): `1.2.3` must not be taken for a name, some clients read it as 1.2.0.3.
    if is_address(name) && name.parse::<Ipv4Addr>().is_err() {
        return Err(HostError::Ipv4);
    }
    Ok(())
}

/// Whether a name in its one spelling is an IP address: in brackets, or with a number as its last label.
fn is_address(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    name.starts_with('[') || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
}
