//! `wasmtime serve` as it comes, with the one option that a guest in Rust cannot do without: what the standard library
//! imports of `wasi:cli`.

use std::{path::Path, process::Command};

use anyhow::Result;

use super::{START_PATIENCE, Server};

/// Serves a component with the `wasmtime` binary.
pub fn wasmtime(binary: &Path, component: &Path) -> Result<Server> {
    let mut command = Command::new(binary);
    command.args(["serve", "-Scli", "--addr", "127.0.0.1:0"]).arg(component);
    Server::start("wasmtime serve", command, "Serving HTTP on http://", START_PATIENCE, |_| {})
}
