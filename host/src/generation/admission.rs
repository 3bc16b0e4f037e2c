//! Who is served and who waits: places for requests, and a bounded queue before them, in the order of arrival. Nothing is
//! allocated for a request before it has a place.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{instance::Failure, plan};

pub(super) struct Admission {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    wait_max: Duration,
}

impl Admission {
    pub(super) fn new(limits: &plan::Limits) -> Self {
        Self::of(limits.concurrent, limits.queue, limits.queue_wait)
    }

    fn of(places: usize, queue: usize, wait_max: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0), queue, wait_max }
    }

    /// Requests that wait for a place.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`Failure::QueueFull`] at once, [`Failure::QueueTimeout`] after `queue-ms`.
    pub(super) async fn admit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        if let Ok(permit) = self.places.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::join(&self.waiting, self.queue).ok_or(Failure::QueueFull(self.queue))?;
        match tokio::time::timeout(self.wait_max, self.places.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Failure::QueueTimeout(self.wait_max)),
        }
    }
}

/// One waiting request; leaves the queue when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let join = |now: usize| (now < max).then_some(now + 1);
        waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, join).ok().map(|_| Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::{FutureExt as _, future::BoxFuture};
    use proptest::prelude::*;

    use super::*;

    /// What happens to the places and the queue.
    #[derive(Debug, Clone)]
    enum Step {
        /// A request arrives.
        Arrive,
        /// One that has a place is done.
        Finish(prop::sample::Index),
        /// The client of one that waits leaves.
        Leave(prop::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Arrive),
            3 => any::<prop::sample::Index>().prop_map(Step::Finish),
            1 => any::<prop::sample::Index>().prop_map(Step::Leave),
        ]
    }

    /// The plain model: who has a place, and who waits, in the order of arrival.
    #[derive(Debug, Default)]
    struct Model {
        placed: Vec<usize>,
        queue: VecDeque<usize>,
    }

    impl Model {
        /// Gives the free places to those who have waited longest.
        fn fill(&mut self, places: usize) {
            while self.placed.len() < places
                && let Some(next) = self.queue.pop_front()
            {
                self.placed.push(next);
            }
        }
    }

    type Outcome = Result<OwnedSemaphorePermit, Failure>;

    /// The real thing, asked again after each step.
    struct Real<'a> {
        placed: Vec<(usize, OwnedSemaphorePermit)>,
        waiting: Vec<(usize, BoxFuture<'a, Outcome>)>,
    }

    impl Real<'_> {
        /// Gives the error of who was refused at once.
        fn look(&mut self) -> Option<Failure> {
            let mut full = None;
            let waiting = std::mem::take(&mut self.waiting);
            for (who, mut future) in waiting {
                match future.as_mut().now_or_never() {
                    None => self.waiting.push((who, future)),
                    Some(Ok(permit)) => self.placed.push((who, permit)),
                    Some(Err(error)) => full = Some(error),
                }
            }
            full
        }
    }

    fn agree(places: usize, queue: usize, steps: Vec<Step>) -> Result<(), TestCaseError> {
        let admission = Admission::of(places, queue, Duration::MAX);
        let mut model = Model::default();
        let mut real = Real { placed: Vec::new(), waiting: Vec::new() };
        for (number, step) in steps.into_iter().enumerate() {
            let mut full = false;
            match step {
                Step::Arrive => {
                    if model.placed.len() < places {
                        model.placed.push(number);
                    } else if model.queue.len() < queue {
                        model.queue.push_back(number);
                    } else {
                        full = true;
                    }
                    real.waiting.push((number, admission.admit().boxed()));
                }
                Step::Finish(which) if !model.placed.is_empty() => {
                    let who = model.placed.swap_remove(which.index(model.placed.len()));
                    model.fill(places);
                    real.placed.retain(|(other, _)| *other != who);
                }
                Step::Leave(which) if !model.queue.is_empty() => {
                    let who = model.queue.remove(which.index(model.queue.len())).unwrap();
                    real.waiting.retain(|(other, _)| *other != who);
                }
                Step::Finish(_) | Step::Leave(_) => {}
            }
            let refused = real.look();
            prop_assert_eq!(matches!(refused, Some(Failure::QueueFull(_))), full);
            prop_assert_eq!(refused.is_some(), full);
            let mut placed: Vec<usize> = real.placed.iter().map(|(who, _)| *who).collect();
            placed.sort_unstable();
            model.placed.sort_unstable();
            prop_assert_eq!(&placed, &model.placed);
            let waiting: VecDeque<usize> = real.waiting.iter().map(|(who, _)| *who).collect();
            prop_assert_eq!(&waiting, &model.queue);
            prop_assert_eq!(admission.waiting(), model.queue.len());
        }
        drop(real);
        prop_assert_eq!(admission.places.available_permits(), places);
        prop_assert_eq!(admission.waiting(), 0);
        Ok(())
    }

    proptest! {
        #[test]
        fn places_and_queue_are_those_of_a_plain_model(
            places in 1_usize..4,
            queue in 0_usize..4,
            steps in prop::collection::vec(step(), 0..80),
        ) {
            // Its timer is wanted, though no time-out comes.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _in_runtime = runtime.enter();
            agree(places, queue, steps)?;
        }
    }
}
