//! A client's connection as a byte stream with time limits on silence.
//!
//! hyper bounds how long a connection waits for a request. What it does not bound is a head that comes byte by byte, and
//! a client that stops reading its answer: a head that is not complete `head_max` after its first byte, and a write that
//! makes no progress for `stall_max`, end the connection here. Pauses within request bodies are dispatch's.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

/// Bounds of silence on one connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Silence {
    pub(super) head_max: Duration,
    pub(super) stall_max: Duration,
}

/// Whether a request is being served, as the service knows it.
#[derive(Debug, Default, Clone)]
pub(super) struct Serving(Arc<AtomicBool>);

impl Serving {
    pub(super) fn set(&self, serving: bool) {
        self.0.store(serving, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream whose reads and writes fail with [`io::ErrorKind::TimedOut`] when the client is silent for too long.
pub(super) struct Timed<S> {
    inner: S,
    silence: Silence,
    serving: Serving,
    /// When the first byte of a head came, and what runs while more of it is waited for.
    head: Option<Instant>,
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Runs while the client takes nothing.
    write: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    pub(super) fn new(inner: S, silence: Silence, serving: Serving) -> Self {
        Self { inner, silence, serving, head: None, head_timer: None, write: None }
    }

    fn written<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.write = None;
            return result;
        }
        let stall_max = self.silence.stall_max;
        let timer = self.write.get_or_insert_with(|| Box::pin(sleep(stall_max)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if self.serving.get() {
            self.head = None;
            self.head_timer = None;
            return result;
        }
        if result.is_ready() {
            if buffer.filled().len() > before && self.head.is_none() {
                self.head = Some(Instant::now());
            }
            return result;
        }
        // Most heads come whole: a timer is set only where more is waited for.
        let Some(begun) = self.head else { return Poll::Pending };
        let deadline = begun + self.silence.head_max;
        let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.written(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
