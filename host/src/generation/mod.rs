//! A generation: one version of one app, made whole before any request sees it.
//!
//! It holds the app's component, settings, grants and limits in the form that instances are made from, and admits
//! requests to them. It lives until its last request drops it.

mod admission;
mod causes;
mod code;
mod latency;
mod lines;
mod memory;
mod quota;
mod recipe;
mod stats;
mod temporary;
mod throttle;

use std::{sync::Arc, time::Duration};

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use self::admission::Admission;
pub use self::{
    code::Code,
    lines::Lines,
    memory::Memory,
    recipe::Recipe,
    stats::{InFlight, Living, Stats, Trial, Unfit},
};
pub(crate) use self::{
    quota::ENTRY_BYTES,
    temporary::{Folder, remove_all as remove_temporary},
};
use crate::{
    engine::Engine,
    instance::{Failure, Policy, Pool, Template},
    keyvalue::{Granted, Stores},
    plan,
    turns::Turns,
};

/// From one refusal of an app to the next, 5,000 a second. Most who are refused ask again at once, and many who wait in line
/// are out of time together: the threads that serve would have nothing else to do.
const REFUSAL_PAUSE: Duration = Duration::from_micros(200);

/// One version of one app.
pub struct Generation {
    pub app: Arc<str>,
    pub number: u64,
    pub recipe: Arc<Recipe>,
    pub code: Code,
    /// The app's routes in the house that this generation serves in.
    pub routes: Vec<plan::Route>,
    pub stats: Arc<Stats>,
    keyvalue: Arc<Granted>,
    /// One pool for each distinct settings object among the app's routes.
    pools: Vec<Arc<Open>>,
    /// For each route, the index of its pool.
    route_pools: Vec<usize>,
    admission: Arc<Admission>,
    refusals: Arc<Turns>,
    /// Cancelled, it ends what still runs: requests that are not done are broken off.
    pub cut: CancellationToken,
}

/// A place for a request, held until it is done.
pub struct Admitted {
    _permit: OwnedSemaphorePermit,
    _in_flight: InFlight,
}

impl Generation {
    /// Makes the generation: nothing of it runs yet.
    pub fn new(
        (app, number): (Arc<str>, u64),
        recipe: Arc<Recipe>,
        code: Code,
        routes: &[plan::Route],
        (stats, stores): (Arc<Stats>, Arc<Stores>),
        engine: &Arc<Engine>,
    ) -> Self {
        let admission = Arc::new(Admission::new(&recipe.limits));
        let keyvalue = Arc::new(Granted::new(stores, &recipe.grants.keyvalue));
        let new = Self {
            app,
            number,
            recipe,
            code,
            routes: Vec::new(),
            stats,
            keyvalue,
            pools: Vec::new(),
            route_pools: Vec::new(),
            admission,
            refusals: Arc::new(Turns::new(REFUSAL_PAUSE)),
            cut: CancellationToken::new(),
        };
        new.with_routes(routes, engine)
    }

    /// The same generation, its instances and its places, under other routes.
    #[must_use]
    pub fn with_routes(&self, routes: &[plan::Route], engine: &Arc<Engine>) -> Self {
        let mut pools: Vec<Arc<Open>> = Vec::new();
        let mut route_pools = Vec::new();
        for route in routes {
            let settings = self.recipe.settings_for(route);
            let same = |open: &Arc<Open>| {
                let own = &open.0.template().settings;
                Arc::ptr_eq(own, settings) || own == settings
            };
            let index = pools.iter().position(same).unwrap_or_else(|| {
                let running = self.pools.iter().find(|open| same(open)).cloned();
                pools.push(running.unwrap_or_else(|| Arc::new(Open(self.pool_of(settings, engine)))));
                pools.len() - 1
            });
            route_pools.push(index);
        }
        Self {
            app: self.app.clone(),
            number: self.number,
            recipe: self.recipe.clone(),
            code: self.code.clone(),
            routes: routes.to_vec(),
            stats: self.stats.clone(),
            keyvalue: self.keyvalue.clone(),
            pools,
            route_pools,
            admission: self.admission.clone(),
            refusals: self.refusals.clone(),
            cut: self.cut.clone(),
        }
    }

    fn pool_of(&self, settings: &Arc<crate::settings::Settings>, engine: &Arc<Engine>) -> Arc<Pool> {
        let template = Template {
            app: self.app.clone(),
            generation: self.number,
            engine: engine.clone(),
            linked: self.code.start(settings).clone(),
            settings: settings.clone(),
            secrets: self.recipe.secrets.clone(),
            limits: self.recipe.limits.clone(),
            grants: self.recipe.grants.clone(),
            keyvalue: self.keyvalue.clone(),
            stats: self.stats.clone(),
            cut: self.cut.clone(),
            command: None,
        };
        Pool::new(Arc::new(template), policy(&self.recipe.instances, self.code.linked.concurrent))
    }

    /// Where requests of this route are served.
    pub fn pool(&self, route: usize) -> Option<&Arc<Pool>> {
        self.pools.get(*self.route_pools.get(route)?).map(|open| &open.0)
    }

    /// Waits for one of the app's places.
    ///
    /// # Errors
    /// [`Failure::QueueFull`] and [`Failure::Throttled`] at once, [`Failure::QueueTimeout`] after `queue-ms`; where there are
    /// many, one after the other.
    pub async fn admit(&self) -> Result<Admitted, Failure> {
        let admitted = async {
            self.stats.admit()?;
            self.admission.admit().await
        };
        match admitted.await {
            Ok(permit) => Ok(Admitted { _permit: permit, _in_flight: self.stats.begin() }),
            Err(refused) => {
                self.refusals.wait().await;
                Err(refused)
            }
        }
    }

    /// Requests that wait for a place.
    pub fn waiting(&self) -> usize {
        self.admission.waiting()
    }

    /// Starts instances before there are requests for them: one under `isolation = "request"`, which shows whether it can
    /// be done, up to `count` where they are reused.
    ///
    /// # Errors
    /// Why an instance cannot be started.
    pub async fn start(&self, count: usize) -> Result<(), Failure> {
        let Some(open) = self.pools.first() else { return Ok(()) };
        open.0.start(count).await
    }

    /// Lets idle instances go.
    pub fn close(&self) {
        self.pools.iter().for_each(|open| open.0.close());
    }
}

/// A pool that lets its idle instances go when no generation has it any more.
struct Open(Arc<Pool>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A 0.2 instance serves one request at a time, whatever the manifest says; a 0.3 instance is made to serve many.
fn policy(instances: &plan::Instances, concurrent: bool) -> Policy {
    let (isolation, concurrency) = match concurrent {
        false => (plan::Isolation::Request, 1),
        true => (plan::Isolation::Reuse, instances.concurrency),
    };
    Policy {
        isolation: instances.isolation.unwrap_or(isolation),
        reuse_max: instances.reuse_max,
        concurrency,
        idle: instances.idle,
    }
}
