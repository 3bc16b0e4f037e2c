//! The head of a request: whom it is for, and what of it the guest gets to see.

use http::{HeaderMap, Method, Request, Uri, Version, header, uri::PathAndQuery};

use crate::{
    answer::Refusal,
    forwarded::{Origin, Peer},
    plan,
    router::{Host, RequestPath},
};

/// A request whose host, client and path are known.
pub(super) struct Addressed<B> {
    request: Request<B>,
    pub(super) origin: Origin,
    /// `host[:port]` as the client wrote it.
    pub(super) authority: String,
}

impl<B> Addressed<B> {
    /// Finds the authority: the request target's own (RFC 9112, section 3.2.2), else the one `Host` field.
    ///
    /// # Errors
    /// 400 for what RFC 9112, section 3.2 demands it for: no `Host` in HTTP/1.1, several, or one that is no host; also
    /// for framing that another server might read otherwise (section 6.1).
    pub(super) fn new(mut request: Request<B>, peer: Peer, server: &plan::Server) -> Result<Self, Refusal> {
        if request.method() == Method::CONNECT {
            return Err(Refusal::Connect);
        }
        let headers = request.headers();
        if headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH) {
            return Err(Refusal::BadRequest("Both Transfer-Encoding and Content-Length are given."));
        }
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => {
                Some(host.to_str().map_err(|_| Refusal::BadRequest("The Host field is not a host."))?.to_owned())
            }
            (None, _) if request.version() < Version::HTTP_11 => None,
            (None, _) => return Err(Refusal::BadRequest("The Host field is missing.")),
            (Some(_), Some(_)) => return Err(Refusal::BadRequest("There is more than one Host field.")),
        };
        let authority = match request.uri().authority() {
            Some(authority) if authority.as_str().contains('@') => {
                return Err(Refusal::BadRequest("The request target names a user."));
            }
            Some(authority) => authority.as_str().to_owned(),
            None => host.unwrap_or_default(),
        };
        let origin = Origin::take(request.headers_mut(), peer, &server.trusted_proxies, server.trust_unix);
        let authority = origin.host.clone().unwrap_or(authority);
        Ok(Self { request, origin, authority })
    }

    /// The host for the router.
    pub(super) fn host(&self) -> Result<Host<'_>, Refusal> {
        Host::parse(&self.authority).map_err(|_| Refusal::BadRequest("The Host field is not a host."))
    }

    /// The path for the router, in the form in which the guest gets it too.
    pub(super) fn path(&self) -> RequestPath<'_> {
        RequestPath::new(self.request.uri().path())
    }

    pub(super) fn content_length(&self) -> Result<Option<u64>, Refusal> {
        content_length(self.request.headers()).map_err(Refusal::BadRequest)
    }

    /// The request as the guest sees it on this route.
    pub(super) fn for_guest(self, route: &plan::Route, number: u64) -> Request<B> {
        let path = self.path();
        let (mount, path) = match route.strip_prefix {
            true => (route.prefix.as_str(), path.without(&route.prefix)),
            false => ("", path.as_str()),
        };
        let uri = guest_uri(self.origin.scheme.clone(), &self.authority, path, self.request.uri().query());
        let (mut parts, body) = self.request.into_parts();
        // An answer to 100-continue was the host's to give; trailers and upgrades are between the client and the host.
        for name in [header::EXPECT, header::HOST, header::CONNECTION, header::UPGRADE, header::TE] {
            parts.headers.remove(name);
        }
        self.origin.write(&mut parts.headers, &self.authority, mount);
        parts.headers.insert("x-request-id", number.into());
        for (name, value) in &route.headers {
            parts.headers.insert(name, value.clone());
        }
        if let Some(uri) = uri {
            parts.uri = uri;
        }
        Request::from_parts(parts, body)
    }
}

/// `scheme://authority/path?query`. A client of HTTP/1.0 may have named no host; the guest sees `localhost` then.
fn guest_uri(scheme: http::uri::Scheme, authority: &str, path: &str, query: Option<&str>) -> Option<Uri> {
    let target: PathAndQuery = match query {
        Some(query) => format!("{path}?{query}").try_into().ok()?,
        None => path.try_into().ok()?,
    };
    let authority = if authority.is_empty() { "localhost" } else { authority };
    Uri::builder().scheme(scheme).authority(authority).path_and_query(target).build().ok()
}

/// The one valid `Content-Length` (RFC 9110, section 8.6), if there is any.
pub(super) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.any(|other| other != value) {
        return Err("There are several Content-Length fields.");
    }
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|text| text.parse().ok());
    length.map(Some).ok_or("The Content-Length field is not a number.")
}
