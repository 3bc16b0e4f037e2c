//! The limit: what hyper gives on this machine when nothing stands behind it. A hidden command of this program.

use std::{convert::Infallible, env, net::SocketAddr, process::Command};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use super::{START_PATIENCE, Server};
use crate::guests::HELLO;

/// The hidden command.
pub const COMMAND: &str = "serve-limit";

/// Serves the answer of the hello guests from hyper alone.
pub fn limit() -> Result<Server> {
    let mut command = Command::new(env::current_exe().context("the path of this program")?);
    command.arg(COMMAND);
    Server::start("bare hyper", command, "listening on http://", START_PATIENCE, |_| {})
}

/// What the hidden command does, until it is killed: as many threads as cores, as Guesthouse has them.
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        eprintln!("listening on http://{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                let service = service_fn(|_request| async {
                    let response = Response::builder()
                        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
                        .body(Full::new(Bytes::from_static(HELLO)));
                    Ok::<_, Infallible>(response.unwrap_or_default())
                });
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service);
                // A client that leaves is nothing to speak of.
                let _ = serving.await;
            });
        }
    })
}
