//! Outgoing requests: one connection each, to an address that was checked.
//!
//! wasmtime's own sender resolves the name while it connects, so that nobody can look at the address between the two. Where
//! an answer redirects, the guest sends another request, which is checked like any other.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{HeaderName, Method, Request, Response, Uri, header, uri::Scheme};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::{
    Access,
    body::{Progress, Received, Sent},
    tls,
};
use crate::{outgoing::LookupError, plan::RemoteHost, taken::Slot};

/// Bytes that the head of an answer may have.
const HEAD_BYTES: usize = 128 * 1024;
/// Fields that it may have.
const HEAD_FIELDS: usize = 256;

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sending = Box<dyn Future<Output = Result<(Response<WasiBody>, Io), Error>> + Send>;

/// `wasi:http`, as far as it goes out of the house.
pub(in crate::instance) struct Hooks(Access);

impl Hooks {
    pub(in crate::instance) fn new(access: Access) -> Self {
        Self(access)
    }
}

/// In one place, where wasmtime's own look would make the list anew for each field of each request.
static FORBIDDEN_FIELDS: [HeaderName; 9] = wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        FORBIDDEN_FIELDS.contains(name)
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Io,
    ) -> Sending {
        let access = self.0.clone();
        Box::new(async move { access.send(request, options.unwrap_or_default()).await })
    }
}

/// A granted place to send a request to.
struct Destination {
    tls: bool,
    host: RemoteHost,
    port: u16,
}

/// The time that each wait of a request may take.
struct Patience {
    connect: Duration,
    head: Duration,
    body: Duration,
}

impl Access {
    async fn send(
        &self,
        mut request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<(Response<WasiBody>, Io), Error> {
        let destination = self.destination(request.uri())?;
        // It would ask a proxy for a connection to anywhere.
        if request.method() == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let slot = Arc::new(self.slot("a request").ok_or(Error::ConnectionLimitReached)?);
        let limit = self.0.limits.outgoing_body_bytes;
        if declared_bytes(&request).is_some_and(|bytes| bytes > limit) {
            return Err(self.too_large(
                "the body of a request",
                &destination.host,
                Error::HttpRequestBodySize,
            ));
        }
        let most = self.0.limits.outgoing_wait;
        let patience = |asked: Option<Duration>| asked.map_or(most, |asked| asked.min(most));
        let patience = Patience {
            connect: patience(options.connect_timeout),
            head: patience(options.first_byte_timeout),
            body: patience(options.between_bytes_timeout),
        };
        // Towards the server the target is its path: the whole URL is for proxies.
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse().map_err(|_| Error::HttpRequestUriInvalid)?;

        let until = Instant::now() + patience.connect;
        let stream = timeout_at(until, self.connect(&destination, slot.clone()));
        let stream = stream.await.map_err(|_| Error::ConnectionTimeout)??;
        if !destination.tls {
            return self.exchange(stream, &destination.host, request, patience, slot).await;
        }
        let stream = timeout_at(until, tls::connect(&destination.host, stream));
        let stream = stream.await.map_err(|_| Error::ConnectionTimeout)??;
        self.exchange(stream, &destination.host, request, patience, slot).await
    }

    /// Where a request goes, if that is granted.
    fn destination(&self, uri: &Uri) -> Result<Destination, Error> {
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(Error::HttpRequestUriInvalid),
        };
        let scheme = if tls { Scheme::HTTPS } else { Scheme::HTTP };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let (host, port) = RemoteHost::parse_with_port(authority).map_err(|error| {
            self.refuse("a request to", format_args!("{scheme}://{authority}"), error);
            Error::HttpRequestUriInvalid
        })?;
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        let named =
            |origin: &crate::plan::Origin| origin.scheme == scheme && origin.service.includes(&host, port);
        if !self.0.grants.http.iter().any(named) {
            let origin = if uri.port().is_some() {
                format!("{scheme}://{host}:{port}")
            } else {
                format!("{scheme}://{host}")
            };
            self.refuse(
                "a request to",
                &origin,
                format_args!("grant it with `grants.http = [\"{origin}\"]`"),
            );
            return Err(Error::HttpRequestDenied);
        }
        Ok(Destination { tls, host, port })
    }

