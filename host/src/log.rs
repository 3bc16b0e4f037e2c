//! Log lines: to standard output, as text or as JSON, one flat object each.
//!
//! Lines are written by a thread of their own, so that a slow reader of the log does not hold requests up; where it
//! falls far behind, requests wait rather than lines being lost.

use std::io::IsTerminal;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt::time::UtcTime};

use crate::plan::LogFormat;

/// Lines that may wait to be written.
const LINES_MAX: usize = 16 * 1024;

/// Starts logging. What is still to be written is written when the guard is dropped.
///
/// `GUESTHOUSE_LOG` (syntax of `tracing_subscriber::EnvFilter`, such as `info,access=off` or `debug`) chooses lines.
pub fn start(format: LogFormat) -> WorkerGuard {
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(false).buffered_lines_limit(LINES_MAX).finish(std::io::stdout());
    let filter = EnvFilter::try_from_env("GUESTHOUSE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_timer(UtcTime::rfc_3339());
    // A subscriber that is there already (a second house in one process) is as good.
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).with_target(false).try_init().map_err(drop),
        LogFormat::Text => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colour).with_target(false).try_init().map_err(drop)
        }
    };
    guard
}
