//! The body of a guest's answer, on its way to the client.
//!
//! A guest that traps in the middle of its body must not look like one that ended it. wasmtime's bodies simply end
//! when their store is dropped, so a failed store is kept (the `Corpse` in `exchange`) until the body has run dry: a body
//! that ends while its store is still there was finished by the guest, and one that has nothing more to say was broken
//! off.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Frame;
use tokio::time::Instant;
use wasmtime_wasi_http::WasiBody;

use super::exchange::{Last, Shared};
use crate::{alarm::Alarm, look::look};

/// The body of a guest's answer.
pub struct Body {
    inner: WasiBody,
    /// Bytes still to come, where the guest announced them.
    remaining: Option<u64>,
    shared: Arc<Shared>,
    /// Bytes that it may have yet.
    left: u64,
    deadline: Instant,
    alarm: Alarm,
    /// Found, and told at the next poll.
    error: Option<BodyError>,
    done: bool,
    broken: bool,
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The guest failed on the way; its worker has logged why.
    #[error("guest failed within its answer")]
    Failed,
    /// The guest announced another length than it wrote, or dropped its body unfinished.
    #[error("guest broke its answer off: {0}")]
    BrokenOff(wasmtime_wasi_http::Error),
    #[error("guest returned without finishing its answer")]
    Unfinished,
    #[error("answer grew longer than answer-mib")]
    TooLarge,
    #[error("answer was not complete within stream-ms")]
    Deadline,
}

impl BodyError {
    /// One word for programs that read the log.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::BrokenOff(_) => "broken-off",
            Self::Unfinished => "unfinished",
            Self::TooLarge => "answer-limit",
            Self::Deadline => "stream-limit",
        }
    }
}

impl Body {
    pub(super) fn new(
        inner: WasiBody,
        remaining: Option<u64>,
        bytes_max: u64,
        shared: Arc<Shared>,
        deadline: Instant,
    ) -> Self {
        Self {
            inner,
            remaining,
            shared,
            left: bytes_max,
            deadline,
            alarm: Alarm::default(),
            error: None,
            done: false,
            broken: false,
        }
    }

    /// Whether all of it was delivered.
    pub fn complete(&self) -> bool {
        !self.broken && (self.done || self.remaining == Some(0))
    }

    fn finish(&mut self) {
        self.done = true;
        self.shared.end(false);
    }

    /// What the guest has ready.
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match ready!(http_body::Body::poll_frame(Pin::new(&mut self.inner), cx)) {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let length = data.len() as u64;
                    let Some(left) = self.left.checked_sub(length) else {
                        return Poll::Ready(Some(Err(BodyError::TooLarge)));
                    };
                    self.left = left;
                    self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(length));
                }
                if frame.is_trailers() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(BodyError::BrokenOff(error)))),
            None => {
                self.finish();
                Poll::Ready(None)
            }
        }
    }

    /// What is to be delivered next, or why there is nothing more.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = self.poll_inner(cx) {
            return Poll::Ready(frame);
        }
        self.shared.body.register(cx.waker());
        let last = self.shared.take_last();
        if let Some(last) = last {
            // What the guest wrote at last may have come in since the first look.
            let frame = look(cx, |cx| self.poll_inner(cx));
            let error = match &last {
                Last::Returned => BodyError::Unfinished,
                Last::Failed { .. } => BodyError::Failed,
            };
            if !self.done {
                self.shared.keep_last(last);
            }
            return match frame {
                Poll::Ready(frame) => Poll::Ready(frame),
                Poll::Pending => Poll::Ready(Some(Err(error))),
            };
        }
        let deadline = self.deadline;
        self.alarm.poll(deadline, cx).map(|()| Some(Err(BodyError::Deadline)))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.done {
            return Poll::Ready(None);
        }
        let error = match self.error.take() {
            Some(error) => error,
            None => match ready!(self.poll_next(cx)) {
                Some(Err(error)) => {
                    // hyper drops what it has not flushed when a body fails; it flushes when a body is pending.
                    self.error = Some(error);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                frame => return Poll::Ready(frame),
            },
        };
        self.done = true;
        self.broken = true;
        self.shared.end(!matches!(error, BodyError::Failed | BodyError::Unfinished));
        Poll::Ready(Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self.remaining {
            Some(remaining) => http_body::SizeHint::with_exact(remaining),
            None => http_body::SizeHint::default(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // hyper stops at the announced length without asking for the end.
        self.shared.end(!self.complete());
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use http_body_util::BodyExt;
    use tokio::task::consume_budget;
    use wasmtime_wasi_http::p2::body::{HostOutgoingBody, StreamContext};

    use super::*;

    /// What tokio lets a task do in a row (`tokio::task::coop`); tasks that wake each other share it.
    const BUDGET: usize = 128;

    /// However little of its turn is left to the connection: what a guest finished before it returned is delivered.
    #[tokio::test]
    async fn a_finished_body_is_whole_when_the_turn_is_over() {
        for left in 0..10 {
            let (mut outgoing, inner) = HostOutgoingBody::new(StreamContext::Response, None, 1, 1024);
            outgoing.take_output_stream().expect("a stream").write(Bytes::from("ok")).expect("room");
            outgoing.finish(None).expect("a body without a length");
            let shared = Arc::new(Shared::default());
            shared.keep_last(Last::Returned);
            let far = Instant::now() + std::time::Duration::from_secs(60);
            let body = Body::new(inner, None, 1024, shared, far);
            let answer = tokio::spawn(async move {
                for _ in left..BUDGET {
                    consume_budget().now_or_never().expect("budget");
                }
                body.collect().await
            });
            let answer =
                answer.await.expect("no panic").unwrap_or_else(|error| panic!("{left} left: {error}"));
            assert_eq!(answer.to_bytes(), "ok", "{left} left");
        }
    }
}
