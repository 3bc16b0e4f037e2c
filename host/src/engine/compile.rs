//! Compilation of components, each in a child process at low priority.
//!
//! Compiling a large component takes many seconds of all cores and leaves hundreds of megabytes in the allocator. A
//! child gives both back: the serving process neither grows nor stalls. The child is this same binary under a hidden
//! command ([`run_child`]), so that its engine configuration is the same.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use tokio::process::Command;

use super::cache::{Cache, ComponentDigest, Entry, Lookup};

/// The hidden command under which this binary compiles one component.
pub const CHILD_COMMAND: &str = "compile-component";

/// One component that has to be at hand in compiled form.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub path: PathBuf,
    /// Names of the apps that use it, for messages.
    pub apps: Vec<String>,
}

/// Brings all components into the cache: for each digest its entry, or why it cannot be compiled.
///
/// Two components are handled at once: one alone leaves cores idle while it is parsed and written.
pub async fn ensure(
    cache: &Arc<Cache>,
    wanted: &BTreeMap<ComponentDigest, Wanted>,
) -> BTreeMap<ComponentDigest, Result<Entry>> {
    futures::stream::iter(wanted)
        .map(|(digest, wanted)| async move { (digest.clone(), one(cache, digest, wanted).await) })
        .buffer_unordered(2)
        .collect()
        .await
}

async fn one(cache: &Arc<Cache>, digest: &ComponentDigest, wanted: &Wanted) -> Result<Entry> {
    let apps = wanted.apps.join(", ");
    let lookup = {
        let (cache, digest) = (cache.clone(), digest.clone());
        tokio::task::spawn_blocking(move || cache.get(&digest)).await?
    };
    match lookup {
        Lookup::Found(entry) => {
            tracing::debug!(apps, component = %wanted.path.display(), "compiled code found in the cache");
            return Ok(entry);
        }
        Lookup::Absent => {}
        Lookup::Rejected(reason) => {
            tracing::warn!(apps, component = %wanted.path.display(), "cached code is not trusted, {reason}: compiling anew");
        }
    }
    let megabytes = fs::metadata(&wanted.path).map_or(0.0, |meta| meta.len() as f64 / 1e6);
    tracing::info!(apps, component = %wanted.path.display(), "compiling ({megabytes:.1} MB)");
    let start = Instant::now();
    let compiled = cache.scratch()?;
    child(&wanted.path, compiled.path()).await?;
    let entry = cache.put(digest, compiled)?;
    tracing::info!(apps, component = %wanted.path.display(), "compiled in {:.1} s", start.elapsed().as_secs_f64());
    Ok(entry)
}

async fn child(component: &Path, compiled: &Path) -> Result<()> {
    let binary = std::env::current_exe().context("finding this binary, to start the compiler")?;
    let output = Command::new(binary)
        .arg(CHILD_COMMAND)
        .arg(component)
        .arg(compiled)
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("starting the compiler")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().trim_start_matches("error: ");
    if said.is_empty() {
        bail!("compiling {} ended with {} (out of memory?)", component.display(), output.status);
    }
    bail!("{said}")
}

/// What the child does: compiles `component` into `compiled`.
///
/// # Errors
/// When the file is no component, with what it is instead and how to mend it.
pub fn run_child(component: &Path, compiled: &Path) -> Result<()> {
    // A failure leaves the priority as it was, which is harmless.
    let _ = rustix::process::setpriority_process(None, 10);
    let bytes = fs::read(component).with_context(|| format!("reading {}", component.display()))?;
    check_magic(&bytes, component)?;
    let engine = wasmtime::Engine::new(&super::config()).map_err(anyhow::Error::from)?;
    let code = engine
        .precompile_component(&bytes)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("{} is not a valid component", component.display()))?;
    fs::write(compiled, code).with_context(|| format!("writing {}", compiled.display()))
}

/// Tells a component from a core module and from anything else by its first eight bytes (component model,
/// `Binary.md`: `\0asm`, version 13, layer 1).
fn check_magic(bytes: &[u8], path: &Path) -> Result<()> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => bail!(
            "{} is a core wasm module, not a component: build it for wasm32-wasip2, or wrap it with `wasm-tools \
             component new`",
            path.display()
        ),
        Some([b'\0', b'a', b's', b'm', ..]) => {
            bail!("{} is a wasm file of an unknown version: build it with current tools", path.display())
        }
        _ => bail!("{} is not a wasm file: name the built component (`.wasm`)", path.display()),
    }
}
