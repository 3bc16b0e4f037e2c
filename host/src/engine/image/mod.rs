//! Images: an app's memory after its initialisation, from which instances start.
//!
//! An image is a component again: the app's own, with the memories and globals that it had when its exported
//! `initialize` had returned (`wasmtime-wizer` makes it). It is taken and compiled in a child process of this same
//! binary ([`run_child`]), like all compiling, and kept in the cache like compiled code, under a key made of all that
//! shapes it ([`Initial::key`]).

mod host;
mod take;

use std::{collections::BTreeMap, fs, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use wasmtime::component::Component;

use super::{cache::ComponentDigest, compile};
use crate::{
    instance::{Identity, Output},
    plan::Dir,
    secrets::Secrets,
    settings::Settings,
    threads,
};

/// The interface by which an app is initialised (wit/settings.wit).
pub const EXPORT: &str = "guesthouse:settings/snapshot@0.1.0";
/// Counted up where the same component would give another image.
const VERSION: u32 = 2;
/// The hidden command under which this binary takes one image.
pub const CHILD_COMMAND: &str = "take-image";

/// Whether a component can be initialised.
pub fn exported(component: &Component) -> bool {
    component.get_export_index(None, EXPORT).is_some()
}

/// What an app finds when it is initialised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Initial {
    pub settings: Arc<Settings>,
    /// Without their values, which nothing that is written down has.
    pub secrets: Secrets,
    pub env: BTreeMap<String, String>,
    /// Guest path to host directory: what the C library remembers of them has to hold in every instance.
    pub dirs: BTreeMap<String, Dir>,
    pub memory_bytes: usize,
    /// How long it may take: wall time, without compiling.
    pub within: Duration,
}

impl Initial {
    /// What the image of this component is kept under: a digest of all that shapes it. The limits do not, but for
    /// whether there is one.
    pub(super) fn key(&self, component: &ComponentDigest) -> ComponentDigest {
        let dirs: Vec<_> = self.dirs.iter().map(|(path, dir)| (path, dir.write)).collect();
        let secrets: Vec<_> = self.secrets.names().collect();
        let parts = ("image", VERSION, component, &self.settings, secrets, &self.env, dirs);
        // Maps with texts as keys, and texts and numbers in them, always have a JSON form.
        ComponentDigest::of_bytes(&serde_json::to_vec(&parts).unwrap_or_default())
    }
}

/// All that the child is told, on its standard input: settings are nobody else's business.
#[derive(Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) component: PathBuf,
    /// What messages call the component.
    pub(super) name: String,
    pub(super) digest: ComponentDigest,
    pub(super) initial: Initial,
    /// Where the compiled image goes, or the reason why there is none.
    pub(super) image: PathBuf,
    pub(super) functions: FunctionsFile,
}

/// Functions of the component that were compiled for another image of it.
#[derive(Serialize, Deserialize)]
pub(super) enum FunctionsFile {
    Known(PathBuf),
    /// There are none yet: they go here.
    Wanted(PathBuf),
}

/// What the functions of a component are kept under.
pub(super) fn functions_key(component: &ComponentDigest) -> ComponentDigest {
    ComponentDigest::of_bytes(format!("functions of {component}").as_bytes())
}

/// What those images of a component are kept under that have little in common with each other, and with them what the others
/// have in common with one of them. Other keys of settings can move all that comes after them in memory.
pub(super) fn base_keys(component: &ComponentDigest) -> [ComponentDigest; 4] {
    [0, 1, 2, 3]
        .map(|number| ComponentDigest::of_bytes(format!("images of {component}, {number}").as_bytes()))
}

/// Takes an image in a child process and compiles it. What the guest prints meanwhile is logged as that of `app`.
///
/// # Errors
/// Why no image could be taken.
pub(super) async fn child(job: &Job, identity: Identity, serving: bool) -> Result<()> {
    let mut command = compile::command(serving)?;
    command.arg(CHILD_COMMAND).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        threads::spawn_anywhere(&mut command).context("starting the child that takes the image")?;
    let told = serde_json::to_vec(job)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&told).await.context("telling the child what to initialise")?;
    }
    let identity = Arc::new(identity);
    let stdout = pass_on(child.stdout.take(), Output::new("stdout", identity.clone()));
    let stderr = pass_on(child.stderr.take(), Output::new("stderr", identity));
    let (status, (), ()) = tokio::join!(child.wait(), stdout, stderr);
    let status = status.context("waiting for the child that takes the image")?;
    if status.success() {
        return Ok(());
    }
    let why = fs::read(&job.image).unwrap_or_default();
    if why.is_empty() {
        bail!("the process that took the image ended with {status} (out of memory?)");
    }
    bail!("{}", String::from_utf8_lossy(&why))
}

/// Logs what a guest prints.
async fn pass_on(from: Option<impl AsyncRead + Unpin>, to: Output) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 16 * 1024];
    // A pipe that breaks is at its end.
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        to.write_bytes(buffer.get(..read).unwrap_or_default());
    }
}

/// What the child does. False where no image could be taken: the reason stands in the image's place then.
///
/// # Errors
/// When it was not told what to do, or cannot tell what came of it.
pub fn run_child() -> Result<bool> {
    threads::be_nice();
    let job: Job = serde_json::from_reader(std::io::stdin()).context("reading what to initialise")?;
    let (made, contents) = match take::taken(&job) {
        Ok(compiled) => (true, compiled),
        Err(why) => (false, format!("{why:#}").into_bytes()),
    };
    fs::write(&job.image, contents).with_context(|| format!("writing {}", job.image.display()))?;
    Ok(made)
}
