//! Room for instances that all apps share, less what is kept for each of them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::config;

/// Instances of each generation that do not count against what all share: an app that takes all of that leaves room for the
/// others to serve.
const OWN: usize = 2;

/// Instances that live, by the slots that they take.
#[derive(Debug, Default)]
pub struct Slots(Arc<AtomicUsize>);

/// Room that is taken; dropped, it is free.
#[derive(Debug)]
pub(crate) struct Room {
    counter: Arc<AtomicUsize>,
    slots: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.counter.fetch_sub(self.slots, Ordering::AcqRel);
    }
}

impl Slots {
    /// Room for an instance that takes so many `slots`: among the generation's `own` instances, or among those of all. None
    /// where both are full.
    pub(crate) fn take(&self, own: &Arc<AtomicUsize>, slots: usize) -> Option<Room> {
        take(own, 1, OWN).or_else(|| take(&self.0, slots, config::SLOTS_SHARED))
    }
}

fn take(counter: &Arc<AtomicUsize>, slots: usize, max: usize) -> Option<Room> {
    let take = |taken: usize| (taken + slots <= max).then_some(taken + slots);
    counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).ok()?;
    Some(Room { counter: counter.clone(), slots })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_all_leaves_the_others_their_own() {
        let (slots, hog, other) = (Slots::default(), Arc::default(), Arc::default());
        let taken: Vec<Room> = std::iter::from_fn(|| slots.take(&hog, 16)).collect();
        assert_eq!(taken.len(), OWN + config::SLOTS_SHARED / 16);
        let others: Vec<Room> = std::iter::from_fn(|| slots.take(&other, 16)).collect();
        assert_eq!(others.len(), OWN);
        drop(taken);
        assert!(slots.take(&other, 1).is_some());
    }
}
