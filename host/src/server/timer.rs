//! hyper's timers, made of the house's own: hyper sets one anew with every request on a connection.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::{Sleep, Timer};

use crate::alarm::Alarm;

/// Makes hyper's timers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alarms;

struct Waiting {
    deadline: Instant,
    alarm: Alarm,
}

impl Timer for Alarms {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Waiting { deadline, alarm: Alarm::default() })
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        if let Some(mut waiting) = sleep.as_mut().downcast_mut_pin::<Waiting>() {
            waiting.deadline = deadline;
        }
    }
}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline.into();
        self.alarm.poll(deadline, cx)
    }
}

impl Sleep for Waiting {}
