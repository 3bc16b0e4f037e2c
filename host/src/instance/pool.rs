//! Where requests of one app meet instances: a fresh one for each, or those that are at hand.
//!
//! Under reuse an idle instance is taken before a busy one is loaded further: the oldest first, so that the youngest fall
//! idle and go. A new one is made only where it would help. An instance of WASI 0.2 serves one request at a time, and as
//! long as every core has one that computes, another would only take memory and cores from them: requests wait in line
//! for the next that is free, though not for longer than [`PATIENCE`]. As soon as an instance waits for something outside,
//! the next request has one of its own. How many requests may be here at once is not decided here (see `generation`).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    control::Control,
    exchange::{Failure, Job},
    guest::Template,
    worker,
};
use crate::{alarm::Alarm, plan::Isolation};

/// How long a request stands in line for an instance that computes, before it has one of its own all the same.
const PATIENCE: Duration = Duration::from_millis(500);

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
    state: Mutex<State>,
    /// Cores: so many instances can compute at once.
    spread: usize,
}

#[derive(Default)]
struct State {
    /// The oldest first.
    seats: Vec<Seat>,
    next_seat: u64,
    /// Requests that stand in line, with the time since when.
    line: VecDeque<(Instant, Job)>,
    /// A task looks after those that have stood for too long.
    watched: bool,
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
    /// Rings when the instance has been idle for too long.
    pub(super) alarm: Alarm,
}

impl State {
    fn find(&mut self, id: u64) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.id == id)
    }

    /// Gives the request to the instance in this seat. Gives it back where the worker has ended.
    fn give(&mut self, index: usize, job: Job, reuse_max: u64) -> Option<Job> {
        let Some(seat) = self.seats.get_mut(index) else { return Some(job) };
        if !job.reply.attach(&seat.control) {
            return None;
        }
        seat.take();
        let sent = seat.jobs.send(job);
        if seat.begun >= reuse_max {
            // The worker ends when the channel is closed and empty.
            self.seats.remove(index);
        }
        sent.err().map(|mpsc::error::SendError(job)| job)
    }
}

impl Seat {
    fn take(&mut self) {
        self.serving += 1;
        self.begun += 1;
    }
}

