//! Who the client is and how it reached the house, when proxies stand between.
//!
//! `Forwarded` (RFC 7239) and the older `X-Forwarded-*` fields are believed only from proxies that the manifest names;
//! from anyone else they are dropped. Towards the guest they are written anew, all saying the same.

use std::{borrow::Cow, net::IpAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header, uri::Scheme};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// How the request came, as far as it can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The client's address; `None` for a local socket.
    pub client: Option<IpAddr>,
    pub scheme: Scheme,
    /// The host that the client asked for, where a proxy says that it was another than `Host`.
    pub host: Option<String>,
    /// Addresses from the client to the last proxy before the house.
    chain: Vec<IpAddr>,
    /// Path prefix that a proxy has stripped already.
    prefix: Option<HeaderValue>,
}

/// The peer of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Ip(IpAddr),
    /// A process on this machine, by a Unix socket.
    Unix,
}

/// What one `Forwarded` element or one set of `X-Forwarded-*` values says.
#[derive(Default)]
struct Claims {
    chain: Vec<IpAddr>,
    proto: Option<String>,
    host: Option<String>,
}

impl Origin {
    /// Reads and removes all forwarding fields of a request.
    pub fn take(headers: &mut HeaderMap, peer: Peer, trusted: &[IpNet], trust_unix: bool) -> Self {
        let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(&address.to_canonical()));
        let believed = match &peer {
            Peer::Ip(address) => is_trusted(address),
            Peer::Unix => trust_unix,
        };
        let claims = if believed { claims(headers) } else { Claims::default() };
        let prefix = headers.remove(X_FORWARDED_PREFIX).filter(|_| believed);
        for name in [
            header::FORWARDED,
            X_FORWARDED_FOR,
            X_FORWARDED_PROTO,
            X_FORWARDED_HOST,
            X_FORWARDED_PORT,
            X_REAL_IP,
        ] {
            headers.remove(name);
        }
        if !believed {
            // Frameworks look at more of them than are written here, `X-Forwarded-Ssl` and `X-Forwarded-Scheme` among them.
            let others: Vec<HeaderName> =
                headers.keys().filter(|name| name.as_str().starts_with("x-forwarded-")).cloned().collect();
            others.iter().for_each(|name| drop(headers.remove(name)));
        }
        let mut chain = claims.chain;
        if let Peer::Ip(address) = peer {
            chain.push(address.to_canonical());
        }
        // From the house outwards, the first address that is no trusted proxy is the client; further ones are hearsay.
        let client_at = chain.iter().rposition(|address| !is_trusted(address)).unwrap_or(0);
        let chain = chain.split_off(client_at.min(chain.len()));
        let scheme = if claims.proto.as_deref() == Some("https") { Scheme::HTTPS } else { Scheme::HTTP };
        Self { client: chain.first().copied(), scheme, host: claims.host, chain, prefix }
    }

    /// Writes what the guest is told. `host` is the authority under which the house was reached, `mount` the path
    /// prefix that the route strips (empty where none).
    pub fn write(&self, headers: &mut HeaderMap, host: &str, mount: &str) {
        let mut put = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        // Each address is written once: this is on the way of every request.
        let scheme = self.scheme.as_str();
        let (mut chain, mut forwarded) = (String::new(), String::new());
        for address in &self.chain {
            let text = address.to_string();
            if chain.is_empty() {
                forwarded = format!("for={};proto={scheme};host=\"{host}\"", node(*address, &text));
                chain.clone_from(&text);
                put(X_REAL_IP, text);
            } else {
                forwarded.extend([", for=", &node(*address, &text)]);
                chain.extend([", ", &text]);
            }
        }
        if chain.is_empty() {
            forwarded = format!("proto={scheme};host=\"{host}\"");
        } else {
            put(X_FORWARDED_FOR, chain);
        }
        put(header::FORWARDED, forwarded);
        put(X_FORWARDED_PROTO, scheme.to_owned());
        put(X_FORWARDED_HOST, host.to_owned());
        let outer = self.prefix.as_ref().and_then(|prefix| prefix.to_str().ok()).unwrap_or_default();
        let prefix = format!("{}{mount}", outer.trim_end_matches('/'));
        if !prefix.is_empty() {
            put(X_FORWARDED_PREFIX, prefix);
        }
    }
}

/// A node in `Forwarded`, of an address and its text: IPv6 in brackets and quotes (RFC 7239, section 6).
fn node(address: IpAddr, text: &str) -> Cow<'_, str> {
    match address {
        IpAddr::V4(_) => Cow::Borrowed(text),
        IpAddr::V6(_) => Cow::Owned(format!("\"[{text}]\"")),
    }
}

