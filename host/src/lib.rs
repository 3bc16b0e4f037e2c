//! Guesthouse: a WebAssembly component host. One process, many guest web apps.
//!
//! The way of the data is one way: `manifest` (text) → `plan` (checked) → `engine` (compiled) → `generation` (one app's
//! version) → `house` (all of them) → `router` → `dispatch` → `instance`. `server` sees only `dispatch`; nothing
//! imports `server` or `cli` but `main`. See ARCHITECTURE.md.

pub mod admin;
pub mod alarm;
pub mod answer;
mod bindings;
pub mod build;
mod canary;
pub mod cli;
pub mod demo;
mod dev;
pub mod dispatch;
pub mod engine;
pub mod exec;
pub mod forwarded;
pub mod generation;
pub mod house;
pub mod init;
pub mod instance;
mod keyvalue;
mod listener;
pub mod log;
mod look;
pub mod manifest;
pub mod new;
pub mod notices;
pub mod outgoing;
pub mod plan;
pub mod reload;
pub mod report;
pub mod router;
pub mod secrets;
pub mod server;
pub mod settings;
pub mod state;
pub mod statics;
mod taken;
pub mod terminal;
mod threads;
mod turns;
mod watching;
