//! Who may use the admin interface: whoever can open the private socket, or brings the token.

use std::{fs, os::unix::fs::MetadataExt, path::Path, sync::Arc};

use anyhow::{Context, Result, ensure};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Shared, refused::Refused};
use crate::plan::{self, ListenAddr};

pub(super) struct Guard {
    token: Option<Token>,
    /// Whether browsers of this machine can reach the listener, and with them any page that they show.
    by_browsers: bool,
}

/// The bearer token, as a keyed digest. Digests of equal length are compared in constant time.
struct Token {
    key: [u8; 32],
    digest: Vec<u8>,
}

impl Guard {
    pub(super) fn new(admin: &plan::Admin) -> Result<Self> {
        let by_browsers = matches!(admin.address, ListenAddr::Tcp(_));
        let token = admin.token_file.as_deref().map(read_token).transpose()?;
        ensure!(
            token.is_some() || !by_browsers,
            "an admin listener on TCP needs a token: name its file with `[listen] admin-token-file`"
        );
        let token = token.map(|token| Token::new(&token)).transpose()?;
        Ok(Self { token, by_browsers })
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        if self.by_browsers && headers.contains_key(header::ORIGIN) {
            return Err(Refused::bad(
                StatusCode::FORBIDDEN,
                "the admin interface is not for web pages: this request comes from one (it has an `Origin`)",
            ));
        }
        let Some(token) = &self.token else { return Ok(()) };
        let message = match bearer(headers) {
            Some(given) if token.is(given) => return Ok(()),
            Some(_) => "the token is not that of this house: compare `[listen] admin-token-file`",
            None => {
                "this needs the token of `[listen] admin-token-file`: `Authorization: Bearer TOKEN`, or `--token-file FILE` \
                 on the command line"
            }
        };
        Err(Refused::bad(StatusCode::UNAUTHORIZED, message))
    }
}

impl Token {
    fn new(token: &str) -> Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)
            .map_err(|error| anyhow::anyhow!("no random numbers from the system: {error}"))?;
        let digest = mac(&key, token.as_bytes()).context("the key has a wrong length")?;
        Ok(Self { key, digest: digest.finalize().into_bytes().to_vec() })
    }

    fn is(&self, given: &[u8]) -> bool {
        mac(&self.key, given).is_some_and(|given| given.verify_slice(&self.digest).is_ok())
    }
}

fn mac(key: &[u8], token: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(token);
    Some(mac)
}

/// The token of a token file, without the white space around it.
///
/// # Errors
/// A file that others can read, or that holds no token.
pub(super) fn read_token(path: &Path) -> Result<String> {
    let context = || format!("reading the admin token {}", path.display());
    let others = fs::metadata(path).with_context(context)?.mode() & 0o077 != 0;
    let shown = path.display();
    ensure!(!others, "the admin token {shown} is open to other users: run `chmod 600 {shown}`");
    let token = fs::read_to_string(path).with_context(context)?.trim().to_owned();
    ensure!(
        !token.is_empty(),
        "the admin token {shown} is empty: make one with `head -c 32 /dev/urandom | base64 > {shown}`"
    );
    let sendable = token.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(sendable, "the admin token {shown} must be one word of ASCII characters");
    Ok(token)
}

/// RFC 6750, section 2.1; the scheme in any case (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Lets a request through, or answers it.
pub(super) async fn guarded(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let refused = match shared.guard.check(request.headers()) {
        Ok(()) => return next.run(request).await,
        Err(refused) => refused,
    };
    tracing::warn!(path = request.uri().path(), "admin request refused: {}", refused.message());
    let unauthorized = refused.status() == StatusCode::UNAUTHORIZED;
    let mut answer = refused.into_response();
    if unauthorized {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn admin(address: &str, token_file: Option<&Path>) -> plan::Admin {
        plan::Admin {
            address: address.parse().unwrap(),
            token_file: token_file.map(Path::to_owned),
            named: true,
        }
    }

    fn status(guard: &Guard, fields: &[(&'static str, &str)]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, value.parse().unwrap());
        }
        guard.check(&headers).err().map(|refused| refused.status().as_u16())
    }

    #[test]
    fn the_token_opens_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "\n secret-token\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let tcp = Guard::new(&admin("127.0.0.1:0", Some(&file))).unwrap();
        let unix = Guard::new(&admin("unix:/x", Some(&file))).unwrap();
        for guard in [&tcp, &unix] {
            for good in ["Bearer secret-token", "bearer secret-token", "BEARER   secret-token"] {
                assert_eq!(status(guard, &[("authorization", good)]), None, "{good}");
            }
            for bad in
                ["Bearer secret-toke", "Bearer secret-token2", "Bearer ", "Bearer", "Basic secret-token", ""]
            {
                assert_eq!(status(guard, &[("authorization", bad)]), Some(401), "{bad}");
            }
            assert_eq!(status(guard, &[]), Some(401));
        }
        let from_page = [("authorization", "Bearer secret-token"), ("origin", "http://localhost")];
        assert_eq!(status(&tcp, &from_page), Some(403));
        assert_eq!(status(&unix, &from_page), None);
        let open = Guard::new(&admin("unix:/x", None)).unwrap();
        assert_eq!(status(&open, &[("origin", "null")]), None);
    }

    #[test]
    fn a_token_that_is_none_is_an_error() {
        assert!(Guard::new(&admin("127.0.0.1:0", None)).is_err());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        assert!(read_token(&file).is_err());
        for (text, mode, word) in
            [("secret", 0o640, "chmod 600"), (" \n", 0o600, "empty"), ("two words", 0o600, "one word")]
        {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let error = format!("{:#}", read_token(&file).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }
}
