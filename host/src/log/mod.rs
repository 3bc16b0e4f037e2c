//! Log lines: to standard output, as text or as JSON, one flat object each; the latest of them are kept for the admin
//! interface ([`Tail`]).
//!
//! Lines are written by a thread of their own, so that a slow reader of the log does not hold requests up.

mod line;
mod queue;
mod tail;

use std::{io::IsTerminal, sync::Arc};

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{
    EnvFilter, Layer, fmt::time::UtcTime, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::plan::LogFormat;

pub use line::Line;
pub use tail::{Follower, LINES_KEPT_MAX, Tail};

/// The target of access lines.
pub(crate) const ACCESS: &str = "access";

/// Logging that goes on. What is still to be written is written when it is dropped.
pub struct Logging {
    room: Arc<queue::Room>,
    _guard: WorkerGuard,
}

impl Logging {
    /// Says in the log, from now on and as long as it is polled, how many lines were dropped.
    pub fn tell_of_dropped(&self) -> impl Future<Output = ()> + Send + use<> {
        let room = self.room.clone();
        async move { room.tell().await }
    }
}

/// Starts logging of a process that serves nobody: on standard error, without times, what goes wrong and what takes long.
pub fn start_beside() {
    let filter = EnvFilter::try_from_env("GUESTHOUSE_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,guesthouse::engine=info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .with_ansi(colour);
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

/// Starts logging.
///
/// `GUESTHOUSE_LOG` (syntax of `tracing_subscriber::EnvFilter`, such as `info,access=off` or `debug`) chooses lines,
/// those that are written and those that the tail keeps alike.
pub fn start(format: LogFormat) -> (Logging, Tail) {
    let (writer, room, guard) = queue::Queue::new();
    let filter = EnvFilter::try_from_env("GUESTHOUSE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_timer(UtcTime::rfc_3339())
        .with_target(false);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(colour).boxed()
        }
    };
    let tail = Tail::default();
    // A subscriber that is there already (a second house in one process) is as good.
    let _ = tracing_subscriber::registry().with(filter).with(lines).with(tail.clone()).try_init();
    (Logging { room, _guard: guard }, tail)
}
