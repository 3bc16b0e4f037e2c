//! What an app was refused, told to the operator: a line for each target, and not one for each call.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a target that has had its line is only counted.
const PAUSE: Duration = Duration::from_secs(60);
/// Targets that are told apart; all further ones are one target together.
const TARGETS: usize = 64;
/// Bytes of a target that are looked at and logged: a guest chooses it.
const TARGET_BYTES: usize = 300;

/// The refusals of one app.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<String, Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    since: u64,
}

impl Refusals {
    /// Logs that `what` was refused, unless this was said of the same just now.
    pub(crate) fn tell(&self, app: &str, what: &str, target: impl fmt::Display, help: impl fmt::Display) {
        let mut target = target.to_string();
        target.truncate(target.floor_char_boundary(TARGET_BYTES));
        self.say(app, &format!("refused {what} {target}"), help);
    }

    /// Logs something that went wrong, unless this was said of the same just now.
    pub(crate) fn say(&self, app: &str, what: &str, why: impl fmt::Display) {
        let Some(before) = self.due(what.to_owned(), Instant::now()) else { return };
        match before {
            0 => tracing::warn!(app, "{what}: {why}"),
            _ => tracing::warn!(app, "{what}: {why} (and {before} times since it was said last)"),
        }
    }

    /// Whether a line is due; then with the number of refusals since the last one.
    fn due(&self, target: String, now: Instant) -> Option<u64> {
        let mut targets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let young = |told: &Told| now.duration_since(told.at) < PAUSE;
        let mut key = target;
        if targets.len() >= TARGETS && !targets.contains_key(&key) {
            targets.retain(|_, told| young(told));
            if targets.len() >= TARGETS {
                key = String::new();
            }
        }
        match targets.entry(key) {
            Entry::Vacant(new) => {
                new.insert(Told { at: now, since: 0 });
                Some(0)
            }
            Entry::Occupied(told) if young(told.get()) => {
                told.into_mut().since += 1;
                None
            }
            Entry::Occupied(told) => {
                Some(std::mem::replace(told.into_mut(), Told { at: now, since: 0 }).since)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_one_line_a_minute_with_the_count_of_the_others() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let due =
            |target: &str, after: u64| refusals.due(target.to_owned(), now + Duration::from_secs(after));
        assert_eq!(due("a", 0), Some(0));
        assert_eq!(due("b", 1), Some(0));
        assert_eq!((due("a", 1), due("a", 59)), (None, None));
        assert_eq!(due("a", 60), Some(2));
        assert_eq!(due("a", 61), None);
        assert_eq!(due("a", 121), Some(1));
    }

    #[test]
    fn targets_without_end_take_no_more_memory_and_no_more_lines() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let lines = (0..10_000).filter(|n| refusals.due(format!("host-{n}"), now).is_some()).count();
        assert_eq!(lines, TARGETS + 1);
        assert_eq!(refusals.0.lock().unwrap().len(), TARGETS + 1);
        assert_eq!(refusals.due("later".to_owned(), now + PAUSE), Some(0));
    }
}
