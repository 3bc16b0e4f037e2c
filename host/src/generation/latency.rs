//! A histogram of times that many threads record into without waiting, in half a kilobyte.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

/// Buckets for each doubling: a bucket's upper bound is at most a fifth above its lower one.
const STEPS: usize = 4;
/// Doublings from one microsecond: up to about half an hour.
const DOUBLINGS: usize = 31;
const BUCKETS: usize = STEPS * DOUBLINGS;

/// Counts of times by their logarithm.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU32; BUCKETS],
    max_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU32::new(0) }; BUCKETS], max_us: AtomicU64::new(0) }
    }
}

impl Histogram {
    pub fn record(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.max_us.fetch_max(us, Ordering::Relaxed);
        if let Some(bucket) = self.buckets.get(bucket(us)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The longest time.
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max_us.load(Ordering::Relaxed))
    }

    /// The time that this part of all times (0 to 1) does not exceed, rounded up to its bucket; zero where there is none.
    pub fn quantile(&self, part: f64) -> Duration {
        let counts: Vec<u64> =
            self.buckets.iter().map(|bucket| u64::from(bucket.load(Ordering::Relaxed))).collect();
        let total: u64 = counts.iter().sum();
        let wanted = (total as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_micros(upper_us(index)).min(self.max());
            }
        }
        Duration::ZERO
    }
}

/// The bucket of a time in microseconds.
fn bucket(us: u64) -> usize {
    let us = us.max(1);
    let doubling = us.ilog2() as usize;
    // The two bits below the highest one.
    let step = if doubling >= 2 { (us >> (doubling - 2)) & 3 } else { (us << (2 - doubling)) & 3 };
    (doubling * STEPS + step as usize).min(BUCKETS - 1)
}

/// The end of a bucket, in microseconds.
fn upper_us(bucket: usize) -> u64 {
    let (doubling, step) = (bucket / STEPS, bucket % STEPS);
    let quarter = (1u64 << doubling) as f64 / STEPS as f64;
    ((STEPS + step + 1) as f64 * quarter).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_at_most_a_quarter_above() {
        for scale in [1, 10, 100, 10_000, 1_000_000] {
            let histogram = Histogram::default();
            (1..=1000).for_each(|n| histogram.record(Duration::from_micros(n * scale)));
            for part in [0.01, 0.5, 0.9, 0.99, 1.0] {
                let (true_us, found) =
                    (1000.0 * part * scale as f64, histogram.quantile(part).as_micros() as f64);
                assert!(
                    found >= true_us && found <= true_us * 1.25 + 1.0,
                    "{part} of {scale}: {found} for {true_us}"
                );
            }
            assert_eq!(histogram.quantile(1.0), histogram.max());
        }
        assert_eq!(Histogram::default().quantile(0.5), Duration::ZERO);
    }
}
