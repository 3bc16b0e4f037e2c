//! Listeners, connections and the drain. Requests go to `dispatch`; nothing here knows what an app is.

mod listener;
mod stream;

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use anyhow::Result;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use self::{
    listener::Listener,
    stream::{Serving, Silence, Timed},
};
use crate::{
    dispatch::{Outgoing, dispatch},
    forwarded::Peer,
    house::House,
    plan,
};

/// Pause after the system refused a connection (no descriptors left), so that the others can end some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bound listeners. Clients can connect from now on, and are served once [`Server::run`] is polled.
pub struct Server {
    listeners: Vec<Listener>,
}

/// What became of the requests in flight when the house was told to stop.
#[derive(Debug, PartialEq, Eq)]
pub struct Drained {
    /// Requests that were not done in time.
    pub cut: usize,
}

impl Server {
    /// Binds all listeners.
    ///
    /// # Errors
    /// The first address that cannot be bound, with who may hold it.
    pub async fn bind(addresses: &[plan::ListenAddr]) -> Result<Self> {
        let mut listeners = Vec::new();
        for address in addresses {
            listeners.push(Listener::bind(address).await?);
        }
        Ok(Self { listeners })
    }

    /// `http://127.0.0.1:8000` or `unix:/run/x.sock`, port 0 resolved, in the order of the plan.
    pub fn urls(&self) -> Vec<String> {
        self.listeners.iter().map(Listener::url).collect()
    }

    /// Serves until `stop` resolves, then drains: no new connections, kept-alive ones are told to close, requests in
    /// flight may finish within `drain-ms`.
    pub async fn run(self, house: Arc<House>, stop: impl Future<Output = ()>) -> Drained {
        let (drain, draining) = watch::channel(false);
        let connections = TaskTracker::new();
        let shared = Arc::new(Shared {
            places: Arc::new(Semaphore::new(house.plan.server.connections_max)),
            house: house.clone(),
            connections: connections.clone(),
            draining,
        });
        let mut accepting = tokio::task::JoinSet::new();
        for listener in self.listeners {
            accepting.spawn(accept(listener, shared.clone()));
        }
        stop.await;
        // Dropping the listeners closes them; connections not yet accepted are reset by the system.
        accepting.shutdown().await;
        house.close();
        drain.send_replace(true);
        connections.close();
        let all_done = async {
            connections.wait().await;
            house.busy.wait().await;
        };
        match timeout(house.plan.server.drain_timeout, all_done).await {
            Ok(()) => Drained { cut: 0 },
            Err(_) => Drained { cut: connections.len().max(house.busy.len()) },
        }
    }
}

/// What all connections share.
struct Shared {
    house: Arc<House>,
    places: Arc<Semaphore>,
    connections: TaskTracker,
    draining: watch::Receiver<bool>,
}

/// Accepts until it is dropped. An error of accepting never ends it.
async fn accept(listener: Listener, shared: Arc<Shared>) {
    loop {
        // Where all places are taken, new clients wait in the system's queue.
        let Ok(place) = shared.places.clone().acquire_owned().await else { return };
        let accepted = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("accepting on {}: {error}", listener.url());
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = {
            let shared = shared.clone();
            async move {
                match accepted {
                    listener::Accepted::Tcp(stream, peer) => {
                        serve(stream, Peer::Ip(peer.ip()), &shared).await
                    }
                    listener::Accepted::Unix(stream) => serve(stream, Peer::Unix, &shared).await,
                }
                drop(place);
            }
        };
        shared.connections.spawn(connection);
    }
}

/// Serves one connection to its end.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, peer: Peer, shared: &Shared) {
    let server = &shared.house.plan.server;
    let serving = Serving::default();
    let silence = Silence { head_max: server.header_timeout, stall_max: server.stall_timeout };
    let io = TokioIo::new(Timed::new(stream, silence, serving.clone()));
    let service = service_fn(move |request| {
        serving.set(true);
        let (house, serving) = (shared.house.clone(), serving.clone());
        async move {
            let answer = dispatch(house, peer, request).await;
            Ok::<_, Infallible>(answer.map(|body| UntilSent { body, serving }))
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(server.idle_timeout)
            .max_header_size(server.header_bytes_max)
            .max_buf_size(server.header_bytes_max.max(MAX_BUFFER_BYTES))
            .serve_connection(io, service)
    );
    let mut draining = shared.draining.clone();
    let told = async {
        // The value is a read lock, not to be held any longer.
        let _ = draining.wait_for(|draining| *draining).await.map(drop);
    };
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = told => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!("connection of {peer:?}: {error}");
    }
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
        self.serving.set(false);
    }
}
