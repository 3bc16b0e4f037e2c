//! Bodies of outgoing requests and of their answers, bounded in size and in the time between two pieces.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{Error, WasiBody};

use super::http::protocol_error;

/// How far a request has been sent.
#[derive(Debug)]
pub(super) struct Progress {
    last: Mutex<Instant>,
    too_large: AtomicBool,
}

impl Default for Progress {
    fn default() -> Self {
        Self { last: Mutex::new(Instant::now()), too_large: AtomicBool::new(false) }
    }
}

impl Progress {
    fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Waits until nothing was sent for so long.
    pub(super) async fn silent_for(&self, patience: Duration) {
        loop {
            let until = self.last() + patience;
            if Instant::now() >= until {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// Whether its body was cut off at the limit.
    pub(super) fn too_large(&self) -> bool {
        self.too_large.load(Ordering::Relaxed)
    }
}

/// The body of a request.
pub(super) struct Sent {
    body: WasiBody,
    left: u64,
    limit: u64,
    progress: Arc<Progress>,
}

impl Sent {
    pub(super) fn new(body: WasiBody, limit: u64, progress: Arc<Progress>) -> Self {
        Self { body, left: limit, limit, progress }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.progress.now();
                match self.left.checked_sub(length(frame)) {
                    Some(left) => self.left = left,
                    None => {
                        self.progress.too_large.store(true, Ordering::Relaxed);
                        return Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(self.limit)))));
                    }
                }
            }
            Poll::Ready(None) => self.progress.now(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer.
pub(super) struct Received<F> {
    body: Incoming,
    left: u64,
    patience: Duration,
    silence: Pin<Box<Sleep>>,
    /// Gives the error of a body over the limit.
    over: F,
}

impl<F: Fn() -> Error> Received<F> {
    pub(super) fn new(body: Incoming, limit: u64, patience: Duration, over: F) -> Self {
        let silence = Box::pin(tokio::time::sleep(patience));
        Self { body, left: limit, patience, silence, over }
    }
}

impl<F: Fn() -> Error + Unpin> Body for Received<F> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let Some(left) = this.left.checked_sub(length(&frame)) else {
                    return Poll::Ready(Some(Err((this.over)())));
                };
                this.left = left;
                this.silence.as_mut().reset(Instant::now() + this.patience);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(protocol_error(&error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                std::task::ready!(this.silence.as_mut().poll(cx));
                Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn length(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX))
}
