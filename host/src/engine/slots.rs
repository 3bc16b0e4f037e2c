//! Room for instances that all apps share, less what is kept for each of them.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::config;

/// Instances of each generation that do not count against what all share: an app that takes all of that leaves room for the
/// others to serve.
const OWN: usize = 2;

/// The slots that instances share, whichever app they are of.
#[derive(Debug)]
pub struct Slots(Arc<Semaphore>);

/// What a generation has beside them.
#[derive(Debug)]
pub(crate) struct Own {
    places: Arc<Semaphore>,
    /// Who waits for room. The first of these alone waits for what all share, so that generations have it in turns, however
    /// many of their requests wait.
    line: Mutex<()>,
}

/// Room for one instance; dropped, it is free.
pub(crate) type Room = OwnedSemaphorePermit;

impl Default for Slots {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(config::SLOTS_SHARED)))
    }
}

impl Default for Own {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(OWN)), line: Mutex::default() }
    }
}

impl Slots {
    /// Room for an instance that takes so many `slots`: among the generation's `own` instances, or among those of all. None
    /// where both are full.
    pub(crate) fn take(&self, own: &Own, slots: u32) -> Option<Room> {
        let place = own.places.clone().try_acquire_owned();
        place.or_else(|_| self.0.clone().try_acquire_many_owned(slots)).ok()
    }

    /// Waits for it: the requests of a generation in the order in which they came, generations by turns.
    pub(crate) async fn wait(&self, own: &Own, slots: u32) -> Option<Room> {
        let _first = own.line.lock().await;
        let room = tokio::select! {
            biased;
            place = own.places.clone().acquire_owned() => place,
            room = self.0.clone().acquire_many_owned(slots) => room,
        };
        // Neither is ever closed.
        room.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, future::BoxFuture};

    use super::*;

    #[test]
    fn who_takes_all_leaves_the_others_their_own() {
        let (slots, hog, other) = (Slots::default(), Own::default(), Own::default());
        let taken: Vec<Room> = std::iter::from_fn(|| slots.take(&hog, 16)).collect();
        assert_eq!(taken.len(), OWN + config::SLOTS_SHARED / 16);
        let others: Vec<Room> = std::iter::from_fn(|| slots.take(&other, 16)).collect();
        assert_eq!(others.len(), OWN);
        drop(taken);
        assert!(slots.take(&other, 1).is_some());
    }

    /// Those of the waiting, by name, that have room now.
    fn found(waiting: &mut Vec<(&'static str, BoxFuture<'_, Option<Room>>)>) -> Vec<(&'static str, Room)> {
        let mut found = Vec::new();
        // Who has room lets the next one of its line in, which may be any.
        loop {
            let before = found.len();
            waiting.retain_mut(|(name, wait)| match wait.as_mut().now_or_never() {
                Some(room) => {
                    found.push((*name, room.unwrap()));
                    false
                }
                None => true,
            });
            if found.len() == before {
                return found;
            }
        }
    }

    #[test]
    fn who_waits_has_room_in_turns_and_the_first_of_its_line_first() {
        let (slots, hog, other) = (Slots::default(), Own::default(), Own::default());
        let own: Vec<Room> = std::iter::from_fn(|| slots.take(&other, 1)).take(OWN).collect();
        let mut taken: Vec<Room> = std::iter::from_fn(|| slots.take(&hog, 16)).collect();
        // What 16 does not divide.
        let rest: Vec<Room> = std::iter::from_fn(|| slots.take(&other, 1)).collect();

        let mut waiting: Vec<_> =
            ["hog 1", "hog 2", "hog 3"].map(|name| (name, slots.wait(&hog, 16).boxed())).into();
        waiting.extend(["other 1", "other 2"].map(|name| (name, slots.wait(&other, 1).boxed())));
        assert!(found(&mut waiting).is_empty());
        // Who leaves the line is passed over.
        waiting.retain(|(name, _)| *name != "hog 1");
        assert!(found(&mut waiting).is_empty());

        let mut order = Vec::new();
        let mut held = Vec::new();
        for _ in 0..3 {
            taken.pop();
            for (name, room) in found(&mut waiting) {
                order.push(name);
                held.push(room);
            }
        }
        assert_eq!(
            order,
            ["other 1", "hog 2", "other 2", "hog 3"],
            "by turns, and nothing is lost to who left"
        );
        drop((own, rest, held));
    }
}
