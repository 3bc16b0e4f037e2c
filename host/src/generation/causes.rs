//! What failed or was refused, counted by cause: one word for each, as in the log.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// The counts of one generation.
#[derive(Debug, Default)]
pub(crate) struct Causes(Mutex<BTreeMap<&'static str, u64>>);

impl Causes {
    pub(crate) fn count(&self, cause: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(cause).or_default() += 1;
    }

    pub(crate) fn all(&self) -> BTreeMap<String, u64> {
        let causes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        causes.iter().map(|(cause, count)| ((*cause).to_owned(), *count)).collect()
    }
}
