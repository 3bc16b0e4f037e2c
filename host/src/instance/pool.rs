//! Where requests of one app meet instances: a fresh one for each, or those that are at hand.
//!
//! Under reuse an idle instance is taken before a busy one is loaded further, and a new one is made before instances
//! that the machine has no core for are loaded: the oldest with room first, so that the youngest fall idle and go.
//! How many requests may be here at once is not decided here (see `dispatch`).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;

use super::{control::Control, exchange::Job, guest::Template, worker};
use crate::plan::Isolation;

/// How instances live.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    pub isolation: Isolation,
    /// Requests that one instance serves before it is let go.
    pub reuse_max: u64,
    /// Requests at once in one instance.
    pub concurrency: usize,
    /// How long an unused instance is kept.
    pub idle: Duration,
}

/// The instances of one [`Template`].
pub struct Pool {
    template: Arc<Template>,
    policy: Policy,
    seats: Mutex<Vec<Seat>>,
    next: AtomicU64,
    /// Instances to spread over before one is loaded with several requests.
    spread: usize,
}

/// What the pool knows of one worker.
struct Seat {
    id: u64,
    jobs: mpsc::UnboundedSender<Job>,
    control: Arc<Control>,
    serving: usize,
    begun: u64,
}

/// A worker's own handle on its seat.
pub(super) struct Chair {
    pool: Arc<Pool>,
    id: u64,
    pub(super) jobs: mpsc::UnboundedReceiver<Job>,
}

impl Pool {
    pub fn new(template: Arc<Template>, policy: Policy) -> Arc<Self> {
        let spread = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self { template, policy, seats: Mutex::default(), next: AtomicU64::new(0), spread })
    }

    pub fn template(&self) -> &Arc<Template> {
        &self.template
    }

    /// Lets every idle instance go, and every busy one with its last request.
    pub fn close(&self) {
        self.seats().clear();
    }

    fn seats(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the request to an instance. Never waits.
    pub fn submit(self: &Arc<Self>, job: Job) {
        match self.policy.isolation {
            Isolation::Request => {
                let control = Arc::new(Control::new());
                if job.reply.attach(&control) {
                    control.begin();
                    tokio::spawn(worker::once(self.template.clone(), control, job));
                }
            }
            Isolation::Reuse => self.submit_reuse(job),
        }
    }

    fn submit_reuse(self: &Arc<Self>, job: Job) {
        let mut seats = self.seats();
        let room = |seat: &Seat| seat.serving < self.policy.concurrency && !seat.control.retired();
        let idle = seats.iter().position(|seat| seat.serving == 0 && room(seat));
        let chosen = idle.or_else(|| {
            if seats.len() < self.spread {
                return None;
            }
            let loaded = seats.iter().enumerate().filter(|(_, seat)| room(seat));
            loaded.min_by_key(|(_, seat)| seat.serving).map(|(index, _)| index)
        });
        if let Some(index) = chosen
            && let Some(seat) = seats.get_mut(index)
        {
            if !job.reply.attach(&seat.control) {
                return;
            }
            seat.serving += 1;
            seat.begun += 1;
            seat.control.begin();
            let sent = seat.jobs.send(job);
            if seat.begun >= self.policy.reuse_max {
                // The worker ends when the channel is closed and empty.
                seats.remove(index);
            }
            if let Err(mpsc::error::SendError(job)) = sent {
                drop(seats);
                self.spawn(job);
            }
            return;
        }
        drop(seats);
        self.spawn(job);
    }

    fn spawn(self: &Arc<Self>, job: Job) {
        let control = Arc::new(Control::new());
        if !job.reply.attach(&control) {
            return;
        }
        control.begin();
        let (sender, jobs) = mpsc::unbounded_channel();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        // The channel keeps the job whatever becomes of the worker.
        if sender.send(job).is_err() {
            return;
        }
        if self.policy.reuse_max > 1 {
            self.seats().push(Seat { id, jobs: sender, control: control.clone(), serving: 1, begun: 1 });
        }
        tokio::spawn(worker::many(
            self.template.clone(),
            self.policy,
            control,
            Chair { pool: self.clone(), id, jobs },
        ));
    }
}

impl Chair {
    /// One request is done.
    pub(super) fn release(&self) {
        if let Some(seat) = self.pool.seats().iter_mut().find(|seat| seat.id == self.id) {
            seat.serving = seat.serving.saturating_sub(1);
        }
    }

    /// Gives the seat up if no request is on its way to it. False where one is.
    pub(super) fn leave_idle(&self) -> bool {
        let mut seats = self.pool.seats();
        match seats.iter().position(|seat| seat.id == self.id) {
            Some(index) if seats.get(index).is_some_and(|seat| seat.serving == 0) => {
                seats.remove(index);
                true
            }
            Some(_) => false,
            None => true,
        }
    }
}

impl Drop for Chair {
    /// Requests that came to a worker which has ended, and were not begun, go to another instance.
    fn drop(&mut self) {
        self.pool.seats().retain(|seat| seat.id != self.id);
        self.jobs.close();
        while let Ok(job) = self.jobs.try_recv() {
            self.pool.submit(job);
        }
    }
}
