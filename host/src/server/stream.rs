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

use crate::{look::look, turns::Turns};

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
/// How often it is read in a turn.
const LINGER_READS: usize = 8;
/// From one turn to the next of all connections: 64 MiB a second for a whole house, and one turn at a time, since this is as
/// exact as tokio's timers are. Clients who send as much as they can would have the threads that serve do nothing else.
pub(super) const LINGER_PAUSE: Duration = Duration::from_millis(1);

/// A stream whose reads and writes fail with [`io::ErrorKind::TimedOut`] when the client is silent for too long.
pub(super) struct Timed<S> {
    inner: S,
    silence: Silence,
    serving: Serving,
    turns: Arc<Turns>,
    /// When the first byte of a head came, after which turn, and what runs while more of it is waited for. The clock of
    /// the first head begins with the connection: one that says nothing is no better than one that says little.
    head: Option<(Instant, u32)>,
    head_timer: Option<Pin<Box<Sleep>>>,
    /// After which turn the last bytes of a head came: where no request has begun since, there may be more of it.
    heard: Option<u32>,
    /// Runs while the client takes nothing.
    write: Option<Pin<Box<Sleep>>>,
    /// Begins once our side is closed.
    linger: Option<Linger>,
}

/// Throwing away what still comes.
struct Linger {
    deadline: Instant,
    /// When it is read next. At first at once: most connections end with nothing to read, and wait for nobody.
    turn: Instant,
    /// To the turn, or to the deadline.
    timer: Pin<Box<Sleep>>,
}

impl Linger {
    fn new(time: Duration) -> Self {
        let turn = Instant::now();
        let deadline = turn + time;
        Self { deadline, turn, timer: Box::pin(sleep_until(deadline)) }
    }
}

impl<S> Timed<S> {
    pub(super) fn new(inner: S, silence: Silence, serving: Serving, turns: Arc<Turns>) -> Self {
        let head = Some((Instant::now(), serving.turn()));
        Self {
            inner,
            silence,
            serving,
            turns,
            head,
            head_timer: None,
            heard: None,
            write: None,
            linger: None,
        }
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
            if buffer.filled().len() > before {
                self.heard = Some(turn);
                if self.head.is_none() {
                    self.head = Some((Instant::now(), turn));
                }
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
        if self.heard == Some(self.serving.turn()) {
            // hyper has refused a head that it may not have seen the end of.
            self.serving.leave_unread();
        }
        let linger = self.linger.get_or_insert_with(|| Linger::new(linger_max));
        let mut bytes = [0; LINGER_BYTES];
        loop {
            // By the clock: beside reads that never wait, tokio has no time to poll a timer.
            let now = Instant::now();
            if now.max(linger.turn) >= linger.deadline {
                return Poll::Ready(());
            }
            if now < linger.turn {
                linger.timer.as_mut().reset(linger.turn);
                ready!(linger.timer.as_mut().poll(cx));
            }
            for _ in 0..LINGER_READS {
                let mut buffer = ReadBuf::new(&mut bytes);
                match look(cx, |cx| Pin::new(&mut self.inner).poll_read(cx, &mut buffer)) {
                    Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.serving.leave_unread(),
                    Poll::Ready(_) => return Poll::Ready(()),
                    // A client that has sent nothing more, and is not known to be about to, loses nothing.
                    Poll::Pending if !self.serving.0.unread.load(Ordering::Relaxed) => return Poll::Ready(()),
                    Poll::Pending => {
                        linger.timer.as_mut().reset(linger.deadline);
                        return linger.timer.as_mut().poll(cx);
                    }
                }
            }
            linger.turn = self.turns.take();
        }
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A client that sends as fast as it is read.
    struct Endless(u128);

    impl AsyncRead for Endless {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.0 += 1;
            buffer.put_slice(&[0; LINGER_BYTES]);
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_comes_after_the_answer_is_read_by_turns() {
        let turns = Arc::new(Turns::new(LINGER_PAUSE));
        let time = Duration::from_millis(20);
        let silence = Silence { head_max: time, stall_max: time };
        let begun = Instant::now();
        let mut reads = 0;
        for _ in 0..2 {
            let mut stream = Timed::new(Endless(0), silence, Serving::default(), turns.clone());
            poll_fn(|cx| stream.linger(cx)).await;
            reads += stream.inner.0;
        }
        // The first read of each, and the first turn, are not waited for.
        let turns = begun.elapsed().as_micros() / LINGER_PAUSE.as_micros() + 3;
        assert!((1..=turns * LINGER_READS as u128).contains(&reads), "{reads} reads in {turns} turns");
    }

    #[tokio::test]
    async fn who_has_sent_nothing_more_waits_for_no_turn() {
        let turns = Arc::new(Turns::new(LINGER_PAUSE));
        while turns.take() < Instant::now() + LINGER_MAX / 2 {}
        let silence = Silence { head_max: LINGER_MAX, stall_max: LINGER_MAX };
        let (ours, _theirs) = tokio::io::duplex(64);
        let mut stream = Timed::new(ours, silence, Serving::default(), turns);
        let done = poll_fn(|cx| Poll::Ready(stream.linger(cx))).await;
        assert!(done.is_ready(), "others' turns were waited for");
    }
}
