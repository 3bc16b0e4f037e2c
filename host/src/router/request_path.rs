//! The path of a request as routes see it, and as the guest sees it too.
//!
//! Two spellings of one path must not lead to different apps, nor one spelling mean one thing to the router and
//! another to the guest: `/shop/../admin`, `/%61dmin` and `/admin` are the same path to any client (RFC 3986,
//! section 6.2.2), so a guest mounted at `/` must not be reached by the first two where another one is mounted at
//! `/admin`. A path is therefore normalised once, before the look-up, and what the guest gets is the normalised form:
//!
//! - percent-encoded unreserved characters are decoded (`%7E` is `~`), the digits of other percent-encodings are
//!   upper case (RFC 3986, 6.2.2.1 and 6.2.2.2);
//! - `.` and `..` segments are resolved, encoded ones too (6.2.2.3); `..` at the root stays there;
//! - bytes outside ASCII, and percent signs that begin no percent-encoding, are percent-encoded.
//!
//! All else stays as it is: `//` holds an empty segment that counts (`//admin` is not `/admin`), `%2F` is no segment
//! boundary, and case matters. Normalising twice is normalising once.

use std::borrow::Cow;

/// A normalised request path, without the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPath<'a>(Cow<'a, str>);

impl<'a> RequestPath<'a> {
    /// Takes the path of a request target, without the query. An empty path is `/`; what does not begin with a slash
    /// (the `*` of an OPTIONS request) is kept as it is. Ordinary paths are borrowed.
    pub fn new(raw: &'a str) -> Self {
        if raw.is_empty() {
            return Self(Cow::Borrowed("/"));
        }
        if !raw.starts_with('/') || is_normal(raw) {
            return Self(Cow::Borrowed(raw));
        }
        let decoded = normalise_encoding(raw);
        Self(Cow::Owned(remove_dot_segments(&decoded)))
    }

    /// The path in full.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is left of the path without a route's prefix (empty, or `/shop`): at least `/`.
    pub fn without(&self, prefix: &str) -> &str {
        match self.0.strip_prefix(prefix) {
            Some("") => "/",
            Some(rest) => rest,
            None => &self.0,
        }
    }
}

/// Whether a path is certainly in normal form.
fn is_normal(path: &str) -> bool {
    let plain = path.bytes().all(|byte| byte.is_ascii() && byte != b'%');
    plain && !(path.contains("/.") && path.split('/').any(|segment| segment == "." || segment == ".."))
}

/// Whether a path holds `.` or `..` segments, percent-encoded or not.
pub(crate) fn has_dot_segments(path: &str) -> bool {
    normalise_encoding(path).split('/').any(|segment| matches!(segment, "." | ".."))
}

fn normalise_encoding(path: &str) -> String {
    let mut normal = String::with_capacity(path.len());
    let mut bytes = path.as_bytes();
    while let [byte, rest @ ..] = bytes {
        let encoded = match (byte, rest) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        match encoded {
            Some(value) if is_unreserved(value) => normal.push(char::from(value)),
            Some(value) => push_encoded(&mut normal, value),
            None if byte.is_ascii() && *byte != b'%' => normal.push(char::from(*byte)),
            None => push_encoded(&mut normal, *byte),
        }
        let taken = if encoded.is_some() { 3 } else { 1 };
        bytes = bytes.get(taken..).unwrap_or_default();
    }
    normal
}

fn push_encoded(text: &mut String, byte: u8) {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'A' + value - 10 });
    text.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986, section 5.2.4, for a path that begins with a slash.
fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // `/a/..` is `/`, and `/a/.` is `/a/`: the slash before the dots stays.
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    kept.iter().flat_map(|segment| ["/", segment]).collect()
}
