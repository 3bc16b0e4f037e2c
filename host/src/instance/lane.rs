//! The second level of threads: guests that go on computing after their first few milliseconds run here.
//!
//! The threads that serve connections run a guest for one [`SLICE`](crate::engine::SLICE) at most. One that is not done
//! then goes on here, at low priority, so that short requests never queue behind long ones (a feedback queue of two
//! levels). Threads take the apps in turn, whatever the number of their requests: an app that computes a lot shares what
//! is left with the others that do. Within an app a request that was begun goes on before the next one begins, for
//! [`SLICES`]: in turns they would all take longer, and each would find the processor's caches full of the others.

use std::{
    collections::{HashMap, VecDeque},
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use async_task::{Runnable, ScheduleInfo, WithInfo};
use tokio::runtime::Handle;

use crate::threads;

/// Slices of time in a row that are given to a request before the next one of its app has its turn: enough for a page of
/// most apps, and not so many that one which computes for long keeps the others waiting.
const SLICES: u32 = 5;

/// The lane of a house. Its threads begin with the first guest that needs them, or before.
#[derive(Debug, Default)]
pub struct Lane {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queues: Mutex<Queues>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Queues {
    /// What can run, by app. An app that has nothing to run is not here.
    apps: HashMap<Arc<str>, VecDeque<Runnable>>,
    /// The apps of that map, each once, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    threads: usize,
    closed: bool,
}

/// Where among what can run of its app.
#[derive(Debug, Clone, Copy)]
enum Place {
    First,
    Last,
}

impl Lane {
    /// Has its threads ready for guests: what wasmtime needs of each is taken now, since without it the process would end.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    pub fn start(&self) {
        self.start_threads(wasmtime::Engine::tls_eager_initialize);
    }

    /// Runs this on the lane, until it ends.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as [`tokio::spawn`].
    pub(super) fn spawn(&self, app: &Arc<str>, work: impl Future<Output = ()> + Send + 'static) {
        self.start_threads(|| ());
        self.shared.spawn(app, work);
    }

    fn start_threads(&self, ready: fn()) {
        let wanted = threads::cores();
        let mut queues = self.shared.queues();
        while queues.threads < wanted {
            let (shared, runtime) = (self.shared.clone(), Handle::current());
            let started = thread::Builder::new().name("guests".into()).spawn(move || {
                ready();
                shared.run(&runtime);
            });
            match started {
                Ok(_) => queues.threads += 1,
                Err(error) if queues.threads > 0 => {
                    tracing::warn!("only {} threads for guests that compute: {error}", queues.threads);
                    return;
                }
                Err(error) => {
                    tracing::error!("no thread for guests that compute: {error}");
                    return;
                }
            }
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.queues().closed = true;
        self.shared.more.notify_all();
    }
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(self: &Arc<Self>, app: &Arc<str>, work: impl Future<Output = ()> + Send + 'static) {
        let (shared, app) = (Arc::downgrade(self), app.clone());
        let in_a_row = AtomicU32::new(1);
        let schedule = WithInfo(move |runnable, info: ScheduleInfo| {
            // Who is woken while it runs gave its thread up, and waits for nothing.
            let slices = in_a_row.load(Ordering::Relaxed);
            let goes_on = info.woken_while_running && slices < SLICES;
            in_a_row.store(if goes_on { slices + 1 } else { 1 }, Ordering::Relaxed);
            if let Some(shared) = shared.upgrade() {
                shared.push(&app, runnable, if goes_on { Place::First } else { Place::Last });
            }
        });
        let (runnable, task) = async_task::spawn(work, schedule);
        task.detach();
        runnable.schedule();
    }

    fn push(&self, app: &Arc<str>, runnable: Runnable, place: Place) {
        self.queues().push(app, runnable, place);
        self.more.notify_one();
    }

    /// The life of a thread.
    fn run(&self, runtime: &Handle) {
        // What guests wait for are the runtime's timers and sockets.
        let _entered = runtime.enter();
        threads::be_nice();
        threads::take_short_slices();
        threads::run_anywhere();
        let mut queues = self.queues();
        while !queues.closed {
            match queues.pop() {
                Some(runnable) => {
                    drop(queues);
                    // As tokio does it: what panics is lost, and the thread goes on with the others.
                    if panic::catch_unwind(AssertUnwindSafe(|| runnable.run())).is_err() {
                        tracing::error!("a guest's task ended by a panic of the host");
                    }
                    queues = self.queues();
                }
                None => queues = self.more.wait(queues).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Queues {
    fn push(&mut self, app: &Arc<str>, runnable: Runnable, place: Place) {
        match (self.apps.get_mut(app), place) {
            (Some(queue), Place::First) => queue.push_front(runnable),
            (Some(queue), Place::Last) => queue.push_back(runnable),
            (None, _) => {
                self.apps.insert(app.clone(), VecDeque::from([runnable]));
                self.turns.push_back(app.clone());
            }
        }
    }

    /// What runs next: the first of the app whose turn it is, which then has its next turn after all others.
    fn pop(&mut self) -> Option<Runnable> {
        let app = self.turns.pop_front()?;
        let queue = self.apps.get_mut(&app)?;
        let runnable = queue.pop_front();
        if queue.is_empty() {
            self.apps.remove(&app);
        } else {
            self.turns.push_back(app);
        }
        runnable
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Runnables that tell their names when they run.
    fn told(names: &[&'static str]) -> (Queues, mpsc::Receiver<&'static str>) {
        let (sender, receiver) = mpsc::channel();
        let mut queues = Queues::default();
        for &name in names {
            let sender = sender.clone();
            let (runnable, task) = async_task::spawn(async move { sender.send(name).unwrap() }, |_| ());
            task.detach();
            queues.push(&Arc::from(name.split('-').next().unwrap()), runnable, Place::Last);
        }
        (queues, receiver)
    }

    #[test]
    fn a_panic_ends_nothing_but_its_task() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let lane = Lane::default();
        let (sender, told) = mpsc::channel();
        let app: Arc<str> = Arc::from("app");
        for _ in 0..64 {
            lane.spawn(&app, async { panic!("as planned") });
        }
        lane.spawn(&app, async move { sender.send(()).unwrap() });
        told.recv().unwrap();
    }

    #[test]
    fn who_was_begun_goes_on_before_the_next_of_its_app_but_not_for_ever() {
        let (sender, told) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        for (name, slices) in [("a-1", 7), ("a-2", 2), ("b-1", 2)] {
            let sender = sender.clone();
            shared.spawn(&Arc::from(&name[..1]), async move {
                for _ in 0..slices {
                    sender.send(name).unwrap();
                    tokio::task::yield_now().await;
                }
            });
        }
        let next = || shared.queues().pop();
        while let Some(runnable) = next() {
            runnable.run();
        }
        let order = |app: &str, told: &[&'static str]| -> Vec<&str> {
            told.iter().filter(|name| name.starts_with(app)).copied().collect()
        };
        let told: Vec<_> = told.try_iter().collect();
        assert_eq!(order("a", &told), ["a-1", "a-1", "a-1", "a-1", "a-1", "a-2", "a-2", "a-1", "a-1"]);
        assert_eq!(told[..4], ["a-1", "b-1", "a-1", "b-1"], "apps take turns, whoever has the app's own");
    }

    #[test]
    fn apps_take_turns_whatever_they_bring() {
        let (mut queues, told) = told(&["a-1", "a-2", "a-3", "b-1", "c-1", "c-2"]);
        while let Some(runnable) = queues.pop() {
            runnable.run();
        }
        let order: Vec<_> = told.try_iter().collect();
        assert_eq!(order, ["a-1", "b-1", "c-1", "a-2", "c-2", "a-3"]);
        assert!(
            queues.apps.is_empty() && queues.turns.is_empty(),
            "nothing is kept of apps that have nothing to run"
        );
    }
}
