//! The house: an immutable picture of all apps, from which every request is served whole. A change makes another house
//! and puts it in this one's place.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use tokio_util::task::TaskTracker;

use crate::{
    canary::Canary,
    generation::Generation,
    notices::Notices,
    plan::{self, Plan, Target},
    router::Table,
    statics::StaticFiles,
};

/// Where the house that serves from now on is found.
pub type Current = Arc<ArcSwap<House>>;

/// All apps in their present generations.
#[derive(Clone)]
pub struct House {
    pub server: Arc<plan::Server>,
    /// Leads to an app by its place in `apps`, and to one of its routes.
    pub routes: Arc<Table<Target>>,
    pub apps: Vec<Tenant>,
    /// The static files of each app, in the order of `apps`: the house's and no generation's, as routes are.
    pub statics: Vec<Arc<StaticFiles>>,
    pub counters: Arc<Counters>,
    /// What is shown in place of apps, where somebody works on them.
    pub notices: Option<Arc<Notices>>,
}

/// One app in the house.
#[derive(Clone)]
pub struct Tenant {
    pub serving: Arc<Generation>,
    /// The generation that serves a part of the clients.
    pub canary: Option<Canary>,
}

impl Tenant {
    /// The generation that serves, and the canary.
    pub fn generations(&self) -> impl Iterator<Item = &Arc<Generation>> {
        let canary = self.canary.as_ref().map(|canary| &canary.generation);
        [&self.serving].into_iter().chain(canary)
    }
}

/// What all houses of a process count together.
#[derive(Debug, Default)]
pub struct Counters {
    /// Counts requests that instances are busy with.
    pub busy: TaskTracker,
    requests: AtomicU64,
}

impl Counters {
    /// The number of the next request, from 1.
    pub fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl House {
    /// The static files of the apps of a plan that are in the house, with the counts of the house before.
    pub fn statics_of(plan: &Plan, apps: &[Tenant], before: &[Arc<StaticFiles>]) -> Vec<Arc<StaticFiles>> {
        let before: HashMap<&str, &Arc<StaticFiles>> =
            before.iter().map(|files| (&**files.app(), files)).collect();
        let planned: HashMap<&str, &plan::App> = plan.apps.iter().map(|app| (&*app.name, app)).collect();
        let files = apps.iter().filter_map(|tenant| {
            let app = planned.get(&*tenant.serving.app)?;
            Some(Arc::new(StaticFiles::new(app, before.get(&*app.name).map(|files| &***files))))
        });
        files.collect()
    }

    /// Lets idle instances go.
    pub fn close(&self) {
        for generation in self.apps.iter().flat_map(Tenant::generations) {
            generation.close();
        }
        self.counters.busy.close();
    }
}
