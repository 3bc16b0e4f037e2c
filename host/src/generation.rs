//! A generation: one version of one app, made whole before any request sees it.
//!
//! It holds the app's component, settings, grants and limits in the form that instances are made from, and admits
//! requests to them. It lives until its last request drops it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::handler::ProxyPre;

use crate::{
    engine::Engine,
    instance::{Failure, Guest, Policy, Pool, Template},
    plan,
};

/// One version of one app.
pub struct Generation {
    pub app: plan::App,
    pub number: u64,
    /// One pool for each distinct settings object among the app's routes.
    pools: Vec<Arc<Pool>>,
    /// For each route of the app, the index of its pool.
    route_pools: Vec<usize>,
    admission: Admission,
}

impl Generation {
    /// Makes the generation from its linked component.
    pub fn new(app: &plan::App, number: u64, engine: &Arc<Engine>, pre: &ProxyPre<Guest>) -> Self {
        let policy = policy(&app.instances, pre);
        let mut pools: Vec<Arc<Pool>> = Vec::new();
        let mut route_pools = Vec::new();
        for route in &app.routes {
            let known = pools.iter().position(|pool| Arc::ptr_eq(&pool.template().settings, &route.settings));
            route_pools.push(known.unwrap_or(pools.len()));
            if known.is_none() {
                let template = Template {
                    app: app.name.clone(),
                    generation: number,
                    engine: engine.clone(),
                    pre: clone_pre(pre),
                    settings: route.settings.clone(),
                    limits: app.limits.clone(),
                    grants: app.grants.clone(),
                };
                pools.push(Pool::new(Arc::new(template), policy));
            }
        }
        Self { app: app.clone(), number, pools, route_pools, admission: Admission::new(&app.limits) }
    }

    /// Where requests of this route are served.
    pub fn pool(&self, route: usize) -> Option<&Arc<Pool>> {
        self.pools.get(*self.route_pools.get(route)?)
    }

    /// Waits for one of the app's places.
    ///
    /// # Errors
    /// [`Failure::QueueFull`] at once, [`Failure::QueueTimeout`] after `queue-ms`.
    pub async fn admit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.admission.admit().await
    }

    /// Lets idle instances go.
    pub fn close(&self) {
        self.pools.iter().for_each(|pool| pool.close());
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.close();
    }
}

/// A 0.2 instance serves one request at a time, whatever the manifest says; a 0.3 instance is made to serve many.
fn policy(instances: &plan::Instances, pre: &ProxyPre<Guest>) -> Policy {
    let (isolation, concurrency) = match pre {
        ProxyPre::P2(_) => (plan::Isolation::Request, 1),
        ProxyPre::P3(_) => (plan::Isolation::Reuse, instances.concurrency),
    };
    Policy {
        isolation: instances.isolation.unwrap_or(isolation),
        reuse_max: instances.reuse_max,
        concurrency,
        idle: instances.idle,
    }
}

fn clone_pre(pre: &ProxyPre<Guest>) -> ProxyPre<Guest> {
    match pre {
        ProxyPre::P2(pre) => ProxyPre::P2(pre.clone()),
        ProxyPre::P3(pre) => ProxyPre::P3(pre.clone()),
    }
}

/// Places for requests and a bounded queue before them, served in the order of arrival.
struct Admission {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    wait_max: Duration,
}

impl Admission {
    fn new(limits: &plan::Limits) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.concurrent)),
            waiting: AtomicUsize::new(0),
            queue: limits.queue,
            wait_max: limits.queue_wait,
        }
    }

    async fn admit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        if let Ok(permit) = self.places.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::join(&self.waiting, self.queue).ok_or(Failure::QueueFull(self.queue))?;
        match tokio::time::timeout(self.wait_max, self.places.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Failure::QueueTimeout(self.wait_max)),
        }
    }
}

/// One waiting request; leaves the queue when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let join = |now: usize| (now < max).then_some(now + 1);
        waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, join).ok().map(|_| Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
