//! The engine: one wasmtime engine for the whole house, its linker, and the compiled form of components.
//!
//! It knows nothing of apps, routes or requests. Compilation happens in a child process ([`compile`]) so that its
//! memory goes back to the system and the serving threads never run it; compiled code is loaded only from the cache
//! ([`cache`]), which belongs to this user and vouches for each entry.

pub mod cache;
pub mod compile;
mod components;
mod functions;
pub mod image;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use wasmtime::{
    Config, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{Component, Linker},
};
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::{WasiHttpView, handler::ProxyPre, p2, p3};

pub use self::components::{Components, Linked, Wanted, WantedImage};
use crate::{
    bindings::{self, SettingsView},
    instance::Guest,
};

/// Time between two epoch ticks: how long a guest computes before it yields its thread to others.
pub const TICK: Duration = Duration::from_millis(5);

/// Instances, memories, tables and stacks that can live at once over all apps. Slots are address space, not memory:
/// each linear memory reserves 4 GiB of the 128 TiB that a process has, and touches nothing until it is used.
const SLOTS: u32 = 4_000;
/// Core instances and tables for each component instance: a Python component is made of a dozen core modules.
const CORES_PER_SLOT: u32 = 8;

/// The engine, its linker and the thread that advances its epoch.
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Linker<Guest>,
    _ticker: Ticker,
}

impl Engine {
    pub fn new() -> Result<Self> {
        let engine = wasmtime::Engine::new(&config()).map_err(anyhow::Error::from)?;
        let linker = linker(&engine).map_err(anyhow::Error::from)?;
        let ticker = Ticker::spawn(engine.clone())?;
        Ok(Self { engine, linker, _ticker: ticker })
    }

    pub fn inner(&self) -> &wasmtime::Engine {
        &self.engine
    }

    /// Loads compiled code that the cache has vouched for.
    pub fn load(&self, compiled: &cache::Entry) -> Result<Component> {
        let path = compiled.path();
        // SAFETY: `deserialize_file` demands that the file was produced by `precompile_component` and is not changed
        // afterwards. `Entry` exists only for files whose keyed digest, made by this user's cache when it compiled
        // them, was checked just now, in a folder that only this user can write.
        #[expect(
            unsafe_code,
            reason = "wasmtime loads native code from files only this way; see SAFETY above"
        )]
        let component = unsafe { Component::deserialize_file(&self.engine, path) };
        component
            .map_err(anyhow::Error::from)
            .with_context(|| format!("loading compiled code {}", path.display()))
    }

    /// Checks a component's imports and exports against what the house offers and links them.
    ///
    /// # Errors
    /// Says which import nobody provides, or that no `wasi:http` handler is exported.
    pub fn link(&self, component: &Component) -> Result<ProxyPre<Guest>> {
        let pre = self.linker.instantiate_pre(component).map_err(anyhow::Error::from).context(
            "it imports what this host does not provide (WASI 0.2 and 0.3, wasi:http, wasi:config and \
             guesthouse:settings are provided)",
        )?;
        if let Ok(service) = p3::bindings::ServicePre::new(pre.clone()) {
            return Ok(ProxyPre::P3(service));
        }
        p2::bindings::ProxyPre::new(pre).map(ProxyPre::P2).map_err(anyhow::Error::from).context(
            "it is no web app: it exports neither wasi:http/handler@0.3 nor wasi:http/incoming-handler@0.2",
        )
    }
}

/// The configuration of the engine, the same in the process that compiles and in the one that serves.
pub fn config() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        .total_core_instances(SLOTS * CORES_PER_SLOT)
        .total_memories(SLOTS)
        .total_tables(SLOTS * CORES_PER_SLOT)
        .total_stacks(SLOTS)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .max_tables_per_module(8)
        .max_memories_per_module(8)
        .table_elements(64 * 1024)
        .max_memory_size(4 << 30);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .wasm_component_model_async_stackful(true)
        .wasm_multi_memory(true)
        .epoch_interruption(true)
        .memory_init_cow(true)
        // Nothing unwinds through guests by native means, and registering unwind information for each module makes
        // every backtrace a linear search through all of them.
        .native_unwind_info(false);
    config
}

fn linker<T>(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<T>>
where
    T: WasiView + WasiHttpView + SettingsView + 'static,
{
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    bindings::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Advances the epoch while it lives, so that computing guests yield.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Ticker {
    fn spawn(engine: wasmtime::Engine) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("epoch".into()).spawn({
            let stop = stop.clone();
            move || {
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(TICK);
                    engine.increment_epoch();
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
