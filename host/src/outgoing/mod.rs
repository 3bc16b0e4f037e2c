//! Outgoing traffic of apps, as far as it has nothing to do with wasm: what a granted name may lead to, how much of it there
//! is, and what the operator is told of it. How guests come by it is `instance::outgoing`.

mod networks;
mod refusals;
mod resolve;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Semaphore;

pub(crate) use self::{
    refusals::Refusals,
    resolve::{LookupError, resolve},
};
use crate::taken::{Slot, Taken};

/// Look-ups of one app at once: each holds a thread for as long as the system's resolver takes.
const LOOKUPS: usize = 8;

/// The outgoing traffic of one generation.
#[derive(Debug)]
pub struct Usage {
    open: Taken,
    refused: AtomicU64,
    pub(crate) refusals: Refusals,
    lookups: Arc<Semaphore>,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            open: Taken::default(),
            refused: AtomicU64::new(0),
            refusals: Refusals::default(),
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
        }
    }
}

impl Usage {
    /// Requests, sockets and look-ups at this moment.
    pub fn open(&self) -> usize {
        self.open.count()
    }

    /// Calls that were refused, for want of a grant or over a limit.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn count_refusal(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A place for a request, a socket or a look-up; none where `max` are taken.
    pub(crate) fn take(&self, max: usize) -> Option<Slot> {
        self.open.take(1, max)
    }
}
