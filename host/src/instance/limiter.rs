//! The memory limit of one instance, over all its memories and tables together, and of all instances of its generation.
//!
//! wasmtime asks before each growth, the first allocation included. A refusal is what the guest sees as a failed
//! `memory.grow`; what it does about that is its own affair, mostly a trap, so the refusal is remembered for the log.

use std::sync::Arc;

use wasmtime::{ResourceLimiter, Result};

use super::guest::Template;

/// Bytes that one table element occupies in the host.
const TABLE_ELEMENT_BYTES: usize = size_of::<usize>();
/// What an instance takes of the memory of all at a time, so that many small tables are counted at once.
const SHARE_BYTES: usize = 64 * 1024;

/// Counts bytes of memories and tables against the limit of the instance and that of all.
pub(crate) struct Limiter {
    limit_bytes: usize,
    used_bytes: usize,
    /// The growth that was allowed last and has not been reported as failed.
    pending_bytes: usize,
    refused: bool,
    /// None where there are no others.
    share: Option<Share>,
}

/// What an instance has of the memory of all; given back with it.
struct Share {
    template: Arc<Template>,
    bytes: usize,
    refused: bool,
}

impl Share {
    /// Sees to it that the instance has so many bytes.
    fn reach(&mut self, bytes: usize) -> bool {
        if bytes <= self.bytes {
            return true;
        }
        let more = bytes.saturating_sub(self.bytes).next_multiple_of(SHARE_BYTES);
        let Template { app, stats, limits, .. } = &*self.template;
        if stats.memory.take(more, limits.app_memory_bytes) {
            self.bytes += more;
            return true;
        }
        self.refused = true;
        let mib = limits.app_memory_bytes >> 20;
        stats.refusals.tell(
            app,
            "more memory",
            "to an instance",
            format_args!(
                "the instances of the app would have more than {mib} MiB together (`limits.app-memory-mib`)"
            ),
        );
        false
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.template.stats.memory.give_back(self.bytes);
    }
}

impl Limiter {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, used_bytes: 0, pending_bytes: 0, refused: false, share: None }
    }

    /// For one of many instances.
    pub(super) fn of(template: Arc<Template>) -> Self {
        let limit_bytes = template.limits.memory_bytes;
        Self { share: Some(Share { template, bytes: 0, refused: false }), ..Self::new(limit_bytes) }
    }

    /// Whether a growth was refused since the instance began.
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    /// Whether one was refused for what all instances have together.
    pub(super) fn share_refused(&self) -> bool {
        self.share.as_ref().is_some_and(|share| share.refused)
    }

    /// What the instance may still have for itself alone.
    pub(crate) fn left(&self) -> usize {
        self.limit_bytes.saturating_sub(self.used_bytes)
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let more = desired.saturating_sub(current);
        let total = self.used_bytes.saturating_add(more);
        if total > self.limit_bytes {
            self.refused = true;
            return false;
        }
        if self.share.as_mut().is_some_and(|share| !share.reach(total)) {
            return false;
        }
        self.used_bytes = total;
        self.pending_bytes = more;
        true
    }

    fn undo(&mut self) {
        self.used_bytes = self.used_bytes.saturating_sub(std::mem::take(&mut self.pending_bytes));
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            // The module's own maximum stops it: no limit of ours was met, and nothing will be allocated.
            return Ok(false);
        }
        Ok(self.grow(current, desired))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> Result<()> {
        self.undo();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let bytes = |elements: usize| elements.saturating_mul(TABLE_ELEMENT_BYTES);
        Ok(self.grow(bytes(current), bytes(desired)))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> Result<()> {
        self.undo();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_summed_and_failures_given_back() {
        let mut limiter = Limiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap(), "a second memory counts with the first");
        assert!(limiter.refused());
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        limiter.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert!(limiter.table_growing(0, 5, None).unwrap(), "40 bytes fit after the failure was given back");
        assert!(!limiter.table_growing(5, 6, None).unwrap());
    }
}
