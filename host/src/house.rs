//! The house: an immutable picture of all apps, from which every request is served whole.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Result;
use tokio_util::task::TaskTracker;

use crate::{
    engine::{
        Engine,
        cache::{Cache, ComponentDigest},
        compile::{self, Wanted},
    },
    generation::Generation,
    plan::{App, Plan},
    report::{Problem, Report},
};

/// All apps in their present generations.
pub struct House {
    pub plan: Plan,
    /// In the order of the plan's apps.
    pub generations: Vec<Arc<Generation>>,
    /// Counts requests that instances are busy with.
    pub busy: TaskTracker,
    requests: AtomicU64,
}

/// Components that cannot be used, each with its place in the manifest.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub Report);

impl House {
    /// Compiles (or finds in the cache), checks and links every app's component.
    ///
    /// # Errors
    /// [`Unfit`] with every component that is missing, no component, or not one for this host; another error where the
    /// compile cache cannot be used.
    pub async fn build(plan: Plan, engine: &Arc<Engine>) -> Result<Self> {
        let cache = Arc::new(Cache::open(&plan.cache_dir, engine.inner())?);
        let mut report = Report::default();
        let digests = digests(&plan, &mut report);
        let mut wanted: BTreeMap<ComponentDigest, Wanted> = BTreeMap::new();
        for (app, digest) in plan.apps.iter().zip(&digests) {
            let Some(digest) = digest else { continue };
            let new = || Wanted { path: app.component.clone(), apps: Vec::new() };
            wanted.entry(digest.clone()).or_insert_with(new).apps.push(app.name.to_string());
        }
        let compiled = compile::ensure(&cache, &wanted).await;
        let mut linked = BTreeMap::new();
        for (digest, entry) in compiled {
            let pre = entry.and_then(|entry| engine.link(&engine.load(&entry)?));
            linked.insert(digest, pre);
        }
        let mut generations = Vec::new();
        for (app, digest) in plan.apps.iter().zip(&digests) {
            match digest.as_ref().and_then(|digest| linked.get(digest)) {
                Some(Ok(pre)) => generations.push(Arc::new(Generation::new(app, 1, engine, pre))),
                Some(Err(error)) => report.push(unfit(app, &format!("{error:#}"))),
                None => {}
            }
        }
        if report.has_errors() {
            return Err(Unfit(report).into());
        }
        Ok(Self { plan, generations, busy: TaskTracker::new(), requests: AtomicU64::new(0) })
    }

    /// The number of the next request, from 1.
    pub fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Lets idle instances go.
    pub fn close(&self) {
        self.generations.iter().for_each(|generation| generation.close());
        self.busy.close();
    }
}

/// The digest of each app's component; a file that several apps use is read once.
fn digests(plan: &Plan, report: &mut Report) -> Vec<Option<ComponentDigest>> {
    let mut read: BTreeMap<&Path, Option<ComponentDigest>> = BTreeMap::new();
    plan.apps
        .iter()
        .map(|app| read.entry(&app.component).or_insert_with(|| digest(app, report)).clone())
        .collect()
}

fn digest(app: &App, report: &mut Report) -> Option<ComponentDigest> {
    match ComponentDigest::of_file(&app.component) {
        Ok(digest) => Some(digest),
        Err(error) => {
            let problem = match app.source {
                Some(_) if !app.component.exists() => {
                    Problem::error(format!("the component of `{}` is not built yet", app.name))
                        .help(format!("build it: guesthouse build {}", app.name))
                }
                _ => Problem::error(format!("the component of `{}` cannot be read: {error:#}", app.name)),
            };
            report.push(problem.at(app.place.clone(), ""));
            None
        }
    }
}

fn unfit(app: &App, why: &str) -> Problem {
    Problem::error(format!("the component of `{}` cannot be used: {why}", app.name)).at(app.place.clone(), "")
}
