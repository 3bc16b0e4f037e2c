//! Runs a command of an app: one instance that serves no requests, whose standard input and outputs are the process's own.
//!
//! The command is the component's `wasi:cli/run` (0.2 or 0.3). It has the app's settings, grants and memory limit, and takes
//! what time it wants.

use std::sync::Arc;

use anyhow::Result;
use wasmtime::Store;
use wasmtime_wasi::{I32Exit, p2::bindings::CommandPre as Pre2, p3::bindings::CommandPre as Pre3};
use wasmtime_wasi_http::handler::ProxyPre;

use super::{
    control::Control,
    guest::{Guest, Template},
    worker::describe,
};
use crate::terminal::Terminal;

/// What is to be run, and where.
#[derive(Debug)]
pub struct Command {
    /// The first is the name of the app.
    pub args: Vec<String>,
    pub terminal: Terminal,
}

/// The component has no `wasi:cli/run`.
#[derive(Debug, thiserror::Error)]
#[error("the component exports no wasi:cli/run")]
pub struct NoCommands;

/// Runs the command of a template to its end. Answers its exit status.
///
/// # Errors
/// [`NoCommands`]; or why the instance could not be started, or what ended it.
pub async fn run(template: &Arc<Template>) -> Result<u8> {
    let control = Arc::new(Control::new());
    let pre = template.linked.pre()?;
    let mut store = template.store(pre, &control, template.room(&control).await?)?;
    let instance = match pre {
        ProxyPre::P2(pre) => pre.instance_pre().clone(),
        ProxyPre::P3(pre) => pre.instance_pre().clone(),
    };
    let ended = if let Ok(command) = Pre2::new(instance.clone()) {
        control.meter(run_p2(&mut store, &command)).await
    } else if let Ok(command) = Pre3::new(instance) {
        control.meter(run_p3(&mut store, &command)).await
    } else {
        return Err(NoCommands.into());
    };
    match ended {
        Ok(Ok(())) => Ok(0),
        Ok(Err(())) => Ok(1),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            // As a shell sees the status of a process.
            Some(I32Exit(status)) => Ok((status & 0xff).try_into().unwrap_or(u8::MAX)),
            None => anyhow::bail!("{} trapped: {}", template.app, describe(&error, store.data(), template)),
        },
    }
}

async fn run_p2(store: &mut Store<Guest>, command: &Pre2<Guest>) -> wasmtime::Result<Result<(), ()>> {
    let command = command.instantiate_async(&mut *store).await?;
    command.wasi_cli_run().call_run(store).await
}

async fn run_p3(store: &mut Store<Guest>, command: &Pre3<Guest>) -> wasmtime::Result<Result<(), ()>> {
    let command = command.instantiate_async(&mut *store).await?;
    store.run_concurrent(async |store| command.wasi_cli_run().call_run(store).await).await?
}
