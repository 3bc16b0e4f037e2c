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
        check_target(request.uri())?;
        check_framing(request.headers())?;
        let host = host_field(&request)?;
        let authority = match request.uri().authority() {
            // It does not count beside the target's own, and has to be one all the same.
            Some(_) if host.as_deref().is_some_and(|host| Host::parse(host).is_err()) => return Err(NO_HOST),
            Some(authority) if authority.as_str().contains('@') => {
                return Err(Refusal::BadRequest("The request target names a user."));
            }
            Some(authority) => authority.as_str().to_owned(),
            None => host.unwrap_or_default(),
        };
        let origin = Origin::take(request.headers_mut(), peer, &server.trusted_proxies, server.trust_unix);
        // RFC 9110, section 7.4: what was not asked for over TLS is no request for an `https` resource.
        if request.uri().scheme().is_some_and(|scheme| *scheme != origin.scheme) {
            return Err(Refusal::Misdirected);
        }
        let authority = origin.host.clone().unwrap_or(authority);
        Ok(Self { request, origin, authority })
    }

    pub(super) fn request(&self) -> &Request<B> {
        &self.request
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The host for the router.
    pub(super) fn host(&self) -> Result<Host<'_>, Refusal> {
        Host::parse(&self.authority).map_err(|_| NO_HOST)
    }

    /// The path for the router, in the form in which the guest gets it too.
    pub(super) fn path(&self) -> RequestPath<'_> {
        RequestPath::new(self.request.uri().path())
    }

    pub(super) fn content_length(&self) -> Result<Option<u64>, Refusal> {
        content_length(self.request.headers()).map_err(Refusal::BadRequest)
    }

    /// The request as the guest sees it on this route.
    ///
    /// # Errors
    /// 400 for a target that cannot be written as a URI.
    pub(super) fn for_guest(self, route: &plan::Route, number: u64) -> Result<Request<B>, Refusal> {
        let path = self.path();
        let (mount, path) = match route.strip_prefix {
            true => (route.prefix.as_str(), path.without(&route.prefix)),
            false => ("", path.as_str()),
        };
        let uri = guest_uri(self.origin.scheme.clone(), &self.authority, path, self.request.uri().query())
            .ok_or(Refusal::BadRequest("The request target is not valid."))?;
        let (mut parts, body) = self.request.into_parts();
        remove_hop_by_hop(&mut parts.headers);
        self.origin.write(&mut parts.headers, &self.authority, mount);
        parts.headers.insert("x-request-id", number.into());
        for (name, value) in &route.headers {
            parts.headers.insert(name, value.clone());
        }
        parts.uri = uri;
        Ok(Request::from_parts(parts, body))
    }
}

const NO_HOST: Refusal = Refusal::BadRequest("The Host field is not a host.");

/// An app is asked for by origin-form or absolute-form (RFC 9112, section 3.2); hyper reads `GET name` as authority-form.
fn check_target(uri: &Uri) -> Result<(), Refusal> {
    let bare_authority = uri.authority().is_some() && uri.scheme().is_none();
    if bare_authority || !uri.path().starts_with('/') {
        return Err(Refusal::BadRequest("The request target is no path."));
    }
    Ok(())
}

/// Framing that two servers could read in two ways is refused (RFC 9112, section 6.1): no coding but `chunked` is known
/// here, and a length beside it is an attempt at smuggling.
fn check_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if headers.contains_key(header::CONTENT_LENGTH) {
        return Err(Refusal::BadRequest("Both Transfer-Encoding and Content-Length are given."));
    }
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Refusal::BadRequest("The only Transfer-Encoding known here is `chunked`, once."));
    }
    Ok(())
}

/// The one `Host` field. Only HTTP/1.0 may go without.
fn host_field<B>(request: &Request<B>) -> Result<Option<String>, Refusal> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => match host.to_str() {
            Ok(host) => Ok(Some(host.to_owned())),
            Err(_) => Err(NO_HOST),
        },
        (None, _) if request.version() < Version::HTTP_11 => Ok(None),
        (None, _) => Err(Refusal::BadRequest("The Host field is missing.")),
        (Some(_), Some(_)) => Err(Refusal::BadRequest("There is more than one Host field.")),
    }
}

/// Fields between the client and the host: those of RFC 9110, section 7.6.1, with all that `Connection` names. `Expect`
/// is the host's to answer, and the authority is not in a field for guests.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in [header::CONNECTION, header::TE, header::UPGRADE, header::EXPECT, header::HOST] {
        headers.remove(name);
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
