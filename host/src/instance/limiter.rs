//! The memory limit of one instance, over all its memories and tables together.
//!
//! wasmtime asks before each growth, the first allocation included. A refusal is what the guest sees as a failed
//! `memory.grow`; what it does about that is its own affair, mostly a trap, so the refusal is remembered for the log.

use wasmtime::{ResourceLimiter, Result};

/// Bytes that one table element occupies in the host.
const TABLE_ELEMENT_BYTES: usize = size_of::<usize>();

/// Counts bytes of memories and tables against one limit.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit_bytes: usize,
    used_bytes: usize,
    /// The growth that was allowed last and has not been reported as failed.
    pending_bytes: usize,
    refused: bool,
}

impl Limiter {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, used_bytes: 0, pending_bytes: 0, refused: false }
    }

    /// Whether a growth was refused since the instance began.
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let more = desired.saturating_sub(current);
        let total = self.used_bytes.saturating_add(more);
        if total > self.limit_bytes {
            self.refused = true;
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
