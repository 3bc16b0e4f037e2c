//! The exchange of one request between dispatch and the worker that serves it.
//!
//! The worker answers with a response head whose body is streamed, or fails; dispatch may cancel at any time (the
//! client left, time is up). Each side learns of the other's end, whichever comes first, and a failure is told once.

use std::{
    any::Any,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::task::AtomicWaker;
use tokio::sync::{Notify, oneshot};
use tokio_util::task::task_tracker::TaskTrackerToken;
use wasmtime_wasi_http::WasiBody;

use super::{body::Body, control::Control};
use crate::generation::Admitted;

/// Why a request was not answered as it should have been.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("guest trapped: {0}")]
    Trapped(String),
    #[error("guest could not be started: {0}")]
    Instantiation(String),
    #[error("the house has no room for another instance: {0}")]
    NoRoom(String),
    #[error("guest's answer is longer than answer-mib = {}", .0 >> 20)]
    AnswerTooLarge(u64),
    #[error("another instance would take the memory of all above app-memory-mib = {0}")]
    AppMemory(usize),
    #[error("guest ended without an answer")]
    NoAnswer,
    #[error("guest answered with the error {0}")]
    ErrorCode(String),
    #[error("guest gave an answer that is not valid HTTP: {0}")]
    BadAnswer(String),
    #[error("guest computed longer than cpu-ms = {}", .0.as_millis())]
    Cpu(Duration),
    #[error("guest did not answer within request-ms = {}", .0.as_millis())]
    Timeout(Duration),
    #[error("guest went on longer than stream-ms = {}", .0.as_millis())]
    StreamTimeout(Duration),
    #[error("request body is larger than body-mib allows ({0} bytes)")]
    BodyTooLarge(u64),
    #[error("client paused longer than body-ms within its request body")]
    ClientStalled,
    #[error("client left before its answer was complete")]
    ClientGone,
    #[error("{0} requests of this app wait already (`queue`)")]
    QueueFull(usize),
    #[error("request waited longer than queue-ms = {} for its turn", .0.as_millis())]
    QueueTimeout(Duration),
    #[error("instance was lost to another request's failure: {0}")]
    Collateral(String),
    #[error("a newer generation serves, and this request was not done within drain-ms")]
    Drained,
    #[error("guest crashes again and again: requests are turned away for {} ms", .0.as_millis())]
    Throttled(Duration),
}

impl Failure {
    /// One word for programs that read the log.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Trapped(_) => "trapped",
            Self::Instantiation(_) => "instantiation",
            Self::NoRoom(_) => "no-room",
            Self::AppMemory(_) => "app-memory-limit",
            Self::AnswerTooLarge(_) => "answer-limit",
            Self::NoAnswer => "no-answer",
            Self::ErrorCode(_) => "error-code",
            Self::BadAnswer(_) => "bad-answer",
            Self::Cpu(_) => "cpu-limit",
            Self::Timeout(_) => "request-limit",
            Self::StreamTimeout(_) => "stream-limit",
            Self::BodyTooLarge(_) => "body-limit",
            Self::ClientStalled => "client-stalled",
            Self::ClientGone => "client-gone",
            Self::QueueFull(_) => "queue-full",
            Self::QueueTimeout(_) => "queue-limit",
            Self::Collateral(_) => "collateral",
            Self::Drained => "drain-limit",
            Self::Throttled(_) => "throttled",
        }
    }
}

impl Failure {
    /// Whether it is the guest's doing, rather than the client's or that of too many requests.
    pub fn is_guests(&self) -> bool {
        match self {
            Self::Trapped(_)
            | Self::Instantiation(_)
            | Self::NoAnswer
            | Self::ErrorCode(_)
            | Self::BadAnswer(_)
            | Self::Cpu(_)
            | Self::Timeout(_)
            | Self::StreamTimeout(_)
            | Self::AnswerTooLarge(_)
            | Self::Collateral(_) => true,
            Self::NoRoom(_)
            | Self::AppMemory(_)
            | Self::BodyTooLarge(_)
            | Self::ClientStalled
            | Self::ClientGone
            | Self::QueueFull(_)
            | Self::QueueTimeout(_)
            | Self::Drained
            | Self::Throttled(_) => false,
        }
    }

    /// Whether the guest broke down, so that its instance is lost.
    pub fn is_crash(&self) -> bool {
        matches!(self, Self::Trapped(_) | Self::Instantiation(_) | Self::Cpu(_))
    }
}

/// A dead store, kept only so that bodies that flow from it do not end as if they were complete.
pub(super) type Corpse = Arc<dyn Any + Send + Sync>;

/// The head of an answer with its body still to come, or why there is none.
type Head = Result<http::Response<WasiBody>, Failure>;

/// What goes to a worker.
pub struct Job {
    /// With an absolute URI: scheme, authority, path and query.
    pub request: http::Request<WasiBody>,
    /// Number of the request, for the log.
    pub id: u64,
    pub(super) reply: Reply,
}

/// What stays with dispatch: the answer to come, and the means to cancel.
pub struct Exchange {
    head: oneshot::Receiver<Head>,
    shared: Arc<Shared>,
    armed: bool,
}

/// Places that a request occupies until both sides are done with it.
pub struct Occupied {
    pub _admitted: Admitted,
    pub _token: TaskTrackerToken,
}

