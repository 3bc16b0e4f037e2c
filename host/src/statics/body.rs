//! The body of an answer with a file: never longer than its head announced, and never taken for whole where it is shorter.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::FutureExt;
use http::{header, response};
use http_body::Frame;
use http_body_util::BodyExt;
use tower_http::services::fs::ServeFileSystemResponseBody;

use super::{Counts, beneath::Beneath};
use crate::taken::Slot;

/// The body of an answer with a file.
pub(crate) struct Body {
    /// What was read where the file was found: of small files, all.
    first: Option<Bytes>,
    rest: Option<ServeFileSystemResponseBody>,
    /// Bytes still to come.
    remaining: u64,
    /// One of the app's places for answers that are being sent, and where failures count.
    place: Option<(Slot, Arc<Counts>)>,
}

/// Why a file was not sent to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("a static file cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("a static file became shorter while it was sent")]
    Shorter,
}

impl Body {
    pub(super) fn empty() -> Self {
        Self { first: None, rest: None, remaining: 0, place: None }
    }

    /// Reads the first bytes, and hands the rest over to the threads that serve. Blocks.
    pub(super) fn begin(
        head: &mut response::Parts,
        mut body: ServeFileSystemResponseBody,
        beneath: &Beneath,
        place: (Slot, Arc<Counts>),
    ) -> io::Result<Self> {
        // HEAD has a length and no body, which then ends at once.
        let announced =
            head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let remaining = match http_body::Body::size_hint(&body).exact() {
            Some(exact) => exact,
            None => announced.unwrap_or(0),
        };
        let first = if remaining == 0 { None } else { body.frame().now_or_never().flatten().transpose()? };
        beneath.hand_over();
        let first = first.and_then(|frame| frame.into_data().ok());
        let rest = (remaining > 0).then_some(body);
        Ok(Self { first, rest, remaining, place: Some(place) })
    }

    /// Whether all of it was delivered.
    pub(crate) fn complete(&self) -> bool {
        self.remaining == 0
    }

    /// As much of a piece as was announced.
    fn take(&mut self, mut piece: Bytes) -> Frame<Bytes> {
        piece.truncate(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        self.remaining -= piece.len() as u64;
        if self.remaining == 0 {
            // The file is closed as soon as it was read.
            self.rest = None;
        }
        Frame::data(piece)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(this.take(first))));
        }
        let Some(rest) = this.rest.as_mut() else { return Poll::Ready(None) };
        let error = match ready!(Pin::new(rest).poll_frame(cx)) {
            Some(Ok(frame)) => {
                return Poll::Ready(Some(Ok(this.take(frame.into_data().unwrap_or_default()))));
            }
            Some(Err(error)) => BodyError::Unreadable(error),
            None => BodyError::Shorter,
        };
        this.rest = None;
        if let Some((_, counts)) = &this.place {
            counts.failed();
        }
        Poll::Ready(Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.remaining)
    }
}
