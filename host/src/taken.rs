//! How much of something is taken, and the slots of those that have taken it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Counts what is taken.
#[derive(Debug, Default, Clone)]
pub(crate) struct Taken(Arc<AtomicUsize>);

/// What one has taken; dropped, it is free.
#[derive(Debug)]
pub(crate) struct Slot {
    taken: Taken,
    count: usize,
}

impl Taken {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes so many; none where more than `max` would be taken then.
    pub(crate) fn take(&self, count: usize, max: usize) -> Option<Slot> {
        let take = |taken: usize| taken.checked_add(count).filter(|taken| *taken <= max);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).ok()?;
        Some(Slot { taken: self.clone(), count })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.taken.0.fetch_sub(self.count, Ordering::AcqRel);
    }
}
