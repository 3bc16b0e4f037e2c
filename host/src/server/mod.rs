//! Listeners, connections and the drain. Requests go to `dispatch`; nothing here knows what an app is.

mod descriptors;
mod places;
mod stream;
mod timer;

use std::{
    convert::Infallible,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use http_body_util::Full;
use hyper::{header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    places::{Place, Places},
    stream::{LINGER_PAUSE, Serving, Silence, Timed},
    timer::Alarms,
};
use crate::{
    alarm::Alarm,
    answer::Refusal,
    dispatch::{Outgoing, dispatch},
    forwarded::Peer,
    house::Current,
    listener::{Accepted, Access, Listener},
    plan::ListenAddr,
    turns::Turns,
};

/// Pause after the system refused a connection (no descriptors left), so that the others can end some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection without a place has to send its request and take the refusal.
const REFUSAL_MAX: Duration = Duration::from_secs(1);
/// Bytes that are held of its request: the least that hyper takes.
const REFUSAL_BUFFER_BYTES: usize = 8192;

/// The listeners of a house, which may be opened and closed while it serves.
pub struct Server {
    open: Mutex<Vec<Open>>,
    shared: Arc<Shared>,
    accepting: TaskTracker,
}

/// A listener that accepts.
struct Open {
    address: ListenAddr,
    url: String,
    /// Told to take no more connections, and to end those that it has.
    closing: CancellationToken,
}

/// A listener that is bound: clients can connect, and are served once it is opened.
pub struct Bound {
    address: ListenAddr,
    listener: Listener,
}

impl Bound {
    /// Binds a listener.
    ///
    /// # Errors
    /// Where the address cannot be bound, with who may hold it.
    pub async fn new(address: &ListenAddr) -> Result<Self> {
        Ok(Self { address: address.clone(), listener: Listener::bind(address, Access::Group).await? })
    }

    /// `http://127.0.0.1:8000` or `unix:/run/x.sock`, port 0 resolved.
    pub fn url(&self) -> String {
        self.listener.url()
    }
}

/// What became of the requests in flight when the house was told to stop.
#[derive(Debug, PartialEq, Eq)]
pub struct Drained {
    /// Requests that were not done in time.
    pub cut: usize,
}

impl Server {
    /// A server of whatever house is current, without listeners so far.
    pub fn new(current: Current) -> Self {
        let connections_max = current.load().server.connections_max;
        descriptors::provide(connections_max);
        let shared = Arc::new(Shared {
            current,
            places: Places::new(connections_max),
            connections: TaskTracker::new(),
            draining: CancellationToken::new(),
            turns: Arc::new(Turns::new(LINGER_PAUSE)),
        });
        Self { open: Mutex::default(), shared, accepting: TaskTracker::new() }
    }

    fn open_listeners(&self) -> MutexGuard<'_, Vec<Open>> {
        lock(&self.open)
    }

    /// Serves the clients of a listener from now on.
    pub fn open(&self, bound: Bound) {
        let closing = self.shared.draining.child_token();
        let url = bound.url();
        self.open_listeners().push(Open { address: bound.address, url, closing: closing.clone() });
        self.accepting.spawn(accept(bound.listener, self.shared.clone(), closing));
    }

    /// Closes one listener of this address: its requests in flight finish, its connections end. Returns its URL.
    pub fn close(&self, address: &ListenAddr) -> Option<String> {
        let mut open = self.open_listeners();
        let index = open.iter().position(|open| open.address == *address)?;
        let open = open.remove(index);
        open.closing.cancel();
        Some(open.url)
    }

    /// The URLs of the listeners that are open.
    pub fn urls(&self) -> Vec<String> {
        self.open_listeners().iter().map(|open| open.url.clone()).collect()
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.shared.connections.len()
    }

    /// Connections refused so far because their client had `connections-per-client` already.
    pub fn refused(&self) -> u64 {
        self.shared.places.refused()
    }

    /// Closes all listeners and drains: kept-alive connections are told to close, requests in flight may finish within
    /// `drain-ms`.
    pub async fn drain(&self) -> Drained {
        self.shared.draining.cancel();
        self.open_listeners().clear();
        self.accepting.close();
        self.accepting.wait().await;
        let house = self.shared.current.load_full();
        house.close();
        self.shared.connections.close();
        let busy = &house.counters.busy;
        let all_done = async {
            self.shared.connections.wait().await;
            busy.wait().await;
        };
        match timeout(house.server.drain_timeout, all_done).await {
            Ok(()) => Drained { cut: 0 },
            Err(_) => Drained { cut: self.shared.connections.len().max(busy.len()) },
        }
    }
}

