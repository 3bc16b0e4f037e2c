//! The house: an immutable picture of all apps, from which every request is served whole. A change makes another house
//! and puts it in this one's place.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use tokio_util::task::TaskTracker;

use crate::{
    canary::Canary,
    generation::Generation,
    notices::Notices,
    plan::{self, Target},
    router::Table,
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
    /// Lets idle instances go.
    pub fn close(&self) {
        for generation in self.apps.iter().flat_map(Tenant::generations) {
            generation.close();
        }
        self.counters.busy.close();
    }
}
