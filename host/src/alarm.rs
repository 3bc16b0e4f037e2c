//! A timer for deadlines that move with every request and are seldom reached.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// One timer that is used again and again. Setting a timer takes the runtime's lock, twice with its removal; a deadline
/// that only moves further away costs nothing here: the old one rings, and the timer is set anew then.
#[derive(Default)]
pub struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Resolves once `deadline` has come.
    pub async fn until(&mut self, deadline: Instant) {
        poll_fn(|cx| self.poll(deadline, cx)).await;
    }

    /// As [`Alarm::until`], to be polled.
    pub fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}
