//! The clocks of guests: they show whole microseconds.
//!
//! That is as fine as a log line or a time-out can want it, and too coarse to tell what lies in a processor's cache from what
//! does not, by which one guest could find out about another. The monotonic clock begins with the instance, and so tells
//! nothing of the machine. A guest can still count for itself how long something takes; this makes it harder, not impossible.

use std::time::{Duration, Instant, SystemTime};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

const RESOLUTION_NS: u64 = 1_000;

/// The time of day.
pub(super) struct Wall;

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(RESOLUTION_NS)
    }

    fn now(&self) -> Duration {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now - Duration::from_nanos(u64::from(now.subsec_nanos()) % RESOLUTION_NS)
    }
}

/// The time since it was made.
pub(super) struct Monotonic(Instant);

impl Monotonic {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        RESOLUTION_NS
    }

    fn now(&self) -> u64 {
        let now = u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX);
        now - now % RESOLUTION_NS
    }
}
