//! The memory of all instances of a generation together.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bytes of memories and tables that its instances have been given.
#[derive(Debug, Default)]
pub struct Memory {
    bytes: AtomicUsize,
    refused: AtomicU64,
}

impl Memory {
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How often an instance was refused more, for what all have together.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Gives an instance more, unless all would have more than `max` then.
    pub(crate) fn take(&self, bytes: usize, max: usize) -> bool {
        // Added first, since nearly always it fits. Others that ask meanwhile may be refused for it, never given too much.
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.checked_add(bytes).is_some_and(|total| total <= max);
        if !fits {
            self.give_back(bytes);
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list of what each instance has.
        #[test]
        fn memory_is_the_sum_of_what_instances_have(
            max in 0_usize..1000,
            steps in prop::collection::vec((0_usize..4, 0_usize..400, any::<bool>()), 0..60),
        ) {
            let memory = Memory::default();
            let (mut instances, mut refused) = ([0_usize; 4], 0);
            for (who, bytes, grows) in steps {
                let all: usize = instances.iter().sum();
                if grows {
                    let fits = memory.take(bytes, max);
                    prop_assert_eq!(fits, all + bytes <= max);
                    instances[who] += if fits { bytes } else { 0 };
                    refused += u64::from(!fits);
                } else {
                    memory.give_back(std::mem::take(&mut instances[who]));
                }
                prop_assert_eq!(memory.bytes(), instances.iter().sum::<usize>());
                prop_assert_eq!(memory.refused(), refused);
            }
        }
    }
}
