//! How a generation does: counts of requests, failures and latency, whether it is on trial, and whether it crashes again
//! and again.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    causes::Causes, latency::Histogram, lines::Lines, memory::Memory, quota::Quota, temporary::Temporary,
    throttle::Throttle,
};
use crate::{
    engine::Own,
    instance::Failure,
    keyvalue,
    outgoing::{Refusals, Usage},
    taken::Taken,
};

/// A generation whose trial went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    pub app: Arc<str>,
    pub number: u64,
}

/// What a generation is watched for after it was published.
#[derive(Debug)]
pub struct Trial {
    pub app: Arc<str>,
    pub number: u64,
    pub until: Instant,
    pub failures: u64,
    pub percent: u64,
    pub tell: mpsc::UnboundedSender<Unfit>,
}

/// Counts since the generation was made. They go on where it serves again after a rollback.
#[derive(Debug, Default)]
pub struct Stats {
    requests: AtomicU64,
    failures: AtomicU64,
    in_flight: AtomicUsize,
    instances: AtomicUsize,
    pub latency: Histogram,
    /// Requests that were not served whole, and what was refused to instances.
    pub(crate) causes: Causes,
    pub outgoing: Arc<Usage>,
    pub keyvalue: keyvalue::Usage,
    pub lines: Arc<Lines>,
    pub memory: Memory,
    /// Instances that do not count against what all apps share.
    pub(crate) own_instances: Own,
    /// Open files of its instances.
    pub(crate) files: Taken,
    /// What its instances write into folders.
    pub(crate) quota: Quota,
    /// Where its instances have their temporary files.
    pub(crate) temporary: Temporary,
    /// What was refused for want of room, beside what goes out.
    pub(crate) refusals: Refusals,
    /// Looked at when a request fails, and gone once it is lost.
    trial: Mutex<Option<Trial>>,
    throttle: Throttle,
}

impl Stats {
    /// Watches the generation from now on, as this trial says.
    pub fn try_out(&self, trial: Trial) {
        *self.trial.lock().unwrap_or_else(PoisonError::into_inner) = Some(trial);
    }

    /// Counts requests and failures from nothing.
    pub fn forget(&self) {
        self.requests.store(0, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Requests that have a place and are not done.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Instances that live.
    pub fn instances(&self) -> usize {
        self.instances.load(Ordering::Relaxed)
    }

    /// A request was led to the generation.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    /// An instance was made.
    pub fn instance(self: &Arc<Self>) -> Living {
        self.instances.fetch_add(1, Ordering::Relaxed);
        Living(self.clone())
    }

    /// The head of an answer has come.
    pub fn answered(&self, took: Duration) {
        self.latency.record(took);
        self.throttle.answered();
    }

    /// A request failed. What is not the guest's doing does not count. Tells for how long requests are turned away from
    /// now on, where this is one crash too many.
    pub fn failed(&self, failure: &Failure) -> Option<Duration> {
        if !failure.is_guests() {
            return None;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let pause = if failure.is_crash() { self.throttle.crashed() } else { None };
        let fits = |trial: &mut Trial| {
            Instant::now() < trial.until
                && failures >= trial.failures
                && failures.saturating_mul(100) >= self.requests().saturating_mul(trial.percent)
        };
        let lost = self.trial.lock().unwrap_or_else(PoisonError::into_inner).take_if(fits);
        if let Some(trial) = lost {
            // Where nobody listens any more, the house is ending.
            let _ = trial.tell.send(Unfit { app: trial.app, number: trial.number });
        }
        pause
    }

    /// The part of the requests that failed, in percent.
    pub fn failure_percent(&self) -> u64 {
        self.failures().saturating_mul(100).checked_div(self.requests()).unwrap_or(0)
    }

    /// How long requests are still turned away because the generation crashes; `None` where they are let in.
    pub fn throttled(&self) -> Option<Duration> {
        self.throttle.closed()
    }

    /// Whether a request may come in.
    ///
    /// # Errors
    /// [`Failure::Throttled`] while the generation does nothing but crash.
    pub(super) fn admit(&self) -> Result<(), Failure> {
        self.throttle.admit().map_err(Failure::Throttled)
    }
}

/// A request in flight.
#[derive(Debug)]
pub struct InFlight(Arc<Stats>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An instance that lives.
#[derive(Debug)]
pub struct Living(Arc<Stats>);

impl Drop for Living {
    fn drop(&mut self) {
        self.0.instances.fetch_sub(1, Ordering::Relaxed);
    }
}
