//! Compilation of components, each in a child process at low priority.
//!
//! Compiling a large component takes many seconds of all cores and leaves hundreds of megabytes in the allocator. A
//! child gives both back: the serving process neither grows nor stalls. The child is this same binary under a hidden
//! command ([`run_child`]), so that its engine configuration is the same.

use std::{fs, path::Path, process::Stdio};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::{cache::ComponentDigest, config};
use crate::threads;

/// The hidden command under which this binary compiles one component.
pub const CHILD_COMMAND: &str = "compile-component";

/// Compiles the component of this digest, which messages call `name`, in a child process.
///
/// # Errors
/// What [`run_child`] says, or how the child ended.
pub(super) async fn child(
    component: &Path,
    name: &str,
    digest: &ComponentDigest,
    compiled: &Path,
    serving: bool,
) -> Result<()> {
    let mut command = command(serving)?;
    command
        .arg(CHILD_COMMAND)
        .arg(component)
        .arg(name)
        .arg(digest.to_string())
        .arg(compiled)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = threads::spawn_anywhere(&mut command).context("starting the compiler")?;
    let output = child.wait_with_output().await.context("waiting for the compiler")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().trim_start_matches("error: ");
    if said.is_empty() {
        bail!("compiling {name} ended with {} (out of memory?)", output.status);
    }
    bail!("{said}")
}

/// A command of this binary that compiles. While requests are served it leaves cores to them.
pub(super) fn command(serving: bool) -> Result<Command> {
    let binary = std::env::current_exe().context("finding this binary, to start the compiler")?;
    let mut command = Command::new(binary);
    if serving {
        command.env("RAYON_NUM_THREADS", (threads::cores() / 2).max(1).to_string());
    }
    command.env_remove("RUST_BACKTRACE").kill_on_drop(true);
    Ok(command)
}

/// The bytes of the component of this digest, which messages call `name`.
///
/// # Errors
/// When the file is no component, with what it is instead and how to mend it; or when it changed in the meantime.
pub(super) fn read(component: &Path, name: &str, digest: &ComponentDigest) -> Result<Vec<u8>> {
    let bytes = fs::read(component).with_context(|| format!("reading {}", component.display()))?;
    if ComponentDigest::of_bytes(&bytes) != *digest {
        bail!("{name} changed while it was read: put it in place by renaming it");
    }
    check_magic(&bytes, name)?;
    Ok(bytes)
}

/// What the child does: compiles `component`, which messages call `name`, if it is the one of this digest, into `compiled`.
///
/// # Errors
/// What [`read`] says, or what is wrong with its code.
pub fn run_child(component: &Path, name: &str, digest: &str, compiled: &Path) -> Result<()> {
    threads::be_nice();
    let bytes = read(component, name, &digest.parse()?)?;
    let code = config::precompile(&bytes, name)?;
    fs::write(compiled, code).with_context(|| format!("writing {}", compiled.display()))
}

/// Tells a component from a core module and from anything else by its first eight bytes (component model,
/// `Binary.md`: `\0asm`, version 13, layer 1).
fn check_magic(bytes: &[u8], name: &str) -> Result<()> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => bail!(
            "{name} is a core wasm module, not a component: build it for wasm32-wasip2, or wrap it with `wasm-tools \
             component new`"
        ),
        Some([b'\0', b'a', b's', b'm', ..]) => {
            bail!("{name} is a wasm file of an unknown version: build it with current tools")
        }
        _ => bail!("{name} is not a wasm file: name the built component (`.wasm`)"),
    }
}
