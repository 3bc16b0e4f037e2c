//! Where requests of one app meet instances: a fresh one for each, or those that are at hand.
//!
//! Under reuse an idle instance is taken before a busy one is loaded further: the oldest first, so that the youngest fall
//! idle and go. A new one is made only where it would help. An instance of WASI 0.2 serves one request at a time, and as
//! long as every core has one that computes, another would only take memory and cores from them: requests wait in line
//! for the next that is free, though not for longer than [`PATIENCE`]. As soon as an instance waits for something outside,
//! the next request has one of its own. How many requests may be here at once is not decided here (see `generation`).
//!
//! A worker of WASI 0.2 that is idle is no task: it lies *parked* in its seat, and the connection that brings it a request
//! runs it. Most requests are answered then without that anybody is woken. Only a worker that has to wait for something
//! becomes a task, until it is idle again; and one whose guest goes on computing moves to the [`Lane`](super::lane), where
//! the workers of an app that mostly does so begin.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    control::{Control, micros},
    exchange::{Failure, Job},
    guest::Template,
    worker,
};
use crate::{alarm::Alarm, plan::Isolation, threads};

/// How long a request stands in line for an instance that computes, before it has one of its own all the same.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a request of the app computes of late, above which its requests begin in the lane: handing one over costs a
/// hundredth of that.
const HEAVY: Duration = Duration::from_millis(1);
/// What one request counts for at most, so that an app which mends its ways is not remembered for long.
const SAMPLE_MAX: Duration = Duration::from_millis(100);
/// So many turns in which a worker's guest was not interrupted, and it is weighed though it is never idle.
const QUIET: u32 = 32;

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
    /// Microseconds that a request computes, as a moving average.
    typical_us: AtomicU32,
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
    /// A task looks after workers that have been parked for too long.
    swept: bool,
}

/// A worker, as something that runs until it has to wait.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An idle worker that nobody runs.
struct Parked {
    work: Work,
    since: Instant,
}

/// A worker that has something to do, and the seat that it has.
struct Ready {
    id: u64,
    work: Work,
    control: Arc<Control>,
    /// Turns since its guest was interrupted or idle.
    quiet: u32,
}

impl Ready {
    fn new(id: u64, work: Work, control: Arc<Control>) -> Self {
        Self { id, work, control, quiet: 0 }
    }
}

/// Which threads run a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Those that serve connections.
    Serving,
    /// Those for guests that go on computing.
    Lane,
}

/// What the pool knows of one worker.
struct Seat {
    id: u64,
    jobs: mpsc::UnboundedSender<Job>,
    control: Arc<Control>,
    serving: usize,
    begun: u64,
    parked: Option<Parked>,
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

    /// Gives the request to the instance in this seat. What comes back is its worker, where that was parked and has to be
    /// run, and the request, where the worker has ended.
    fn give(&mut self, index: usize, job: Job, reuse_max: u64) -> (Option<Ready>, Option<Job>) {
        let Some(seat) = self.seats.get_mut(index) else { return (None, Some(job)) };
        if !job.reply.attach(&seat.control) {
            return (None, None);
        }
        seat.take();
        let sent = seat.jobs.send(job);
        let ready = seat.parked.take().map(|parked| Ready::new(seat.id, parked.work, seat.control.clone()));
        if seat.begun >= reuse_max {
            // The worker ends when the channel is closed and empty.
            self.seats.remove(index);
        }
        (ready, sent.err().map(|mpsc::error::SendError(job)| job))
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
        let (state, typical_us) = (Mutex::default(), AtomicU32::new(0));
        Arc::new(Self { template, policy, state, spread: threads::cores(), typical_us })
    }

    pub fn template(&self) -> &Arc<Template> {
        &self.template
    }

