//! Turns requests away while a generation does nothing but crash, so that it does not wear the house out: growing pauses,
//! after each of which one request is let in to see how it goes.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// Crashes one after the other, with no answer between them, from which on requests are turned away.
const CRASHES: u32 = 20;
/// The first pause, which doubles with each attempt that crashes.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Within which an attempt has to show how it goes, before another is let in.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Closed while it crashes again and again.
#[derive(Debug)]
pub(super) struct Throttle {
    /// Crashes since the last answer.
    crashes: AtomicU32,
    closed: AtomicBool,
    pause: Mutex<Pause>,
}

#[derive(Debug)]
struct Pause {
    until: Instant,
    length: Duration,
    attempt: Option<Instant>,
}

impl Default for Throttle {
    fn default() -> Self {
        let pause = Pause { until: Instant::now(), length: PAUSE_MIN, attempt: None };
        Self { crashes: AtomicU32::new(0), closed: AtomicBool::new(false), pause: Mutex::new(pause) }
    }
}

impl Throttle {
    fn pause(&self) -> MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request may come in.
    ///
    /// # Errors
    /// The time until another attempt makes sense.
    pub(super) fn admit(&self) -> Result<(), Duration> {
        if !self.closed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let now = Instant::now();
        let mut pause = self.pause();
        if now < pause.until {
            return Err(pause.until - now);
        }
        if let Some(left) = pause.attempt.and_then(|begun| (begun + ATTEMPT).checked_duration_since(now)) {
            return Err(left);
        }
        pause.attempt = Some(now);
        Ok(())
    }

    /// How long requests are still turned away; `None` where they are let in.
    pub(super) fn closed(&self) -> Option<Duration> {
        self.closed
            .load(Ordering::Relaxed)
            .then(|| self.pause().until.saturating_duration_since(Instant::now()))
    }

    /// Another crash. Tells the pause that begins with it, if one does.
    pub(super) fn crashed(&self) -> Option<Duration> {
        let crashes = self.crashes.fetch_add(1, Ordering::Relaxed) + 1;
        let now = Instant::now();
        if self.closed.load(Ordering::Relaxed) {
            let mut pause = self.pause();
            // Requests that were in already when the pause began do not make it longer.
            if now < pause.until {
                return None;
            }
            let length = (pause.length * 2).min(PAUSE_MAX);
            *pause = Pause { until: now + length, length, attempt: None };
            Some(length)
        } else if crashes >= CRASHES {
            *self.pause() = Pause { until: now + PAUSE_MIN, length: PAUSE_MIN, attempt: None };
            self.closed.store(true, Ordering::Relaxed);
            Some(PAUSE_MIN)
        } else {
            None
        }
    }

    pub(super) fn answered(&self) {
        if self.crashes.load(Ordering::Relaxed) > 0 {
            self.crashes.store(0, Ordering::Relaxed);
            self.closed.store(false, Ordering::Relaxed);
        }
    }
}