impl Pool {
    pub fn new(template: Arc<Template>, policy: Policy) -> Arc<Self> {
        let spread = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self { template, policy, state: Mutex::default(), spread })
    }

    pub fn template(&self) -> &Arc<Template> {
        &self.template
    }

    /// Lets every idle instance go, and every busy one with its last request.
    pub fn close(&self) {
        self.state().seats.clear();
    }

    /// Starts instances before there are requests for them: `count` where they are kept, never more than cores; else one,
    /// to see whether it can be done.
    ///
    /// # Errors
    /// Why one cannot be started.
    pub async fn start(self: &Arc<Self>, count: usize) -> Result<(), Failure> {
        let ended = |_| Failure::Instantiation("the instance ended while it started".into());
        if self.policy.isolation == Isolation::Request || self.policy.reuse_max <= 1 {
            let trial = tokio::spawn(worker::try_out(self.template.clone()));
            return trial.await.unwrap_or_else(|error| Err(Failure::Instantiation(error.to_string())));
        }
        let mut told = Vec::new();
        for _ in 0..count.clamp(1, self.spread) {
            let (tell, answer) = oneshot::channel();
            let (sender, jobs) = mpsc::unbounded_channel();
            let control = Arc::new(Control::new());
            let chair = self.seat(sender, jobs, &control, 0);
            tokio::spawn(worker::ahead(self.template.clone(), self.policy, control, chair, tell));
            told.push(answer);
        }
        for answer in told {
            answer.await.map_err(ended)??;
        }
        Ok(())
    }

    /// A seat for a new worker that has been given this many requests.
    fn seat(
        self: &Arc<Self>,
        sender: mpsc::UnboundedSender<Job>,
        jobs: mpsc::UnboundedReceiver<Job>,
        control: &Arc<Control>,
        given: usize,
    ) -> Chair {
        let mut state = self.state();
        state.next_seat += 1;
        let id = state.next_seat;
        if self.policy.reuse_max > 1 {
            let begun = given as u64;
            state.seats.push(Seat { id, jobs: sender, control: control.clone(), serving: given, begun });
        }
        Chair { pool: self.clone(), id, jobs, alarm: Alarm::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the request to an instance, or lets it stand in line for one. Never waits: a fresh instance begins at once,
    /// which for most requests is all that there is to do, and goes on as a task of its own.
    pub async fn submit(self: &Arc<Self>, job: Job) {
        match self.policy.isolation {
            Isolation::Request => {
                let control = Arc::new(Control::new());
                if !job.reply.attach(&control) {
                    return;
                }
                let mut work = Box::pin(worker::once(self.template.clone(), control, job));
                if futures::poll!(work.as_mut()).is_pending() {
                    tokio::spawn(work);
                }
            }
            Isolation::Reuse => self.submit_reuse(job),
        }
    }

    fn submit_reuse(self: &Arc<Self>, job: Job) {
        let mut state = self.state();
        if let Some(index) = self.choose(&state.seats) {
            let given_back = state.give(index, job, self.policy.reuse_max);
            drop(state);
            if let Some(job) = given_back {
                self.spawn(job);
            }
        } else if self.crowded(&state.seats) {
            state.line.push_back((Instant::now(), job));
            if !std::mem::replace(&mut state.watched, true) {
                tokio::spawn(watch(Arc::downgrade(self)));
            }
        } else {
            drop(state);
            self.spawn(job);
        }
    }

    /// An idle instance, or where there are enough of them the least loaded with room.
    fn choose(&self, seats: &[Seat]) -> Option<usize> {
        let room = |seat: &Seat| seat.serving < self.policy.concurrency && !seat.control.retired();
        let idle = seats.iter().position(|seat| seat.serving == 0 && room(seat));
        idle.or_else(|| {
            if seats.len() < self.spread {
                return None;
            }
            let loaded = seats.iter().enumerate().filter(|(_, seat)| room(seat));
            loaded.min_by_key(|(_, seat)| seat.serving).map(|(index, _)| index)
        })
    }

    /// Whether every core has an instance of this app that computes. Instances of WASI 0.3 take several requests at once,
    /// and whether one of them computes is not known.
    fn crowded(&self, seats: &[Seat]) -> bool {
        if self.template.linked.concurrent {
            return false;
        }
        let computes = |seat: &&Seat| seat.serving > 0 && !seat.control.retired() && seat.control.computes();
        seats.iter().filter(computes).count() >= self.spread
    }

    /// An instance has stopped computing: the first in line may have a new one, if there is still nobody free.
    fn relieve(self: &Arc<Self>) {
        let mut state = self.state();
        if state.line.is_empty() || self.crowded(&state.seats) {
            return;
        }
        let first = state.line.pop_front();
        drop(state);
        if let Some((_, job)) = first {
            self.spawn(job);
        }
    }

    fn spawn(self: &Arc<Self>, job: Job) {
        let control = Arc::new(Control::new());
        if !job.reply.attach(&control) {
            return;
        }
        let (sender, jobs) = mpsc::unbounded_channel();
        // The channel keeps the job whatever becomes of the worker.
        if sender.send(job).is_err() {
            return;
        }
        let chair = self.seat(sender, jobs, &control, 1);
        tokio::spawn(worker::many(self.template.clone(), self.policy, control, chair));
    }
}

/// Gives those who have stood in line for too long an instance of their own. Ends when nobody stands there.
async fn watch(pool: Weak<Pool>) {
    while let Some(strong) = pool.upgrade() {
        let due = {
            let mut state = strong.state();
            match state.line.front() {
                Some((since, _)) => *since + PATIENCE,
                None => {
                    state.watched = false;
                    return;
                }
            }
        };
        if due <= Instant::now() {
            let first = strong.state().line.pop_front();
            if let Some((_, job)) = first {
                strong.spawn(job);
            }
        } else {
            drop(strong);
            sleep_until(due).await;
        }
    }
}

impl Chair {
    /// One request is done.
    pub(super) fn release(&self) {
        if let Some(seat) = self.pool.state().find(self.id) {
            seat.serving = seat.serving.saturating_sub(1);
        }
    }

    /// The next request that stands in line, for an instance that is free.
    pub(super) fn next_in_line(&self) -> Option<Job> {
        let mut state = self.pool.state();
        let index = state.seats.iter().position(|seat| seat.id == self.id && seat.serving == 0)?;
        loop {
            let (_, job) = state.line.pop_front()?;
            let seat = state.seats.get_mut(index)?;
            // Who has left the line is passed over.
            if job.reply.attach(&seat.control) {
                seat.take();
                if seat.begun >= self.pool.policy.reuse_max {
                    state.seats.remove(index);
                }
                return Some(job);
            }
        }
    }

    /// The guest waits for something outside: the core is free for another.
    pub(super) fn waits(&self) {
        self.pool.relieve();
    }

    /// Gives the seat up if no request is on its way to it. False where one is.
    pub(super) fn leave_idle(&self) -> bool {
        let mut state = self.pool.state();
        match state.seats.iter().position(|seat| seat.id == self.id) {
            Some(index) if state.seats.get(index).is_some_and(|seat| seat.serving == 0) => {
                state.seats.remove(index);
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
        self.pool.state().seats.retain(|seat| seat.id != self.id);
        self.jobs.close();
        while let Ok(job) = self.jobs.try_recv() {
            self.pool.submit_reuse(job);
        }
        self.pool.relieve();
    }
}
