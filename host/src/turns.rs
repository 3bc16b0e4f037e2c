//! Turns: what many want at once they do one after the other, at a rate that leaves the threads that serve time for all else.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

#[derive(Debug)]
pub(crate) struct Turns {
    /// From one turn to the next.
    pause: Duration,
    next: Mutex<Instant>,
}

impl Turns {
    pub(crate) fn new(pause: Duration) -> Self {
        Self { pause, next: Mutex::new(Instant::now()) }
    }

    /// When the next turn is, which is nobody else's. It is now where nobody waits.
    pub(crate) fn take(&self) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = Instant::now().max(*next);
        *next = turn + self.pause;
        turn
    }

    /// Waits for the next turn.
    pub(crate) async fn wait(&self) {
        let turn = self.take();
        if turn > Instant::now() {
            sleep_until(turn).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn many_who_want_it_at_once_have_it_one_after_the_other() {
        let (pause, count) = (Duration::from_millis(1), 20);
        let turns = Turns::new(pause);
        let begun = Instant::now();
        join_all((0..count).map(|_| turns.wait())).await;
        assert!(begun.elapsed() >= pause * (count - 1), "{:?}", begun.elapsed());
    }
}
