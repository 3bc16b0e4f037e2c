//! Components in the form that instances are made from, by their digest: compiled, loaded and linked once, however many
//! apps and generations use them, and gone with the last of these.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::handler::ProxyPre;

use super::{
    Engine,
    cache::{Cache, ComponentDigest, Entry, Lookup},
    compile,
    image::{self, FunctionsFile, Initial},
};
use crate::{
    instance::{Guest, Identity, Printing},
    threads,
};

/// Components that are compiled at a time: one alone leaves cores idle while it is parsed and written.
const COMPILING_MAX: usize = 2;

/// Compiled code up to this size is loaded when the first request wants it, in about a millisecond: of many small apps,
/// those that nobody asks for cost next to nothing. What is larger stands ready.
const LATE_BYTES_MAX: usize = 1 << 20;

/// A component or an image of one, linked with what the house offers.
pub struct Linked {
    pub digest: ComponentDigest,
    /// It is for WASI 0.3.
    pub concurrent: bool,
    /// It can be initialised for an image.
    pub initialises: bool,
    /// The slots that each instance takes.
    pub slots: u32,
    pre: OnceLock<ProxyPre<Guest>>,
    /// Where `pre` comes from when it is wanted.
    source: Source,
}

/// Compiled code in the cache.
struct Source {
    engine: Arc<Engine>,
    cache: Arc<Cache>,
    key: ComponentDigest,
    loading: Mutex<()>,
}

impl Linked {
    /// Loads and links compiled code, to see whether that can be done. What is small is let go again until it is wanted.
    fn new(digest: ComponentDigest, entry: &Entry, source: Source) -> Result<Self> {
        let component = source.engine.load(entry)?;
        let pre = source.engine.link(&component)?;
        let linked = Self {
            digest,
            concurrent: matches!(pre, ProxyPre::P3(_)),
            initialises: image::exported(&component),
            slots: Engine::slots_of(&component)?,
            pre: OnceLock::new(),
            source,
        };
        if entry.bytes() > LATE_BYTES_MAX {
            let _ = linked.pre.set(pre);
        }
        Ok(linked)
    }

    /// What instances are made from.
    ///
    /// # Errors
    /// When the code has to be loaded, and is not in the cache any more or was changed there.
    pub fn pre(&self) -> Result<&ProxyPre<Guest>> {
        if let Some(pre) = self.pre.get() {
            return Ok(pre);
        }
        let Source { engine, cache, key, loading } = &self.source;
        let _loading = loading.lock().unwrap_or_else(PoisonError::into_inner);
        if self.pre.get().is_none() {
            let Lookup::Found(entry) = cache.get(key) else {
                bail!("its compiled code is not in the cache any more: restart the house, which compiles it");
            };
            let _ = self.pre.set(engine.link(&engine.load(&entry)?)?);
        }
        self.pre.get().context("its code was not kept")
    }
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
    /// Its image, and not the component itself.
    pub image: Option<WantedImage>,
}

/// An image that has to be at hand.
#[derive(Debug, Clone)]
pub struct WantedImage {
    pub initial: Initial,
    /// The generation that it is taken for, for log lines.
    pub generation: u64,
}

impl Wanted {
    /// What it is known and kept under.
    fn key(&self) -> ComponentDigest {
        match &self.image {
            Some(image) => image.initial.key(&self.digest),
            None => self.digest.clone(),
        }
    }
}

/// All components of a process.
pub struct Components {
    engine: Arc<Engine>,
    cache: Arc<Cache>,
    compiling: Semaphore,
    /// Places for what takes a core.
    working: Semaphore,
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
            working: Semaphore::new(threads::cores()),
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

