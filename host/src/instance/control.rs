//! The means to stop a worker from outside, shared by those who may want to: the exchanges that it serves, and the clock.

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::exchange::Failure;
use crate::{
    alarm::Alarm,
    engine::{SLICE, TICK},
};

/// A turn of a guest that is taken to have computed all the time.
const SHORT_US: u64 = 100;

/// The means to stop one worker, shared with the exchanges that it serves.
#[derive(Debug)]
pub(super) struct Control {
    /// Requests given to the worker whose clients still wait.
    live: AtomicUsize,
    /// Takes no more requests: one of its requests was given up while the guest was at it.
    retired: AtomicBool,
    /// The guest does nothing: no request, and no work left over from one.
    idle: AtomicBool,
    /// The guest computes, or would if it had a core; it does not wait for anything outside.
    computing: AtomicBool,
    /// The guest gave its core up because its slice of time was over.
    yielded: AtomicBool,
    /// The instance waits for room, since apps have taken all that there is.
    crowding: AtomicBool,
    /// Microseconds that the guest has computed for its present request.
    computed_us: AtomicU64,
    /// Microseconds after `born` when the guest was last given a thread.
    resumed_us: AtomicU64,
    /// Microseconds that this thread had computed then.
    resumed_cpu_us: AtomicU64,
    kill: Notify,
    born: Instant,
    /// Milliseconds after `born` when the latest request began.
    latest_ms: AtomicU64,
}

impl Control {
    pub(super) fn new() -> Self {
        Self {
            live: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
            idle: AtomicBool::new(false),
            computing: AtomicBool::new(true),
            yielded: AtomicBool::new(false),
            crowding: AtomicBool::new(false),
            computed_us: AtomicU64::new(0),
            resumed_us: AtomicU64::new(0),
            resumed_cpu_us: AtomicU64::new(0),
            kill: Notify::new(),
            born: Instant::now(),
            latest_ms: AtomicU64::new(0),
        }
    }

    /// A request is given to the worker.
    pub(super) fn begin(&self) {
        self.idle.store(false, Ordering::Release);
        self.computing.store(true, Ordering::Relaxed);
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.latest_ms.fetch_max(now, Ordering::Relaxed);
        self.live.fetch_add(1, Ordering::AcqRel);
    }

    /// A request's client wants nothing more, before the guest was done. The guest cannot be told so; the instance
    /// takes no more requests, and when nobody waits for it any more it is stopped wherever it is.
    pub(super) fn cancel(&self) {
        self.retired.store(true, Ordering::Release);
        self.done();
    }

    /// A request is done, as far as its client is concerned.
    pub(super) fn done(&self) {
        let before = self.live.fetch_update(Ordering::AcqRel, Ordering::Acquire, |live| live.checked_sub(1));
        if before == Ok(1) && self.retired() {
            self.kill.notify_one();
        }
    }

    pub(super) fn computes(&self) -> bool {
        self.computing.load(Ordering::Relaxed)
    }

    /// Whether the guest has had its slice of time, and gives its core up for now. Time in which its thread had no core is not
    /// its own: on a busy machine short requests would go on among those that compute, and wait for these.
    pub(super) fn yields(&self) -> bool {
        let over = self.computed_since_resumed_us() >= micros(SLICE);
        if over {
            self.yielded.store(true, Ordering::Relaxed);
        }
        over
    }

    /// Whether the guest would go on computing, and stopped only because its slice of time was over.
    pub(super) fn yielded(&self) -> bool {
        self.yielded.load(Ordering::Relaxed)
    }

    /// The guest has the host compute for it: it is counted among those that compute, and belongs where these run.
    pub(super) fn has_it_computed(&self) {
        self.yielded.store(true, Ordering::Relaxed);
    }

    /// Waits for room for the instance.
    pub(super) async fn crowding<F: Future>(&self, room: F) -> F::Output {
        self.crowding.store(true, Ordering::Relaxed);
        let room = room.await;
        self.crowding.store(false, Ordering::Relaxed);
        room
    }

    /// Whether the instance waits for room.
    pub(super) fn crowds(&self) -> bool {
        self.crowding.load(Ordering::Relaxed)
    }

    /// Counts what the host has computed for the guest elsewhere.
    pub(super) fn charge(&self, time: Duration) {
        self.computed_us.fetch_add(micros(time), Ordering::Relaxed);
    }

