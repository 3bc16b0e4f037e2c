//! `guesthouse exec`: a command of an app, until it ends or a signal ends it.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use super::{Ended, runtime};
use crate::{exec, log, plan::Plan};

/// Runs the command; its exit status is an error unless it is 0. A signal ends it, with the status that shells give such.
pub(super) fn exec(plan: &Plan, app: &str, args: Vec<String>) -> Result<()> {
    log::start_beside();
    let runtime = runtime()?;
    let status = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::select! {
            status = exec::exec(plan, app, args) => status,
            _ = interrupt.recv() => Ok(130),
            _ = terminate.recv() => Ok(143),
            _ = hangup.recv() => Ok(129),
        }
    });
    // Whatever reads from the terminal still is left where it is.
    runtime.shutdown_background();
    match status? {
        0 => Ok(()),
        status => Err(Ended(status).into()),
    }
}
