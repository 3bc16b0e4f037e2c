//! Room for instances that all apps share, less what is kept for each of them.

use super::config;
use crate::taken::{Slot, Taken};

/// Instances of each generation that do not count against what all share: an app that takes all of that leaves room for the
/// others to serve.
const OWN: usize = 2;

/// Instances that live, by the slots that they take.
#[derive(Debug, Default)]
pub struct Slots(Taken);

impl Slots {
    /// Room for an instance that takes so many `slots`: among the generation's `own` instances, or among those of all. None
    /// where both are full.
    pub(crate) fn take(&self, own: &Taken, slots: usize) -> Option<Slot> {
        own.take(1, OWN).or_else(|| self.0.take(slots, config::SLOTS_SHARED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_all_leaves_the_others_their_own() {
        let (slots, hog, other) = (Slots::default(), Taken::default(), Taken::default());
        let taken: Vec<Slot> = std::iter::from_fn(|| slots.take(&hog, 16)).collect();
        assert_eq!(taken.len(), OWN + config::SLOTS_SHARED / 16);
        let others: Vec<Slot> = std::iter::from_fn(|| slots.take(&other, 16)).collect();
        assert_eq!(others.len(), OWN);
        drop(taken);
        assert!(slots.take(&other, 1).is_some());
    }
}
