//! The admin interface of a running house: HTTP/1.1 and JSON over a private Unix socket, or over TCP with a token.
//!
//! What it offers is one table ([`endpoints`]) that both the router and the OpenAPI document are made of. It decides
//! nothing about the house itself: all changes are [`Manager`]'s.

pub mod client;
mod endpoints;
mod guard;
mod handlers;
mod openapi;
mod refused;
mod request;

use std::{pin::pin, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use self::guard::Guard;
use crate::{
    listener::{Accepted, Access, Listener},
    log::Tail,
    plan,
    reload::Manager,
};

/// Connections at once. Each follower of the log has one for as long as it follows.
const CONNECTIONS_MAX: usize = 128;
/// How long a connection may be silent between requests, or within the head of one.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Bytes of a request's head, and of what is read at once.
const BUFFER_BYTES_MAX: usize = 256 * 1024;
/// How long requests in flight may take when the interface ends.
const END_MAX: Duration = Duration::from_secs(2);
/// Pause after the system refused a connection (no descriptors left), so that others can end some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound admin listener. Clients can connect from now on, and are served once [`AdminServer::run`] is polled.
pub struct AdminServer {
    listener: Listener,
    guard: Guard,
}

/// What all requests share.
struct Shared {
    manager: Arc<Manager>,
    logs: Tail,
    guard: Guard,
    /// Whether streams are to end.
    stopping: watch::Receiver<bool>,
}

impl AdminServer {
    /// Reads the token and binds the listener.
    ///
    /// # Errors
    /// A token that is missing, empty or no secret; an address that cannot be bound, with who may hold it.
    pub async fn bind(admin: &plan::Admin) -> Result<Self> {
        let guard = Guard::new(admin)?;
        let bound = Listener::bind(&admin.address, Access::Owner).await;
        let listener = bound.context("the admin interface cannot be had")?;
        Ok(Self { listener, guard })
    }

    /// `unix:/srv/.guesthouse/admin.sock` or `http://127.0.0.1:9000`, port 0 resolved.
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// Serves until `stop` resolves. Then streams of log lines end, and other requests may finish within two seconds.
    pub async fn run(self, manager: Arc<Manager>, logs: Tail, stop: impl Future<Output = ()>) {
        let Self { listener, guard } = self;
        let (stop_all, stopping) = watch::channel(false);
        let shared = Arc::new(Shared { manager, logs, guard, stopping: stopping.clone() });
        let router = endpoints::router(shared);
        let connections = TaskTracker::new();
        tokio::select! {
            () = accept(&listener, &router, &connections, &stopping) => {}
            () = stop => {}
        }
        drop(listener);
        stop_all.send_replace(true);
        connections.close();
        let _ = timeout(END_MAX, connections.wait()).await;
    }
}

/// Accepts until it is dropped. An error of accepting never ends it.
async fn accept(
    listener: &Listener,
    router: &Router,
    connections: &TaskTracker,
    stopping: &watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("accepting on {}: {error}", listener.url());
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (router, stopping) = (router.clone(), stopping.clone());
        connections.spawn(async move {
            match accepted {
                Accepted::Tcp(stream, _) => serve(stream, router, stopping).await,
                Accepted::Unix(stream) => serve(stream, router, stopping).await,
            }
            drop(place);
        });
    }
}

/// Serves one connection to its end.
async fn serve<S>(stream: S, router: Router, mut stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(SILENCE_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let told = async {
        // The value is a read lock, not to be held any longer.
        let _ = stopping.wait_for(|stopping| *stopping).await.map(drop);
    };
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = told => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!("admin connection: {error}");
    }
}
