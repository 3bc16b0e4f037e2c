//! A client's connection as a byte stream with time limits on silence.
//!
//! hyper bounds how long a connection waits for a request. What it does not bound is a head that comes byte by byte, and
//! a client that stops reading its answer: a head that is not complete `head_max` after its first byte, and a write that
//! makes no progress for `stall_max`, end the connection here. Pauses within request bodies are dispatch's.
//!
//! It also closes in stages (RFC 9112, section 9.6): a system that closes a connection of which something is unread resets
//! it, and the client may lose the answer that told it why.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
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

/// What goes on above the stream, as the service knows it.
#[derive(Debug, Default, Clone)]
pub(super) struct Serving(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Requests begun and answers ended, one after the other: odd while one is being served.
    turns: AtomicU32,
    unread: AtomicBool,
}

impl Serving {
    /// A request is being served.
    pub(super) fn begin(&self) {
        self.0.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// Its answer is over.
    pub(super) fn end(&self) {
        self.0.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// The connection is to end although the client may still be sending.
    pub(super) fn leave_unread(&self) {
        self.0.unread.store(true, Ordering::Relaxed);
    }

    fn turn(&self) -> u32 {
        self.0.turns.load(Ordering::Relaxed)
    }
}

/// How long a client may still send once it was answered for good: what comes is thrown away.
const LINGER_MAX: Duration = Duration::from_secs(2);
/// Bytes of it that are read at once.
const LINGER_BYTES: usize = 8192;

/// A stream whose reads and writes fail with [`io::ErrorKind::TimedOut`] when the client is silent for too long.
pub(super) struct Timed<S> {
    inner: S,
    silence: Silence,
    serving: Serving,
    /// When the first byte of a head came, after which turn, and what runs while more of it is waited for. The clock of
    /// the first head begins with the connection: one that says nothing is no better than one that says little.
    head: Option<(Instant, u32)>,
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Runs while the client takes nothing.
    write: Option<Pin<Box<Sleep>>>,
    /// Runs once our side is closed.
    linger: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    pub(super) fn new(inner: S, silence: Silence, serving: Serving) -> Self {
        let head = Some((Instant::now(), serving.turn()));
        Self { inner, silence, serving, head, head_timer: None, write: None, linger: None }
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
        let turn = self.serving.turn();
        if !turn.is_multiple_of(2) || self.head.is_some_and(|(_, begun_after)| begun_after != turn) {
            // That head is complete.
            self.head = None;
            self.head_timer = None;
        }
        if !turn.is_multiple_of(2) {
            return result;
        }
        if result.is_ready() {
            if buffer.filled().len() > before && self.head.is_none() {
                self.head = Some((Instant::now(), turn));
            }
            return result;
        }
        // Most heads come whole: a timer is set only where more is waited for.
        let Some((begun, _)) = self.head else { return Poll::Pending };
        let deadline = begun + self.silence.head_max;
        let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> Timed<S> {
    /// Throws away what still comes, until the client closes too or is out of time.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger_max = self.silence.stall_max.min(LINGER_MAX);
        let timer = self.linger.get_or_insert_with(|| Box::pin(sleep(linger_max)));
        let deadline = timer.deadline();
        let mut bytes = [0; LINGER_BYTES];
        loop {
            // By the clock: beside reads that never wait, tokio has no time to poll a timer.
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.serving.leave_unread(),
                Poll::Ready(_) => return Poll::Ready(()),
                // A client that has sent nothing more, and is not known to be about to, loses nothing.
                Poll::Pending if !self.serving.0.unread.load(Ordering::Relaxed) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        self.linger.as_mut().map_or(Poll::Ready(()), |timer| timer.as_mut().poll(cx))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Timed<S> {
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
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        }
        self.linger(cx).map(Ok)
    }
}
