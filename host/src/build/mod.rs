//! `guesthouse build`: makes the components of a plan from their sources, with the ordinary tools of their languages.
//!
//! The way of a job is: unchanged since the last time (nothing runs), else made before from the same things (copied
//! from the cache), else built. It knows nothing of wasm but the first eight bytes, and nothing of serving.

mod debian;
mod depinfo;
pub(crate) mod embedded;
mod excerpt;
mod inputs;
mod interpreter;
mod job;
mod js;
mod progress;
mod python;
mod rust;
mod shell;
pub(crate) mod sources;
mod store;
mod tool;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::{
    inputs::Inputs,
    job::{Builder, Job},
    store::Store,
};
use crate::plan::{App, Plan};

pub use self::progress::Progress;

/// What became of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub app: Arc<str>,
    pub how: How,
    /// Size of the component.
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The component is the one that is there already.
    UpToDate,
    /// It was built before from the same sources, and copied from the cache.
    Cached,
    /// It was built, in this time. Apps that were built together have the time of all.
    Built(Duration),
}

/// Why a build did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An app was asked for that the manifest does not have, or that it does not say how to build.
    #[error("{0}")]
    NothingToBuild(String),
    /// The other apps were built.
    #[error("{}", join(.0))]
    Failed(Vec<Failure>),
    /// SIGINT, SIGTERM or SIGHUP; the number of the signal. The tools were ended.
    #[error("the build was interrupted")]
    Interrupted(i32),
    /// The cache cannot be used.
    #[error("{0:#}")]
    Cache(anyhow::Error),
}

/// One component that could not be built.
#[derive(Debug)]
pub struct Failure {
    /// The apps that it was to be for.
    pub apps: Vec<Arc<str>>,
    pub error: anyhow::Error,
}

/// A component that a tool has made, not yet taken over.
#[derive(Debug)]
struct Made {
    component: PathBuf,
    /// Its name in the cache.
    key: String,
    inputs: Inputs,
    /// A source that changed meanwhile: the component may be of before or of after.
    changed: Option<PathBuf>,
    /// Holds the component until it is taken over, unless it lies in a tool's own folder.
    scratch: Option<tempfile::TempDir>,
}

/// Builds what the plan's apps, or those named, are made from, and puts each component where the plan wants it.
///
/// Apps without a source are passed over unless they are named. What can be built is built even if something else
/// fails. While tools run, SIGINT, SIGTERM and SIGHUP end them and the build, with [`Error::Interrupted`]; the handlers
/// that this takes stay for the life of the process, so a caller that goes on afterwards must listen for itself.
/// Dropping the future kills the tools. Reading sources and copying components blocks the thread.
///
/// # Errors
/// See [`Error`]; the texts say what to install or to change.
pub async fn build(
    plan: &Plan,
    apps: Option<&[String]>,
    cache_dir: &Path,
    progress: &Progress,
) -> Result<Vec<Outcome>, Error> {
    let folder = plan.manifest.parent().unwrap_or(Path::new("/"));
    let jobs = Job::of(select(plan, apps)?);
    let store = Store::open(cache_dir).map_err(Error::Cache)?;
    let stop = CancellationToken::new();
    let builder = Builder { store: &store, progress, folder, stop: &stop };
    let (mut outcomes, stale) = builder.settle(jobs);
    if !stale.is_empty() {
        outcomes.extend(build_stale(&builder, stale).await?);
    }
    let place = |outcome: &Outcome| plan.apps.iter().position(|app| app.name == outcome.app);
    outcomes.sort_by_key(place);
    Ok(outcomes)
}

async fn build_stale(builder: &Builder<'_>, jobs: Vec<Job<'_>>) -> Result<Vec<Outcome>, Error> {
    let mut signals = Signals::new().map_err(|error| Error::Cache(error.into()))?;
    let lock = tokio::select! {
        lock = builder.store.lock(builder.progress) => lock.map_err(Error::Cache)?,
        number = signals.next() => return Err(Error::Interrupted(number)),
    };
    // The one that held the lock may have built the same.
    let (mut outcomes, stale) = builder.settle(jobs);
    let work = builder.build(stale);
    tokio::pin!(work);
    let (built, failures) = tokio::select! {
        done = &mut work => done,
        number = signals.next() => {
            builder.stop.cancel();
            work.await;
            return Err(Error::Interrupted(number));
        }
    };
    outcomes.extend(built);
    if !failures.is_empty() {
        return Err(Error::Failed(failures));
    }
    // The next one clears away what this one cannot.
    let _later = builder.store.prune();
    drop(lock);
    Ok(outcomes)
}

fn select<'a>(plan: &'a Plan, names: Option<&[String]>) -> Result<Vec<&'a App>, Error> {
    let Some(names) = names else {
        return Ok(plan.apps.iter().filter(|app| app.source.is_some()).collect());
    };
    let manifest = plan.manifest.display();
    for name in names {
        let known = plan.apps.iter().find(|app| *app.name == **name);
        let help = match known {
            Some(app) if app.source.is_some() => continue,
            Some(_) => format!("`{name}` has nothing to build from\nhelp: give it a `source` in {manifest}"),
            None => no_app(plan, name),
        };
        return Err(Error::NothingToBuild(help));
    }
    Ok(plan.apps.iter().filter(|app| names.iter().any(|name| **name == *app.name)).collect())
}

/// What is to be said where a plan has no app of this name.
pub(crate) fn no_app(plan: &Plan, name: &str) -> String {
    let manifest = plan.manifest.display();
    match nearest(plan, name) {
        Some(near) => format!("there is no app `{name}` in {manifest}\nhelp: did you mean `{near}`?"),
        None => format!("there is no app `{name}` in {manifest}"),
    }
}

fn nearest<'a>(plan: &'a Plan, name: &str) -> Option<&'a str> {
    let near = plan.apps.iter().map(|app| (strsim::damerau_levenshtein(&app.name, name), &*app.name));
    near.filter(|(distance, _)| *distance <= 2).min().map(|(_, name)| name)
}

/// The signals that end a program.
struct Signals([(Signal, SignalKind); 3]);

impl Signals {
    fn new() -> std::io::Result<Signals> {
        let listen = |kind| Ok::<_, std::io::Error>((signal(kind)?, kind));
        Ok(Signals([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        let Signals([(interrupt, int), (terminate, term), (hangup, hup)]) = self;
        let kind = tokio::select! {
            _ = interrupt.recv() => int,
            _ = terminate.recv() => term,
            _ = hangup.recv() => hup,
        };
        kind.as_raw_value()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot build {}: {:#}", job::label(&self.apps), self.error)
    }
}

/// Each after the first begins like the first one does when it is printed.
fn join(failures: &[Failure]) -> String {
    failures.iter().map(Failure::to_string).collect::<Vec<_>>().join("\nerror: ")
}