    fn now_us(&self) -> u64 {
        micros(self.born.elapsed())
    }

    /// Time since the guest was given a thread.
    fn since_resumed_us(&self) -> u64 {
        self.now_us().saturating_sub(self.resumed_us.load(Ordering::Relaxed))
    }

    /// How long the guest has computed since it was given this thread. A guest gives it up at the first tick after its slice:
    /// what is beyond was taken from it. So was what the thread itself has not computed, on a machine that others want too;
    /// that is asked for only where it could matter, since the kernel has to be.
    fn computed_since_resumed_us(&self) -> u64 {
        let passed = self.since_resumed_us().min(micros(SLICE + TICK));
        if passed < SHORT_US {
            return passed;
        }
        passed.min(thread_us().saturating_sub(self.resumed_cpu_us.load(Ordering::Relaxed)))
    }

    /// How long the guest has computed for its present request, to this moment. Asked on the thread that it computes on.
    pub(super) fn computed(&self) -> Duration {
        Duration::from_micros(self.computed_us.load(Ordering::Relaxed) + self.computed_since_resumed_us())
    }

    /// Microseconds that the guest has computed for its present request, to the end of its last turn.
    pub(super) fn counted_us(&self) -> u64 {
        self.computed_us.load(Ordering::Relaxed)
    }

    /// A new request begins: its computing time counts from nothing.
    pub(super) fn count_anew(&self) {
        self.computed_us.store(0, Ordering::Relaxed);
    }

    /// Runs what the guest runs in, and keeps account of its computing time. Time in which it waits does not count.
    pub(super) async fn meter<F: Future>(&self, call: F) -> F::Output {
        let mut call = pin!(call);
        poll_fn(|cx| {
            self.resumed_us.store(self.now_us(), Ordering::Relaxed);
            self.resumed_cpu_us.store(thread_us(), Ordering::Relaxed);
            self.yielded.store(false, Ordering::Relaxed);
            let result = call.as_mut().poll(cx);
            self.computed_us.fetch_add(self.computed_since_resumed_us(), Ordering::Relaxed);
            result
        })
        .await
    }

    /// Runs a call into the guest and keeps account of whether it computes. `waits` is called each time that it begins to
    /// wait for something outside.
    pub(super) async fn watch<F: Future>(&self, call: F, waits: impl Fn()) -> F::Output {
        let mut call = pin!(self.meter(call));
        poll_fn(|cx| {
            self.computing.store(true, Ordering::Relaxed);
            let result = call.as_mut().poll(cx);
            if result.is_pending() && !self.yielded() {
                self.computing.store(false, Ordering::Relaxed);
                waits();
            }
            result
        })
        .await
    }

    /// Whether the guest does nothing: no request, and no work left over from one.
    pub(super) fn set_idle(&self, idle: bool) {
        self.idle.store(idle, Ordering::Release);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.idle.load(Ordering::Acquire)
    }

    pub(super) fn retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Resolves when the worker has to stop: nobody waits for it any more, its latest request is older than
    /// `stream_max`, or its generation is `cut`.
    pub(super) async fn stopped(&self, stream_max: Duration, cut: &CancellationToken) -> Stop {
        let expired = async {
            let mut alarm = Alarm::default();
            loop {
                let deadline =
                    self.born + Duration::from_millis(self.latest_ms.load(Ordering::Relaxed)) + stream_max;
                if deadline > Instant::now() {
                    alarm.until(deadline).await;
                } else if !self.idle.load(Ordering::Acquire) {
                    return;
                } else {
                    // Idle: a request that begins now has at least this long.
                    alarm.until(Instant::now() + stream_max).await;
                }
            }
        };
        tokio::select! {
            () = self.kill.notified() => Stop::Cancelled,
            () = expired => Stop::Expired,
            () = cut.cancelled() => Stop::Drained,
        }
    }
}

/// Microseconds that this thread has computed.
fn thread_us() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).map_or(0, micros)
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Why a worker has to stop.
pub(super) enum Stop {
    Cancelled,
    Expired,
    /// Another generation serves, and time for this one is up.
    Drained,
}

impl Stop {
    /// What it means to those who wait.
    pub(super) fn failure(&self, stream_max: Duration) -> Failure {
        match self {
            Self::Cancelled => Failure::ClientGone,
            Self::Expired => Failure::StreamTimeout(stream_max),
            Self::Drained => Failure::Drained,
        }
    }
}