/// What all connections share.
struct Shared {
    current: Current,
    places: Places,
    connections: TaskTracker,
    draining: CancellationToken,
    turns: Arc<Turns>,
}

/// Accepts until the listener is to close. An error of accepting never ends it.
async fn accept(listener: Listener, shared: Arc<Shared>, closing: CancellationToken) {
    let mut troubled = false;
    loop {
        // Where all places are taken, new clients wait in the system's queue.
        let places = shared.places.in_all(shared.current.load().server.connections_max);
        let place = tokio::select! {
            place = places.acquire_owned() => place,
            () = closing.cancelled() => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = closing.cancelled() => break,
        };
        match accepted {
            Ok(accepted) => {
                troubled = false;
                let (shared_, closing) = (shared.clone(), closing.clone());
                shared.connections.spawn(async move {
                    match accepted {
                        Accepted::Tcp(stream, peer) => {
                            connection(stream, Peer::Ip(peer.ip()), &shared_, closing).await;
                        }
                        Accepted::Unix(stream) => connection(stream, Peer::Unix, &shared_, closing).await,
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Once, and not with every attempt until it is over.
                if !troubled {
                    tracing::warn!("accepting on {}: {error}", listener.url());
                }
                troubled = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Dropping the listener closes it. Who has connected by now was accepted above, and is answered.
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: Peer,
    shared: &Shared,
    closing: CancellationToken,
) {
    let server = shared.current.load().server.clone();
    match shared.places.take(peer, &server) {
        Ok(place) => serve(stream, (peer, place), shared, closing).await,
        // By turns: it may be a flood.
        Err(full) => {
            let told = tokio::select! {
                told = full.turn() => told,
                () = closing.cancelled() => false,
            };
            if told {
                let _ = timeout(REFUSAL_MAX, refuse(stream, shared.turns.clone())).await;
            }
        }
    }
}

/// Answers the first request of a connection that has no place.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: S, turns: Arc<Turns>) {
    let silence = Silence { head_max: REFUSAL_MAX, stall_max: REFUSAL_MAX };
    let serving = Serving::default();
    let io = TokioIo::new(Timed::new(stream, silence, serving.clone(), turns));
    let service = service_fn(|_| {
        serving.leave_unread();
        let answer = Refusal::TooManyConnections.response().map(Full::new);
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let _ = http1::Builder::new()
        .keep_alive(false)
        .timer(Alarms)
        .header_read_timeout(REFUSAL_MAX)
        .max_buf_size(REFUSAL_BUFFER_BYTES)
        .serve_connection(io, service)
        .await;
}

/// Serves one connection to its end. Each request is served by the house that is current when it comes.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    (peer, _place): (Peer, Place),
    shared: &Shared,
    closing: CancellationToken,
) {
    let server = shared.current.load().server.clone();
    let serving = Serving::default();
    let silence = Silence { head_max: server.header_timeout, stall_max: server.stall_timeout };
    let io = TokioIo::new(Timed::new(stream, silence, serving.clone(), shared.turns.clone()));
    // One timer for all requests of the connection, which come one after another.
    let spare = Arc::new(Mutex::new(Some(Alarm::default())));
    let service = service_fn(move |request| {
        serving.begin();
        let (house, serving, spare) = (shared.current.load_full(), serving.clone(), spare.clone());
        async move {
            let mut alarm = lock(&spare).take().unwrap_or_default();
            let answer = dispatch(house, peer, request, &mut alarm).await;
            *lock(&spare) = Some(alarm);
            // The host's own answers say so where they leave a part of the request unread.
            if answer.headers().contains_key(header::CONNECTION) {
                serving.leave_unread();
            }
            Ok::<_, Infallible>(answer.map(|body| UntilSent { body, serving }))
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(Alarms)
            .header_read_timeout(server.idle_timeout)
            .max_header_size(server.header_bytes_max)
            .max_buf_size(server.header_bytes_max.max(MAX_BUFFER_BYTES))
            .serve_connection(io, service)
    );
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!("connection of {peer:?}: {error}");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that hyper may hold of one connection's request and answer each.
const MAX_BUFFER_BYTES: usize = 256 * 1024;

/// An answer's body, until whose end the connection is serving.
struct UntilSent {
    body: Outgoing,
    serving: Serving,
}

impl hyper::body::Body for UntilSent {
    type Data = <Outgoing as hyper::body::Body>::Data;
    type Error = <Outgoing as hyper::body::Body>::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        std::pin::Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

impl Drop for UntilSent {
    fn drop(&mut self) {
        self.serving.end();
    }
}