    /// Brings a component or an image in: from those in use, from the cache, or by compiling it. Tells how long that
    /// took.
    ///
    /// # Errors
    /// What is wrong with it and how to mend it: no component, not one for this host, or its bytes are not to be had; or
    /// why no image can be taken.
    pub async fn get(&self, wanted: &Wanted) -> Result<(Arc<Linked>, Option<Duration>)> {
        let key = wanted.key();
        if let Some(linked) = self.in_use(&key) {
            return Ok((linked, None));
        }
        let bringing = self.known().entry(key.clone()).or_default().bringing.clone();
        let _bringing = bringing.lock().await;
        if let Some(linked) = self.in_use(&key) {
            return Ok((linked, None));
        }
        let (entry, compiled) = self.entry(wanted, &key).await?;
        let digest = wanted.digest.clone();
        let source = Source {
            engine: self.engine.clone(),
            cache: self.cache.clone(),
            key: key.clone(),
            loading: Mutex::default(),
        };
        // Maps and relocates the whole of the code.
        let linked = self.work(move || Linked::new(digest, &entry, source).map(Arc::new)).await??;
        let mut known = self.known();
        known.retain(|_, known| known.linked.strong_count() > 0 || Arc::strong_count(&known.bringing) > 1);
        known.entry(key).or_default().linked = Arc::downgrade(&linked);
        Ok((linked, compiled))
    }

    /// Runs what takes a core for a while on a thread of its own: no more at once than there are cores, since what each
    /// thread has freed stays its own for a while. A thousand apps brought in by thirty threads left 40 KiB each.
    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _place = self.working.acquire().await?;
        Ok(tokio::task::spawn_blocking(work).await?)
    }

    async fn entry(&self, wanted: &Wanted, key: &ComponentDigest) -> Result<(Entry, Option<Duration>)> {
        let Wanted { path, name, apps, .. } = wanted;
        let lookup = {
            let (cache, key) = (self.cache.clone(), key.clone());
            self.work(move || cache.get(&key)).await?
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
        let start = Instant::now();
        let compiled = self.cache.scratch()?;
        self.make(wanted, path, compiled.path()).await?;
        let entry = {
            let (cache, key) = (self.cache.clone(), key.clone());
            let bases = wanted.image.as_ref().map(|_| image::base_keys(&wanted.digest));
            let put = move || match bases {
                Some(bases) => cache.put_over(&bases, &key, compiled),
                None => cache.put(&key, compiled),
            };
            self.work(put).await??
        };
        let took = start.elapsed();
        let done = if wanted.image.is_some() { "image taken" } else { "compiled" };
        tracing::info!(apps, component = name, "{done} in {:.1} s", took.as_secs_f64());
        Ok((entry, Some(took)))
    }

    /// Compiles the component at `path`, or takes its image, into `compiled`.
    async fn make(&self, wanted: &Wanted, path: &Path, compiled: &Path) -> Result<()> {
        let Wanted { digest, name, apps, serving, image, .. } = wanted;
        let megabytes = std::fs::metadata(path).map_or(0.0, |meta| meta.len() as f64 / 1e6);
        let doing = if image.is_some() { "taking an image" } else { "compiling" };
        tracing::info!(apps, component = name, "{doing} ({megabytes:.1} MB)");
        match image {
            Some(image) => self.take_image(wanted, image, path, compiled).await,
            None => compile::child(path, name, digest, compiled, *serving).await,
        }
    }

    async fn take_image(
        &self,
        wanted: &Wanted,
        image: &WantedImage,
        path: &Path,
        compiled: &Path,
    ) -> Result<()> {
        let key = image::functions_key(&wanted.digest);
        // The first image of a component compiles its functions for the others, which wait for that.
        let first = self.known().entry(key.clone()).or_default().bringing.clone();
        let first = first.lock().await;
        let scratch = self.cache.scratch()?;
        let known = {
            let (cache, key) = (self.cache.clone(), key.clone());
            self.work(move || cache.get(&key)).await?
        };
        let (functions, first) = match known {
            Lookup::Found(entry) => (FunctionsFile::Known(entry.path().to_owned()), None),
            Lookup::Absent | Lookup::Rejected(_) => {
                (FunctionsFile::Wanted(scratch.path().to_owned()), Some(first))
            }
        };
        let job = image::Job {
            component: path.to_owned(),
            name: wanted.name.clone(),
            digest: wanted.digest.clone(),
            initial: image.initial.clone(),
            image: compiled.to_owned(),
            functions,
        };
        let identity = Identity::new(wanted.apps.as_str().into(), image.generation, Printing::default());
        image::child(&job, identity, wanted.serving).await?;
        if first.is_some() {
            let cache = self.cache.clone();
            self.work(move || cache.put(&key, scratch)).await??;
        }
        Ok(())
    }
}
