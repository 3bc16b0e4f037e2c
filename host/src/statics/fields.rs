//! What an answer with a file says of itself, beyond what `ServeDir` knows: caching, charset, and whether a range holds.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header, response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use crate::plan::StaticFolder;

/// What stays as it is in a path (RFC 3986, section 3.3, without what is seldom in a file's name).
pub(super) const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Hexadecimal digits of the digest in a name of Django's `ManifestStaticFilesStorage`.
const DIGEST_DIGITS: usize = 12;

/// Adds what is missing to an answer about the file of this name.
pub(super) fn complete(head: &mut response::Parts, folder: &StaticFolder, name: &str) {
    let headers = &mut head.headers;
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let caching = match head.status {
        // A cache that learns that its copy is good learns for how long, too (RFC 9110, section 15.4.5).
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED => caching(folder, name),
        _ => HeaderValue::from_static("no-cache"),
    };
    headers.insert(header::CACHE_CONTROL, caching);
    if head.status == StatusCode::NOT_MODIFIED {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    let charset = headers.get(header::CONTENT_TYPE).and_then(|kind| with_charset(kind.to_str().ok()?));
    if let Some(kind) = charset {
        headers.insert(header::CONTENT_TYPE, kind);
    }
}

fn caching(folder: &StaticFolder, name: &str) -> HeaderValue {
    if has_digest(name) {
        return HeaderValue::from_static("public, max-age=31536000, immutable");
    }
    // Without a word browsers guess, and show a file that has changed as it was.
    let asks = HeaderValue::from_static("no-cache");
    match folder.cache.map(|cache| cache.as_secs()) {
        None | Some(0) => asks,
        Some(seconds) => HeaderValue::from_str(&format!("public, max-age={seconds}")).unwrap_or(asks),
    }
}

/// Whether a file's name holds a digest of its content, as in `site.0123456789ab.css`: another content has another name. A
/// number of twelve digits, which may be a date, is none; hardly any digest is.
fn has_digest(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or_default();
    let mut parts = file.rsplit('.');
    let extension = parts.next();
    let digest = parts.next().unwrap_or_default();
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_digest = digest.len() == DIGEST_DIGITS
        && digest.bytes().all(digit)
        && digest.bytes().any(|byte| byte.is_ascii_lowercase());
    is_digest && parts.next().is_some() && extension.is_some_and(|extension| !extension.is_empty())
}

/// Text is UTF-8 where nothing else is said: browsers would guess by their user's country.
fn with_charset(kind: &str) -> Option<HeaderValue> {
    let text = kind.starts_with("text/") || matches!(kind, "application/javascript" | "application/json");
    let says = kind.contains("charset");
    (text && !says).then(|| HeaderValue::from_str(&format!("{kind}; charset=utf-8")).ok()).flatten()
}

/// Whether the answer to a request for a range may stand. Not where the client has an earlier file (`If-Range`, RFC 9110,
/// section 13.1.5; a date says too little, the file may have changed twice in its second), nor where it asked for the last
/// so many bytes of a file that has fewer.
pub(super) fn range_holds<B>(asked: &HeaderMap, answer: &Response<B>) -> bool {
    let headers = answer.headers();
    match answer.status() {
        StatusCode::PARTIAL_CONTENT => asked.get(header::IF_RANGE).is_none_or(|tag| {
            let strong = tag.as_bytes().starts_with(b"\"");
            strong && headers.get(header::ETAG) == Some(tag)
        }),
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let changed =
                asked.get(header::IF_RANGE).is_some_and(|tag| headers.get(header::ETAG) != Some(tag));
            !changed && !is_long_suffix(asked)
        }
        _ => true,
    }
}

/// Whether the last so many bytes are asked for, and not the last 0.
fn is_long_suffix(asked: &HeaderMap) -> bool {
    let range = asked.get(header::RANGE).and_then(|range| range.to_str().ok());
    let digits = range.and_then(|range| range.strip_prefix("bytes=-")).unwrap_or_default();
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_digest_are_told_from_others() {
        for name in ["site.0123456789ab.css", "css/a.b.55e7cbb9ba48.min", "x/admin.fedcba987654.js"] {
            assert!(has_digest(name), "{name}");
        }
        for name in [
            "site.css",
            "backup.202611281216.tar",
            "0123456789ab.css",
            "a.0123456789ab",
            "a.0123456789AB.css",
            "a.0123456789abc.css",
            "a.0123456789ab.d/site.css",
            "site.0123456789ab.",
            "",
        ] {
            assert!(!has_digest(name), "{name}");
        }
    }
}
