//! The house: an immutable picture of all apps, from which every request is served whole.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};
use tokio_util::task::TaskTracker;

use crate::{
    engine::{
        Engine,
        cache::{Cache, ComponentDigest},
        compile::{self, Wanted},
    },
    generation::Generation,
    plan::Plan,
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

impl House {
    /// Compiles (or finds in the cache), checks and links every app's component.
    ///
    /// # Errors
    /// The first component that is missing, no component, or not one for this host.
    pub async fn build(plan: Plan, engine: &Arc<Engine>) -> Result<Self> {
        let cache = Cache::open(&plan.cache_dir, engine.inner())?;
        let mut digests: BTreeMap<PathBuf, ComponentDigest> = BTreeMap::new();
        let mut wanted: BTreeMap<ComponentDigest, Wanted> = BTreeMap::new();
        for app in &plan.apps {
            let digest = match digests.get(&app.component) {
                Some(digest) => digest.clone(),
                None => ComponentDigest::of_file(&app.component).with_context(|| hint_missing(app))?,
            };
            digests.insert(app.component.clone(), digest.clone());
            let wanted = wanted
                .entry(digest)
                .or_insert_with(|| Wanted { path: app.component.clone(), apps: Vec::new() });
            wanted.apps.push(app.name.to_string());
        }
        let entries = compile::ensure(&cache, &wanted).await?;
        let mut linked = BTreeMap::new();
        for (digest, wanted) in &wanted {
            let entry = entries.get(digest).context("a component was not compiled")?;
            let component = engine.load(entry)?;
            let pre = engine
                .link(&component, &wanted.path)
                .with_context(|| format!("app {}", wanted.apps.join(", ")))?;
            linked.insert(digest, pre);
        }
        let mut generations = Vec::new();
        for app in &plan.apps {
            let digest = digests.get(&app.component).context("a component was not read")?;
            let pre = linked.get(digest).context("a component was not linked")?;
            generations.push(Arc::new(Generation::new(app, 1, engine, pre)));
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

fn hint_missing(app: &crate::plan::App) -> String {
    match app.source {
        Some(_) => format!("app {}: its component is not built yet: run `guesthouse build {}`", app.name, app.name),
        None => format!("app {}", app.name),
    }
}