fn claims(headers: &HeaderMap) -> Claims {
    let forwarded: Vec<&str> =
        headers.get_all(header::FORWARDED).iter().filter_map(|value| value.to_str().ok()).collect();
    if forwarded.is_empty() { x_forwarded(headers) } else { rfc7239(&forwarded.join(",")) }
}

fn x_forwarded(headers: &HeaderMap) -> Claims {
    let list = |name| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|value| value.trim().to_owned()).collect::<Vec<_>>()
    };
    Claims {
        // An address that cannot be read hides all before it.
        chain: trusted_tail(list(X_FORWARDED_FOR).iter().map(|text| address(text))),
        proto: list(X_FORWARDED_PROTO).pop().map(|proto| proto.to_ascii_lowercase()),
        host: list(X_FORWARDED_HOST).pop().filter(|host| !host.is_empty()),
    }
}

/// `Forwarded = 1#( [ pair ] *( ";" [ pair ] ) )`, the nearest proxy's element last (RFC 7239, section 4).
fn rfc7239(text: &str) -> Claims {
    let mut claims = Claims::default();
    let mut addresses = Vec::new();
    for element in split_unquoted(text, ',') {
        let mut from = None;
        for pair in split_unquoted(element, ';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => from = address(value),
                "proto" => claims.proto = Some(value.to_ascii_lowercase()),
                "host" => claims.host = Some(value.to_owned()),
                _ => {}
            }
        }
        addresses.push(from);
    }
    claims.chain = trusted_tail(addresses.into_iter());
    claims
}

fn trusted_tail(addresses: impl Iterator<Item = Option<IpAddr>>) -> Vec<IpAddr> {
    let mut tail = Vec::new();
    for address in addresses {
        match address {
            Some(address) => tail.push(address),
            None => tail.clear(),
        }
    }
    tail
}

/// Splits at a separator outside of quoted strings.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .collect()
}

/// An address, with or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']')?.0.parse().ok();
    }
    text.parse()
        .ok()
        .or_else(|| text.rsplit_once(':')?.0.parse().ok())
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(peer: &str, fields: &[(&'static str, &str)]) -> (Origin, HeaderMap) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let origin = Origin::take(&mut headers, Peer::Ip(peer.parse().unwrap()), &trusted, false);
        (origin, headers)
    }

    #[test]
    fn an_unknown_peer_is_not_believed() {
        let fields = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-ssl", "on"),
            ("forwarded", "for=6.6.6.6;proto=https"),
        ];
        let (origin, mut headers) = origin("1.2.3.4", &fields);
        assert_eq!(origin.client, Some("1.2.3.4".parse().unwrap()));
        assert_eq!(origin.scheme, Scheme::HTTP);
        assert!(headers.is_empty());
        origin.write(&mut headers, "a.example", "");
        assert_eq!(headers["x-forwarded-for"], "1.2.3.4");
        assert_eq!(headers["forwarded"], "for=1.2.3.4;proto=http;host=\"a.example\"");
        assert!(!headers.contains_key("x-forwarded-prefix"));
    }

    #[test]
    fn a_trusted_proxy_is_believed_up_to_the_first_stranger() {
        let fields = [("x-forwarded-for", "6.6.6.6, 9.9.9.9, 10.1.1.1"), ("x-forwarded-proto", "https")];
        let (origin, mut headers) = origin("10.0.0.1", &fields);
        assert_eq!(origin.client, Some("9.9.9.9".parse().unwrap()));
        assert_eq!(origin.scheme, Scheme::HTTPS);
        origin.write(&mut headers, "a.example", "/shop");
        assert_eq!(headers["x-forwarded-for"], "9.9.9.9, 10.1.1.1, 10.0.0.1");
        assert_eq!(headers["x-real-ip"], "9.9.9.9");
        assert_eq!(headers["x-forwarded-prefix"], "/shop");
    }

    #[test]
    fn forwarded_is_read_with_quotes_ports_and_ipv6() {
        let fields = [(
            "forwarded",
            "for=\"[2001:db8::1]:4711\";proto=https;host=\"shop.example:8443\", for=10.2.2.2",
        )];
        let (origin, _) = origin("10.0.0.1", &fields);
        assert_eq!(origin.client, Some("2001:db8::1".parse().unwrap()));
        assert_eq!(origin.scheme, Scheme::HTTPS);
        assert_eq!(origin.host.as_deref(), Some("shop.example:8443"));
    }
}
