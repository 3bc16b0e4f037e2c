//! When the host, computing within a guest's turn, gives way to others, and when it stops.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use wasmtime::Result;

use super::super::{control::Control, guest::OutOfTime};

/// The pace of one guest.
pub(super) struct Pace {
    /// Its control, and how long it may compute; none where nobody is given way to.
    instance: Option<(Arc<Control>, Duration)>,
}

impl Pace {
    pub(super) fn new(instance: Option<(Arc<Control>, Duration)>) -> Self {
        Self { instance }
    }

    /// # Errors
    /// The end of a guest that has computed for longer than it may.
    pub(super) fn check(&self) -> Result<()> {
        match &self.instance {
            Some((control, limit)) if control.computed() > *limit => Err(OutOfTime.into()),
            _ => Ok(()),
        }
    }

    /// To be called every few microseconds: gives way where the guest has had its slice of time.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(super) async fn step(&mut self) -> Result<()> {
        self.check()?;
        if self.instance.as_ref().is_none_or(|(control, _)| control.yields()) {
            yield_now().await;
        }
        Ok(())
    }

    /// Gives way now, so that what follows is done where guests compute, and not by a thread that serves.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(super) async fn give_way(&mut self) -> Result<()> {
        self.check()?;
        if let Some((control, _)) = &self.instance {
            control.has_it_computed();
        }
        yield_now().await;
        Ok(())
    }
}

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
