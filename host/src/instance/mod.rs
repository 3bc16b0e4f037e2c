//! Instances: isolated run-time copies of an app, from their birth to their end.
//!
//! A [`Job`] goes to a [`Pool`], which hands it to a worker: a task that owns one store with one instance and calls
//! into the guest, once (`isolation = "request"`) or many times (`"reuse"`). Dispatch keeps the other end of the
//! exchange and may cancel it at any time. Nothing here knows of hostnames, connections or other apps.

mod body;
mod clocks;
mod command;
mod control;
mod exchange;
mod files;
mod guest;
mod hashing;
mod keyvalue;
mod lane;
mod limiter;
mod locks;
mod outgoing;
mod output;
mod pool;
mod worker;

pub use body::{Body, BodyError};
pub use command::{Command, NoCommands, run};
pub use exchange::{Exchange, Failure, Job, Occupied, exchange};
pub use guest::{Guest, Identity, Printing, Template};
pub(crate) use hashing::{Hashing, HashingView, add_to_linker as add_hashing};
pub(crate) use keyvalue::add_resources as add_keyvalue_resources;
pub use keyvalue::{Bucket, Cas, Trouble};
pub use lane::Lane;
pub(crate) use limiter::Limiter;
pub use locks::Turns;
pub(crate) use output::Output;
pub use pool::{Policy, Pool};

/// Puts what is checked or counted in the place of wasmtime's own.
pub(crate) fn add_to_linker(
    linker: &mut wasmtime::component::Linker<Guest>,
    concurrent: bool,
) -> wasmtime::Result<()> {
    outgoing::add_to_linker(linker, concurrent)?;
    files::add_to_linker(linker, concurrent)?;
    keyvalue::add_to_linker(linker)
}
