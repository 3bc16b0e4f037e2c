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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list of what each has: never more than the limit, and nothing is lost or counted twice.
        #[test]
        fn what_is_taken_is_the_sum_of_the_slots(
            max in 0_usize..20,
            steps in prop::collection::vec((0_usize..8, any::<bool>(), any::<prop::sample::Index>()), 0..60),
        ) {
            let taken = Taken::default();
            let mut slots: Vec<Slot> = Vec::new();
            for (count, takes, which) in steps {
                let before: usize = slots.iter().map(|slot| slot.count).sum();
                if takes {
                    let slot = taken.take(count, max);
                    prop_assert_eq!(slot.is_some(), before + count <= max);
                    slots.extend(slot);
                } else if !slots.is_empty() {
                    slots.swap_remove(which.index(slots.len()));
                }
                prop_assert_eq!(taken.count(), slots.iter().map(|slot| slot.count).sum::<usize>());
            }
            slots.clear();
            prop_assert_eq!(taken.count(), 0);
        }
    }
}
