//! A guest's standard output and error as log lines, each with its app's name.
//!
//! Bytes are gathered to lines; a line that grows past [`LINE_BYTES_MAX`] is cut there and goes on as another. What
//! stands in an unfinished line when the instance ends is logged then. Lines beyond `log-lines` are dropped.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::guest::Identity;

/// Longest log line made of guest output, in bytes.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// How much a guest may write in one call, in bytes.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// One of the two streams of one instance.
#[derive(Clone)]
pub(crate) struct Output {
    line: Arc<Mutex<Line>>,
}

struct Line {
    stream: &'static str,
    identity: Arc<Identity>,
    unfinished: Vec<u8>,
}

impl Output {
    pub(crate) fn new(stream: &'static str, identity: Arc<Identity>) -> Self {
        Self { line: Arc::new(Mutex::new(Line { stream, identity, unfinished: Vec::new() })) }
    }

    pub(crate) fn write_bytes(&self, bytes: &[u8]) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

impl Line {
    fn push(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            for piece in part.chunks(LINE_BYTES_MAX) {
                self.unfinished.extend_from_slice(piece);
                if piece.ends_with(b"\n") || self.unfinished.len() >= LINE_BYTES_MAX {
                    self.log();
                }
            }
        }
    }

    fn log(&mut self) {
        let printed = self.unfinished.trim_ascii_end().len();
        if printed > 0 && !self.identity.may_print(printed) {
            self.unfinished.clear();
        }
        let text = String::from_utf8_lossy(&self.unfinished);
        // A carriage return within the line would overwrite its beginning on a terminal; tracing escapes the others.
        let text = text.trim_end_matches(['\n', '\r']).replace('\r', "\\r");
        if !text.is_empty() {
            let Identity { app, generation, .. } = &*self.identity;
            let request = self.identity.current();
            tracing::info!(target: "guest", app = &**app, generation, request, stream = self.stream, "{text}");
        }
        self.unfinished.clear();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.log();
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_bytes(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write_bytes(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
