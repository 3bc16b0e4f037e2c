//! The engine: wasmtime's engines and linkers for the whole house, and the compiled form of components.
//!
//! It knows nothing of apps, routes or requests. Compilation happens in a child process ([`compile`]) so that its
//! memory goes back to the system and the serving threads never run it; compiled code is loaded only from the cache
//! ([`cache`]), which belongs to this user and vouches for each entry.

pub mod cache;
pub mod compile;
mod components;
mod config;
mod delta;
mod functions;
pub mod image;
mod slots;

use std::{
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use wasmtime::component::{Component, Linker};
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::{WasiHttpView, handler::ProxyPre, p2, p3};

use self::config::Concurrency;
pub(crate) use self::slots::{Own, Room};
pub use self::{
    components::{Components, Linked, Wanted, WantedImage},
    slots::Slots,
};
use crate::{
    bindings::{self, SecretsView, SettingsView},
    instance::{self, Guest, HashingView, Lane, Turns},
};

/// Time between two epoch ticks, at which computing guests can be interrupted.
pub const TICK: Duration = Duration::from_millis(2);
/// How long a guest computes before it yields its thread to others, at the next tick.
pub const SLICE: Duration = Duration::from_millis(2);

/// The versions of WASI 0.2 and 0.3 that the linkers have: under another, compatible one, a function is not replaced.
pub(crate) const WASI_0_2: &str = "0.2.12";
pub(crate) const WASI_0_3: &str = "0.3.0";

/// The engines and the thread that advances their epochs.
pub struct Engine {
    /// For components that are not asynchronous.
    sequential: Linking,
    concurrent: Linking,
    _ticker: Ticker,
    pub slots: Slots,
    /// Where guests go on that compute for longer than a slice.
    pub lane: Lane,
    /// Where the host hashes for them in one piece: threads like those, but that none of them waits for.
    pub(crate) hashing: Lane,
    /// Who may have which database.
    pub turns: Turns,
}

/// One of wasmtime's engines, with what it offers to components.
struct Linking {
    engine: wasmtime::Engine,
    linker: Linker<Guest>,
}

impl Linking {
    fn new(concurrency: Concurrency) -> wasmtime::Result<Self> {
        let engine = wasmtime::Engine::new(&config::serving(concurrency))?;
        let mut linker = linker(&engine, concurrency)?;
        instance::add_to_linker(&mut linker, concurrency == Concurrency::On)?;
        Ok(Self { engine, linker })
    }
}

impl Engine {
    pub fn new() -> Result<Self> {
        let sequential = Linking::new(Concurrency::Off).map_err(anyhow::Error::from)?;
        let concurrent = Linking::new(Concurrency::On).map_err(anyhow::Error::from)?;
        let ticker = Ticker::spawn(vec![sequential.engine.clone(), concurrent.engine.clone()])?;
        Ok(Self {
            sequential,
            concurrent,
            _ticker: ticker,
            slots: Slots::default(),
            lane: Lane::default(),
            hashing: Lane::default(),
            turns: Turns::default(),
        })
    }

    /// Feeds all on which compiled code depends: wasmtime's version and the configuration of the engines.
    pub fn hash_compatibility(&self, hasher: &mut impl Hasher) {
        for linking in [&self.sequential, &self.concurrent] {
            linking.engine.precompile_compatibility_hash().hash(hasher);
        }
    }

    /// Loads compiled code that the cache has vouched for.
    pub fn load(&self, compiled: &cache::Entry) -> Result<Component> {
        // SAFETY: `deserialize_pieces` demands that what the pieces are in a row was produced by `precompile_component`
        // and is not changed afterwards. `Entry` exists only for open files whose keyed digests, made by this user's
        // cache when it compiled them, were checked, in a folder that only this user can write. What is made of two
        // files names the one in the other, by its digest, and where to take which of their pages from.
        #[expect(
            unsafe_code,
            reason = "wasmtime loads native code from files only this way; see SAFETY above"
        )]
        let load = |engine| unsafe { Component::deserialize_pieces(engine, compiled.pieces().clone()) };
        // What was compiled for the other engine is told by the file's head, before anything of it is used.
        let loaded = load(&self.sequential.engine).or_else(|first| {
            load(&self.concurrent.engine)
                .map_err(|second| anyhow!("{first:#}; as an asynchronous component: {second:#}"))
        });
        loaded.with_context(|| format!("loading compiled code {}", compiled.path().display()))
    }

    /// The slots that each instance of a component takes.
    ///
    /// # Errors
    /// Where it has more memories than a component may have.
    pub(crate) fn slots_of(component: &Component) -> Result<u32> {
        // What imports modules is not known, and nobody provides them.
        let Some(needs) = component.resources_required() else { return Ok(1) };
        let (memories, max) = (needs.num_memories, config::MEMORIES_MAX);
        ensure!(memories <= max, "it has {memories} memories, and a component may have {max} in this house");
        let tables = needs.num_tables.div_ceil(config::CORES_PER_SLOT);
        Ok(memories.max(tables).max(1))
    }

    /// Checks a component's imports and exports against what the house offers and links them.
    ///
    /// # Errors
    /// Says which import nobody provides, or that no `wasi:http` handler is exported.
    pub fn link(&self, component: &Component) -> Result<ProxyPre<Guest>> {
        let sequential = wasmtime::Engine::same(component.engine(), &self.sequential.engine);
        let linking = if sequential { &self.sequential } else { &self.concurrent };
        let pre = linking.linker.instantiate_pre(component).map_err(anyhow::Error::from).context(
            "it imports what this host does not provide (WASI 0.2 and 0.3, wasi:http, wasi:config, wasi:keyvalue, \
             guesthouse:settings, guesthouse:secrets and guesthouse:hashing are provided)",
        )?;
        if let Ok(service) = p3::bindings::ServicePre::new(pre.clone()) {
            return Ok(ProxyPre::P3(service));
        }
        p2::bindings::ProxyPre::new(pre).map(ProxyPre::P2).map_err(anyhow::Error::from).context(
            "it is no web app: it exports neither wasi:http/handler@0.3 nor wasi:http/incoming-handler@0.2",
        )
    }
}

fn linker<T>(engine: &wasmtime::Engine, concurrency: Concurrency) -> wasmtime::Result<Linker<T>>
where
    T: WasiView + WasiHttpView + SettingsView + SecretsView + HashingView + 'static,
{
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    p2::add_only_http_to_linker_async(&mut linker)?;
    if concurrency == Concurrency::On {
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        p3::add_to_linker(&mut linker)?;
    }
    bindings::add_to_linker(&mut linker)?;
    instance::add_hashing(&mut linker)?;
    Ok(linker)
}

/// Advances the epochs while it lives, so that computing guests yield.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Ticker {
    fn spawn(engines: Vec<wasmtime::Engine>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("epoch".into()).spawn({
            let stop = stop.clone();
            move || {
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(TICK);
                    engines.iter().for_each(wasmtime::Engine::increment_epoch);
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A ticker that panicked has stopped, which is what is wanted here.
            let _ = thread.join();
        }
    }
}