    /// Connects to one of the addresses of the host: each is checked, and none is looked up again.
    async fn connect(&self, to: &Destination, slot: Arc<Slot>) -> Result<TcpStream, Error> {
        let addresses = self.resolve(&to.host, slot).await.map_err(|error| match error {
            LookupError::Unknown => {
                Error::DnsError { rcode: Some("address not available".to_owned()), info_code: None }
            }
            LookupError::Prohibited(_) => Error::DestinationIpProhibited,
        })?;
        let mut failed = Error::DestinationNotFound;
        for address in addresses {
            match connect(address, to.port).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = connect_error(&error),
            }
        }
        Err(failed)
    }

    /// Sends the request and waits for the head of its answer.
    async fn exchange<S>(
        &self,
        stream: S,
        host: &RemoteHost,
        request: Request<WasiBody>,
        patience: Patience,
        slot: Arc<Slot>,
    ) -> Result<(Response<WasiBody>, Io), Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let limit = self.0.limits.outgoing_body_bytes;
        let mut http = http1::Builder::new();
        http.max_buf_size(HEAD_BYTES).max_headers(HEAD_FIELDS);
        let (mut sender, connection) =
            http.handshake(TokioIo::new(stream)).await.map_err(|error| protocol_error(&error))?;
        let progress = Arc::new(Progress::default());
        let request = request.map(|body| Sent::new(body, limit, progress.clone()));
        let mut connection = Box::pin(connection);
        let mut done = false;
        let mut send = Box::pin(sender.send_request(request));
        let response = loop {
            tokio::select! {
                biased;
                response = &mut send => break response,
                ended = &mut connection, if !done => {
                    done = true;
                    if let Err(error) = ended {
                        // Only one of the two is told what went wrong.
                        break Err(error);
                    }
                }
                () = progress.silent_for(patience.head) => return Err(Error::ConnectionReadTimeout),
            }
        };
        let response = match response {
            Ok(response) => response,
            Err(_) if progress.too_large() => {
                return Err(self.too_large("the body of a request", host, Error::HttpRequestBodySize));
            }
            Err(error) => return Err(protocol_error(&error)),
        };
        drop(send);
        // Nothing more is sent on this connection: it ends with the answer.
        drop(sender);
        let length = response.body().size_hint().exact();
        if length.is_some_and(|bytes| bytes > limit) {
            return Err(self.too_large("the body of an answer", host, Error::HttpResponseBodySize));
        }
        let access = self.clone();
        let host = host.clone();
        let over = move || access.too_large("the body of an answer", &host, Error::HttpResponseBodySize);
        let response = response.map(|body| Received::new(body, limit, patience.body, over).boxed_unsync());
        let io = async move {
            // The answer's body tells the guest what goes wrong from here on.
            if !done {
                let _ = connection.await;
            }
            drop(slot);
            Ok(())
        };
        Ok((response, Box::new(io)))
    }

    /// The error of a body over the limit, told to the operator.
    fn too_large(&self, what: &str, host: &RemoteHost, error: fn(Option<u64>) -> Error) -> Error {
        let bytes = self.0.limits.outgoing_body_bytes;
        let mib = bytes / (1024 * 1024);
        let what = format!("{what} to");
        self.refuse(&what, host, format_args!("it has more than {mib} MiB (`limits.outgoing-body-mib`)"));
        error(Some(bytes))
    }
}

/// The length of a body, as far as it is known before it comes.
fn declared_bytes(request: &Request<WasiBody>) -> Option<u64> {
    let field = request.headers().get(header::CONTENT_LENGTH);
    let field = field.and_then(|value| value.to_str().ok()?.parse().ok());
    field.or_else(|| request.body().size_hint().exact())
}

async fn connect(address: IpAddr, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(SocketAddr::new(address, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn connect_error(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Error::DestinationUnavailable,
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::InvalidInput => Error::DestinationIpUnroutable,
        _ => Error::ConnectionRefused,
    }
}

/// What a guest is told of a connection that did not go by the protocol.
pub(super) fn protocol_error(error: &hyper::Error) -> Error {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Error::ConnectionTerminated;
    }
    if error.is_timeout() {
        return Error::HttpResponseTimeout;
    }
    if error.is_parse_too_large() {
        return Error::HttpResponseHeaderSectionSize(u32::try_from(HEAD_BYTES).ok());
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return match error.kind() {
                io::ErrorKind::InvalidData => Error::TlsProtocolError,
                _ => Error::ConnectionTerminated,
            };
        }
        source = cause.source();
    }
    Error::HttpProtocolError
}
