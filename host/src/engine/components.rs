//! Components in the form that instances are made from, by their digest: compiled, loaded and linked once, however many
//! apps and generations use them, and gone with the last of these.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::handler::ProxyPre;

use super::{
    Engine,
    cache::{Cache, ComponentDigest, Entry, Lookup},
    compile,
};
use crate::instance::Guest;

/// Components that are compiled at a time: one alone leaves cores idle while it is parsed and written.
const COMPILING_MAX: usize = 2;

/// A component, linked with what the house offers.
pub struct Linked {
    pub digest: ComponentDigest,
    pub pre: ProxyPre<Guest>,
}

/// One component that has to be at hand.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub digest: ComponentDigest,
    /// Where its bytes are; not needed where its compiled code is in the cache.
    pub path: Option<PathBuf>,
    /// What messages call it: the file that the operator named.
    pub name: String,
    /// Names of the apps that use it, for messages.
    pub apps: String,
    /// Whether requests are being served, which compilation is not to disturb.
    pub serving: bool,
}

/// All components of a process.
pub struct Components {
    engine: Arc<Engine>,
    cache: Arc<Cache>,
    compiling: Semaphore,
    known: Mutex<HashMap<ComponentDigest, Known>>,
}

/// What is known of one digest. The lock is held while it is brought in, so that it is brought in once.
#[derive(Default, Clone)]
struct Known {
    linked: Weak<Linked>,
    bringing: Arc<tokio::sync::Mutex<()>>,
}

impl Components {
    pub fn new(engine: Arc<Engine>, cache: Cache) -> Self {
        Self {
            engine,
            cache: Arc::new(cache),
            compiling: Semaphore::new(COMPILING_MAX),
            known: Mutex::default(),
        }
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ComponentDigest, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A component that something uses at this moment.
    pub fn in_use(&self, digest: &ComponentDigest) -> Option<Arc<Linked>> {
        self.known().get(digest)?.linked.upgrade()
    }

    /// Brings a component in: from those in use, from the cache, or by compiling it. Tells how long it was compiled.
    ///
    /// # Errors
    /// What is wrong with it and how to mend it: no component, not one for this host, or its bytes are not to be had.
    pub async fn get(&self, wanted: &Wanted) -> Result<(Arc<Linked>, Option<Duration>)> {
        if let Some(linked) = self.in_use(&wanted.digest) {
            return Ok((linked, None));
        }
        let bringing = self.known().entry(wanted.digest.clone()).or_default().bringing.clone();
        let _bringing = bringing.lock().await;
        if let Some(linked) = self.in_use(&wanted.digest) {
            return Ok((linked, None));
        }
        let (entry, compiled) = self.entry(wanted).await?;
        let (engine, digest) = (self.engine.clone(), wanted.digest.clone());
        // Maps and relocates the whole of the code.
        let linked = tokio::task::spawn_blocking(move || {
            let pre = engine.link(&engine.load(&entry)?)?;
            anyhow::Ok(Arc::new(Linked { digest, pre }))
        })
        .await??;
        let mut known = self.known();
        known.retain(|_, known| known.linked.strong_count() > 0 || Arc::strong_count(&known.bringing) > 1);
        known.entry(wanted.digest.clone()).or_default().linked = Arc::downgrade(&linked);
        Ok((linked, compiled))
    }

    async fn entry(&self, wanted: &Wanted) -> Result<(Entry, Option<Duration>)> {
        let Wanted { digest, path, name, apps, serving } = wanted;
        let lookup = {
            let (cache, digest) = (self.cache.clone(), digest.clone());
            tokio::task::spawn_blocking(move || cache.get(&digest)).await?
        };
        match lookup {
            Lookup::Found(entry) => {
                tracing::debug!(apps, component = name, "compiled code found in the cache");
                return Ok((entry, None));
            }
            Lookup::Absent => {}
            Lookup::Rejected(reason) => {
                tracing::warn!(
                    apps,
                    component = name,
                    "cached code is not trusted, {reason}: compiling anew"
                );
            }
        }
        let path =
            path.as_ref().context("its bytes are not in the store any more: swap it in from its file")?;
        let _place = self.compiling.acquire().await?;
        let megabytes = std::fs::metadata(path).map_or(0.0, |meta| meta.len() as f64 / 1e6);
        tracing::info!(apps, component = name, "compiling ({megabytes:.1} MB)");
        let start = Instant::now();
        let compiled = self.cache.scratch()?;
        compile::child(path, name, digest, compiled.path(), *serving).await?;
        let entry = {
            let (cache, digest) = (self.cache.clone(), digest.clone());
            tokio::task::spawn_blocking(move || cache.put(&digest, compiled)).await??
        };
        let took = start.elapsed();
        tracing::info!(apps, component = name, "compiled in {:.1} s", took.as_secs_f64());
        Ok((entry, Some(took)))
    }
}
