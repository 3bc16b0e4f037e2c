//! Listen addresses: `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/house.sock`.

use std::{fmt, net::Ipv6Addr, ops::Range, path::PathBuf, str::FromStr};

use super::{ListenAddr, resolve::Resolver};
use crate::{
    manifest::{Listen, Located, OneOrMany, defaults},
    report::Problem,
};

/// Why a text is no listen address, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {help}")]
pub struct ListenError {
    pub message: String,
    pub help: String,
}

/// The longest path that a Unix socket can have on Linux (unix(7): 108 bytes with the closing NUL).
const UNIX_PATH_MAX: usize = 107;

impl FromStr for ListenAddr {
    type Err = ListenError;

    /// A relative path of a Unix socket stays relative.
    fn from_str(text: &str) -> Result<Self, ListenError> {
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:///run/house.sock` is what some servers call it.
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(error(text, "name the socket's path: unix:/run/house.sock")),
                path => Ok(ListenAddr::Unix(PathBuf::from(path))),
            };
        }
        text.parse().map(ListenAddr::Tcp).map_err(|_| error(text, &help(text)))
    }
}

fn error(text: &str, help: &str) -> ListenError {
    ListenError { message: format!("`{text}` is no listen address"), help: help.to_owned() }
}

fn help(text: &str) -> String {
    let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok());
    let host = port.and_then(|port| text.strip_suffix(port)).map(|host| host.trim_end_matches(':'));
    match (host, port) {
        _ if text.contains("://") => "write the address alone, without a scheme: 127.0.0.1:8000".into(),
        (Some(""), Some(port)) => format!(
            "name the address too: 127.0.0.1:{port} for this machine alone, 0.0.0.0:{port} for all IPv4 and [::]:{port} for all addresses"
        ),
        (Some("localhost"), Some(port)) => format!("name an address: 127.0.0.1:{port} or [::1]:{port}"),
        (Some("*"), Some(port)) => {
            format!("name an address: 0.0.0.0:{port} for all IPv4 and [::]:{port} for all addresses")
        }
        (Some(host), Some(port)) if host.parse::<Ipv6Addr>().is_ok() => {
            format!("IPv6 addresses stand in brackets: [{host}]:{port}")
        }
        _ if text.starts_with('/') => format!("a Unix socket is written as unix:{text}"),
        _ => "write an IP address and a port, such as 127.0.0.1:8000 or [::1]:8000, or unix:/run/house.sock"
            .into(),
    }
}

impl fmt::Display for ListenAddr {
    /// As the manifest writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddr::Tcp(address) => write!(f, "{address}"),
            ListenAddr::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl ListenAddr {
    /// Whether this is no one address: port 0, any number of times.
    pub(super) fn takes_free_port(&self) -> bool {
        matches!(self, ListenAddr::Tcp(address) if address.port() == 0)
    }
}

impl Resolver<'_> {
    /// `[listen] http`: the addresses, and where the manifest names each if it does.
    pub(super) fn listeners(&mut self, listen: Option<&Listen>) -> Vec<(ListenAddr, Option<Range<usize>>)> {
        let Some(http) = listen.and_then(|listen| listen.http.as_ref()) else {
            return defaults::LISTEN.parse().into_iter().map(|address| (address, None)).collect();
        };
        let one;
        let written: &[Located<String>] = match &http.value {
            OneOrMany::Many(many) => many,
            OneOrMany::One(text) => {
                one = [Located { value: text.clone(), span: http.span.clone() }];
                &one
            }
        };
        if written.is_empty() && !self.unread.hides(&http.span) {
            self.error(
                &http.span,
                "the house listens nowhere",
                format!("name an address: http = \"{}\"", defaults::LISTEN),
            );
        }
        let mut listeners: Vec<(ListenAddr, &Located<String>)> = Vec::new();
        for text in written {
            let Some(address) = self.listener(text) else { continue };
            match listeners.iter().find(|(other, _)| *other == address && !address.takes_free_port()) {
                Some((_, first)) => {
                    let problem = Problem::error(format!("`{address}` is listened on twice"))
                        .at(self.place(&text.span), "")
                        .also(self.place(&first.span), "first here")
                        .help("remove one of them");
                    self.report.push(problem);
                }
                None => listeners.push((address, text)),
            }
        }
        listeners.into_iter().map(|(address, text)| (address, Some(text.span.clone()))).collect()
    }

    fn listener(&mut self, text: &Located<String>) -> Option<ListenAddr> {
        let address = self.text(text)?.parse().and_then(|address| self.absolute_address(address));
        address.map_err(|ListenError { message, help }| self.error(&text.span, message, help)).ok()
    }

    /// An address with the path of a Unix socket made absolute; a path can be too long only then.
    pub(super) fn absolute_address(&self, address: ListenAddr) -> Result<ListenAddr, ListenError> {
        let ListenAddr::Unix(path) = address else { return Ok(address) };
        let path = self.absolute(&path);
        if path.as_os_str().len() > UNIX_PATH_MAX {
            return Err(ListenError {
                message: format!("the path of this socket is longer than {UNIX_PATH_MAX} bytes"),
                help: "choose a shorter path, such as one below /run".to_owned(),
            });
        }
        Ok(ListenAddr::Unix(path))
    }
}