/// Makes both ends.
pub fn exchange(request: http::Request<WasiBody>, id: u64, occupied: Occupied) -> (Job, Exchange) {
    let (sender, head) = oneshot::channel();
    let shared = Arc::new(Shared::default());
    shared.state().occupied = Some(occupied);
    let reply = Reply { head: Mutex::new(Some(sender)), shared: shared.clone() };
    (Job { request, id, reply }, Exchange { head, shared, armed: true })
}

/// What both ends share.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Wakes the body when the worker fails.
    pub(super) body: AtomicWaker,
    /// Told when the client's side is done: body delivered, or cancelled.
    ended: Notify,
}

#[derive(Default)]
struct State {
    control: Option<Arc<Control>>,
    /// The client's side wants nothing more.
    ended: bool,
    /// The guest will write no more. What it wrote is still to be delivered.
    last: Option<Last>,
    /// The worker is done, though it waits for the end.
    returned: bool,
    /// Held until both sides are done.
    occupied: Option<Occupied>,
}

/// How a guest came to write no more.
pub(super) enum Last {
    /// It returned: a body that has no end by now was left unfinished.
    Returned,
    /// It failed after its answer's head, which has been logged. Its store is kept until the body has run dry.
    Failed { _corpse: Corpse },
}

impl Shared {
    /// Takes the news that the guest will write no more, if they are there.
    pub(super) fn take_last(&self) -> Option<Last> {
        self.state().last.take()
    }

    /// Keeps the news for the next look.
    pub(super) fn keep_last(&self, last: Last) {
        self.state().last = Some(last);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client's side is done. `cancelled`: before the guest was.
    pub(super) fn end(&self, cancelled: bool) {
        let (control, last, _occupied) = {
            let mut state = self.state();
            if std::mem::replace(&mut state.ended, true) {
                return;
            }
            let last = state.last.take();
            let occupied = if state.returned { state.occupied.take() } else { None };
            (state.control.clone(), last, occupied)
        };
        drop(last);
        self.ended.notify_one();
        match control {
            Some(control) if cancelled => control.cancel(),
            Some(control) => control.done(),
            None => {}
        }
    }
}

/// The worker's end.
pub(super) struct Reply {
    head: Mutex<Option<oneshot::Sender<Head>>>,
    shared: Arc<Shared>,
}

impl Reply {
    fn sender(&self) -> Option<oneshot::Sender<Head>> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ties the exchange to the instance that is to serve it, for which a request begins with this. False where the
    /// exchange was cancelled before. Both in one: a cancellation finds either no instance or one that counts the request.
    pub(super) fn attach(&self, control: &Arc<Control>) -> bool {
        let mut state = self.shared.state();
        if state.ended {
            return false;
        }
        control.begin();
        state.control = Some(control.clone());
        true
    }

    /// Gives the head of the answer, or the reason why there is none; only the first answer counts.
    pub(super) fn answer(&self, answer: Head) {
        if let Some(sender) = self.sender()
            && sender.send(answer).is_err()
        {
            self.shared.end(false);
        }
    }

    /// Whether a head was given.
    pub(super) fn answered(&self) -> bool {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The guest failed. Before the head this is the answer; after it, the body is broken off.
    /// Returns the failure in the second case: dispatch does not learn of it, so the worker logs it.
    pub(super) fn fail(&self, failure: Failure, corpse: Corpse) -> Option<Failure> {
        if let Some(sender) = self.sender() {
            // Where nobody waits any more, dispatch has said why.
            let _ = sender.send(Err(failure));
            return None;
        }
        self.last(Last::Failed { _corpse: corpse });
        Some(failure)
    }

    /// The guest has returned and its store still stands: its body is finished by now, or never will be. From here on the
    /// exchange has nothing more to do with the instance, but that it must not lose its store before [`Reply::ended`].
    pub(super) fn returned(&self) {
        self.last(Last::Returned);
        let (control, _occupied) = {
            let mut state = self.shared.state();
            state.returned = true;
            let occupied = if state.ended { state.occupied.take() } else { None };
            (state.control.take(), occupied)
        };
        if let Some(control) = control {
            control.done();
        }
    }

    /// Whether the client's side is done with the exchange.
    pub(super) fn has_ended(&self) -> bool {
        self.shared.state().ended
    }

    fn last(&self, last: Last) {
        let mut state = self.shared.state();
        if !state.ended {
            state.last = Some(last);
            drop(state);
            self.shared.body.wake();
        }
    }

    /// Resolves when the client's side is done with the exchange.
    pub(super) async fn ended(&self) {
        let notified = self.shared.ended.notified();
        if self.shared.state().ended {
            return;
        }
        notified.await;
    }
}

impl Exchange {
    /// Waits for the head of the answer.
    ///
    /// # Errors
    /// The failure of the guest, or [`Failure::NoAnswer`] when its worker is gone.
    pub async fn head(&mut self) -> Head {
        let head = (&mut self.head).await.unwrap_or(Err(Failure::NoAnswer));
        if head.is_err() {
            self.armed = false;
            self.shared.end(false);
        }
        head
    }

    /// Turns the answer's body into one that ends the exchange with it, and knows a broken body from a finished one.
    pub fn body(
        mut self,
        body: WasiBody,
        content_length: Option<u64>,
        bytes_max: u64,
        deadline: tokio::time::Instant,
    ) -> Body {
        self.armed = false;
        Body::new(body, content_length, bytes_max, self.shared.clone(), deadline)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.armed {
            self.shared.end(true);
        }
    }
}
