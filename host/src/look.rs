//! Polls whose `Pending` has to mean that there is nothing.
//!
//! Beside that, tokio's leaves are pending when the task has done enough for one turn (`tokio::task::coop`). A task that
//! was woken by the one before it goes on with what that one has left, so that this may come at any poll, the first too.
//! For whoever waits it makes no difference; whoever concludes something from it has to look with [`look`].

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll},
};

use tokio::task::coop::unconstrained;

/// Polls regardless of how much the task has done in this turn.
pub(crate) fn look<T>(cx: &mut Context<'_>, poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    pin!(unconstrained(poll_fn(poll))).poll(cx)
}