    /// Lets every idle instance go, and every busy one with its last request.
    pub fn close(&self) {
        // Parked workers go with their seats, and look into the pool as they do.
        let seats = std::mem::take(&mut self.state().seats);
        drop(seats);
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
            let id = chair.id;
            let work = worker::ahead(self.template.clone(), self.policy, control.clone(), chair, tell);
            self.start_task(Ready::new(id, Box::pin(work), control));
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
            let control = control.clone();
            state.seats.push(Seat { id, jobs: sender, control, serving: given, begun, parked: None });
        }
        Chair { pool: self.clone(), id, jobs, alarm: Alarm::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the request to an instance, or lets it stand in line for one. Never waits: an instance begins at once, which
    /// for most requests is all that there is to do, and goes on as a task of its own.
    pub fn submit(self: &Arc<Self>, job: Job) {
        match self.policy.isolation {
            Isolation::Request => {
                let control = Arc::new(Control::new());
                if !job.reply.attach(&control) {
                    return;
                }
                let work = Box::pin(worker::once(self.template.clone(), control.clone(), job));
                self.run(Ready::new(0, work, control));
            }
            Isolation::Reuse => {
                if let Some(ready) = self.assign(job) {
                    self.run(ready);
                }
            }
        }
    }

    /// Runs a worker that has a request, here for as long as it need not wait.
    fn run(self: &Arc<Self>, mut ready: Ready) {
        if self.level() == Level::Lane {
            return self.go_on(ready, Level::Lane);
        }
        if self.policy.isolation == Isolation::Reuse && self.template.linked.concurrent {
            // Its requests are others' as well.
            return self.go_on(ready, Level::Serving);
        }
        let mut context = Context::from_waker(Waker::noop());
        // Nobody is woken for it before it is polled again: as a task, or with its next request.
        let turn = ready.work.as_mut().poll(&mut context);
        if let Some((ready, level)) = self.after_turn(turn, ready, Level::Serving) {
            self.go_on(ready, level);
        }
    }

    /// Gives the request to an instance, or lets it stand in line for one. A worker that comes back has to be run.
    fn assign(self: &Arc<Self>, job: Job) -> Option<Ready> {
        let mut state = self.state();
        if let Some(index) = self.choose(&state.seats) {
            let (ready, job) = state.give(index, job, self.policy.reuse_max);
            drop(state);
            match job {
                Some(job) => self.worker(job),
                None => ready,
            }
        } else if self.crowded(&state.seats) {
            state.line.push_back((Instant::now(), job));
            if !std::mem::replace(&mut state.watched, true) {
                tokio::spawn(watch(Arc::downgrade(self)));
            }
            None
        } else {
            drop(state);
            self.worker(job)
        }
    }

    /// Puts a worker that has just been run into its seat, for the next request.
    ///
    /// # Errors
    /// Gives it back where it is not idle, or has no seat any more.
    fn park(self: &Arc<Self>, ready: Ready) -> Result<(), Ready> {
        let mut state = self.state();
        let State { seats, swept, .. } = &mut *state;
        let idle = |seat: &&mut Seat| seat.id == ready.id && seat.serving == 0 && seat.control.is_idle();
        let Some(seat) = seats.iter_mut().find(idle) else { return Err(ready) };
        seat.parked = Some(Parked { work: ready.work, since: Instant::now() });
        if !std::mem::replace(swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), self.policy.idle));
        }
        Ok(())
    }

    /// Where a worker goes on after a turn; `None` where it has ended or was parked.
    fn after_turn(
        self: &Arc<Self>,
        turn: Poll<()>,
        mut ready: Ready,
        level: Level,
    ) -> Option<(Ready, Level)> {
        if turn.is_pending() && ready.control.crowds() {
            // Instances without end are made and ended as fast as there is room. That is work as much as what guests compute.
            return Some((ready, Level::Lane));
        }
        if turn.is_pending() && ready.control.yielded() {
            ready.quiet = 0;
            self.weigh(ready.control.counted_us());
            return Some((ready, Level::Lane));
        }
        ready.quiet += 1;
        let idle = turn.is_ready() || ready.control.is_idle();
        if !idle && ready.quiet < QUIET {
            return Some((ready, level));
        }
        ready.quiet = 0;
        self.weigh(ready.control.counted_us());
        if turn.is_ready() {
            return None;
        }
        let level = self.level();
        // A 0.3 worker is idle within itself. Others are parked: who takes one out runs it.
        if !idle || self.template.linked.concurrent {
            return Some((ready, level));
        }
        self.park(ready).err().map(|ready| (ready, level))
    }

    /// Runs a worker as a task, until it ends or can be parked.
    fn start_task(self: &Arc<Self>, ready: Ready) {
        self.go_on(ready, self.level());
    }

    /// Runs a worker as a task on this level, and on the other one when it belongs there.
    fn go_on(self: &Arc<Self>, ready: Ready, level: Level) {
        let pool = self.clone();
        let mut running = Some(ready);
        let task = poll_fn(move |cx| {
            let Some(mut ready) = running.take() else { return Poll::Ready(()) };
            let turn = ready.work.as_mut().poll(cx);
            match pool.after_turn(turn, ready, level) {
                Some((ready, next)) if next == level => {
                    running = Some(ready);
                    Poll::Pending
                }
                Some((ready, next)) => {
                    pool.go_on(ready, next);
                    Poll::Ready(())
                }
                None => Poll::Ready(()),
            }
        });
        match level {
            Level::Serving => drop(tokio::spawn(task)),
            Level::Lane => self.template.engine.lane.spawn(&self.template.app, task),
        }
    }

    /// Takes account of what a request has computed.
    fn weigh(&self, sample_us: u64) {
        let sample = sample_us.min(micros(SAMPLE_MAX));
        let typical = u64::from(self.typical_us.load(Ordering::Relaxed));
        let next = (typical * 7 + sample) / 8;
        // Not written where nothing changes: the requests of a quick app need not pass it from core to core.
        if next.abs_diff(typical) > 8 + typical / 64 {
            self.typical_us.store(u32::try_from(next).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
    }

    /// Which threads the requests of the app begin on.
    fn level(&self) -> Level {
        let heavy = u64::from(self.typical_us.load(Ordering::Relaxed)) >= micros(HEAVY);
        if heavy { Level::Lane } else { Level::Serving }
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
        if let Some(ready) = first.and_then(|(_, job)| self.worker(job)) {
            self.start_task(ready);
        }
    }

    /// A new worker for the request; none where nobody waits for it any more.
    fn worker(self: &Arc<Self>, job: Job) -> Option<Ready> {
        let control = Arc::new(Control::new());
        if !job.reply.attach(&control) {
            return None;
        }
        let (sender, jobs) = mpsc::unbounded_channel();
        // The channel keeps the job whatever becomes of the worker.
        sender.send(job).ok()?;
        let chair = self.seat(sender, jobs, &control, 1);
        let id = chair.id;
        let work = Box::pin(worker::many(self.template.clone(), self.policy, control.clone(), chair));
        Some(Ready::new(id, work, control))
    }
}

/// Lets workers go that have been parked for longer than `idle_max`. Ends when none is parked.
async fn sweep(pool: Weak<Pool>, idle_max: Duration) {
    while let Some(strong) = pool.upgrade() {
        let now = Instant::now();
        let (expired, next) = {
            let mut state = strong.state();
            let expires = |seat: &Seat| seat.parked.as_ref().map(|parked| parked.since + idle_max);
            let is_over = |seat: &mut Seat| expires(seat).is_some_and(|expires| expires <= now);
            let expired: Vec<Seat> = state.seats.extract_if(.., is_over).collect();
            let next = state.seats.iter().filter_map(expires).min();
            state.swept = next.is_some();
            (expired, next)
        };
        // They look into the pool as they go.
        drop(expired);
        drop(strong);
        match next {
            Some(next) => sleep_until(next).await,
            None => return,
        }
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
            if let Some(ready) = first.and_then(|(_, job)| strong.worker(job)) {
                strong.start_task(ready);
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
            if let Some(ready) = self.pool.assign(job) {
                self.pool.start_task(ready);
            }
        }
        self.pool.relieve();
    }
}
