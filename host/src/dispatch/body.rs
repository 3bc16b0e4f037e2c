//! The two bodies of a request: the client's on its way in, with its limits, and the answer's on its way out, with
//! the access log at its end.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::{sync::Notify, time::Sleep};
use wasmtime_wasi_http::Error as HttpError;

use super::log::Access;
use crate::{
    instance::{self, BodyError, Failure},
    statics,
};

/// Tells dispatch that the client's body went wrong while the guest reads it.
#[derive(Default)]
pub(super) struct Watch {
    failure: Mutex<Option<Failure>>,
    notify: Notify,
}

impl Watch {
    fn fail(&self, failure: Failure) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        self.notify.notify_one();
    }

    /// What went wrong so far.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Resolves when the body is too large or does not come.
    pub(super) async fn failed(&self) -> Failure {
        loop {
            if let Some(failure) = self.failure() {
                return failure;
            }
            self.notify.notified().await;
        }
    }
}

/// The client's body, counted and timed.
pub(super) struct Incoming<B> {
    inner: B,
    /// Bytes that may still come.
    left: u64,
    limit: u64,
    stall_max: Duration,
    /// Runs while the guest waits for the client.
    stalled: Option<Pin<Box<Sleep>>>,
    watch: Arc<Watch>,
}

impl<B> Incoming<B> {
    pub(super) fn new(inner: B, limit: u64, stall_max: Duration, watch: Arc<Watch>) -> Self {
        Self { inner, left: limit, limit, stall_max, stalled: None, watch }
    }
}

impl<B: Body<Data = Bytes, Error: Into<HttpError>> + Unpin> Body for Incoming<B> {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.stalled = None;
                if let Some(data) = frame.data_ref() {
                    match this.left.checked_sub(data.len() as u64) {
                        Some(left) => this.left = left,
                        None => {
                            this.watch.fail(Failure::BodyTooLarge(this.limit));
                            return Poll::Ready(Some(Err(HttpError::HttpRequestBodySize(Some(this.limit)))));
                        }
                    }
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|result| result.map_err(Into::into))),
            Poll::Pending => {
                let stall_max = this.stall_max;
                let stalled = this.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall_max)));
                std::task::ready!(stalled.as_mut().poll(cx));
                this.watch.fail(Failure::ClientStalled);
                Poll::Ready(Some(Err(HttpError::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer, whoever made it.
pub struct Outgoing {
    source: Source,
    access: Access,
}

enum Source {
    Guest(instance::Body),
    File(statics::Body),
    Host(Full<Bytes>),
}

/// Why an answer ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error(transparent)]
    Guest(BodyError),
    #[error(transparent)]
    File(statics::BodyError),
}

impl Broken {
    /// One word for programs that read the log.
    pub(super) fn cause(&self) -> &'static str {
        match self {
            Self::Guest(error) => error.cause(),
            Self::File(_) => "static-file",
        }
    }
}

impl Outgoing {
    pub(super) fn guest(body: instance::Body, access: Access) -> Self {
        Self { source: Source::Guest(body), access }
    }

    pub(super) fn file(body: statics::Body, access: Access) -> Self {
        Self { source: Source::File(body), access }
    }

    pub(super) fn host(bytes: Bytes, access: Access) -> Self {
        Self { source: Source::Host(Full::new(bytes)), access }
    }
}

fn never(error: Infallible) -> Broken {
    match error {}
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        let frame = std::task::ready!(match &mut this.source {
            Source::Guest(body) => Pin::new(body).poll_frame(cx).map_err(Broken::Guest),
            Source::File(body) => Pin::new(body).poll_frame(cx).map_err(Broken::File),
            Source::Host(body) => Pin::new(body).poll_frame(cx).map_err(never),
        });
        match &frame {
            Some(Ok(frame)) => this.access.sent(frame.data_ref().map_or(0, Bytes::len)),
            Some(Err(error)) => this.access.broken(error),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Guest(body) => body.is_end_stream(),
            Source::File(body) => body.is_end_stream(),
            Source::Host(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Guest(body) => body.size_hint(),
            Source::File(body) => body.size_hint(),
            Source::Host(body) => body.size_hint(),
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        let complete = match &self.source {
            Source::Guest(body) => body.complete(),
            Source::File(body) => body.complete(),
            Source::Host(_) => true,
        };
        if !complete {
            self.access.cut();
        }
    }
}
