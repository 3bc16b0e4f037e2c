//! Log lines of a generation's guests: so many a second, and what is beyond that is counted and not written. Lines are
//! written to one place for all apps, by a thread that none may keep for itself.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What may be printed at once after a silence, in seconds of the rate.
const BURST_SECONDS: f64 = 10.0;
/// A line counts once for each of these that it begins.
const LINE_BYTES: usize = 1024;
/// How often the operator is told of dropped lines.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The lines of one generation.
#[derive(Debug, Default)]
pub struct Lines {
    bucket: Mutex<Bucket>,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Bucket {
    /// Lines that were written, less what has run off since.
    filled: f64,
    at: Option<Instant>,
    /// Dropped since the operator was told last.
    untold: u64,
}

impl Bucket {
    fn takes(&mut self, bytes: usize, per_second: usize, now: Instant) -> bool {
        let rate = per_second as f64;
        let passed = self.at.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.filled = (self.filled - passed.as_secs_f64() * rate).max(0.0);
        let cost = (1 + bytes / LINE_BYTES) as f64;
        // A line that is longer than all that may be printed at once has its turn after a silence.
        let takes = self.filled == 0.0 || self.filled + cost <= rate * BURST_SECONDS;
        if takes {
            self.filled += cost;
        }
        takes
    }
}

impl Lines {
    /// Lines that were not written, since the generation was made.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Whether a line of so many bytes is written. Where it is not, the operator is told within a second.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize, per_second: usize, app: &Arc<str>) -> bool {
        let mut bucket = self.bucket();
        if bucket.takes(bytes, per_second, Instant::now()) {
            return true;
        }
        self.dropped.fetch_add(1, Ordering::Relaxed);
        bucket.untold += 1;
        let first = bucket.untold == 1;
        drop(bucket);
        if first {
            let (lines, app) = (self.clone(), app.clone());
            // Where there is no runtime any more, nobody reads the log either.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move {
                    tokio::time::sleep(TELL_EVERY).await;
                    lines.tell(per_second, &app);
                });
            }
        }
        false
    }

    fn tell(&self, per_second: usize, app: &str) {
        let lines = std::mem::take(&mut self.bucket().untold);
        tracing::warn!(
            app,
            lines,
            "{lines} lines of the app were dropped: it prints more than {per_second} a second (`limits.log-lines`)"
        );
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut bucket = Bucket::default();
        let begun = Instant::now();
        let mut written = |bytes: usize, after: f64| {
            let now = begun + Duration::from_secs_f64(after);
            (0..1_000).filter(|_| bucket.takes(bytes, 10, now)).count()
        };
        assert_eq!(written(20, 0.0), 100);
        assert_eq!(written(20, 0.0), 0);
        assert_eq!(written(20, 1.0), 10);
        assert_eq!(written(20, 100.0), 100);
        assert_eq!(written(1024, 101.0), 5, "a line of more than a KiB counts twice");
        assert_eq!(written(1 << 20, 200.0), 1, "the longest has its turn");
    }
}
