//! Taking an image: in a process of its own, the app is initialised and what it has become is made a component again.

use std::{any::Any, collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use wasmtime::{
    Store,
    component::{Component, Instance, ResourceTable},
};
use wasmtime_wasi::{
    I32Exit,
    filesystem::Descriptor,
    p2::{DynInputStream, DynOutputStream, DynPollable},
};
use wasmtime_wizer::{WasmtimeWizerComponent, Wizer};

use super::{
    EXPORT, FunctionsFile, Initial, Job,
    host::{self, Host, Refused},
};
use crate::{
    bindings::Handle,
    engine::{
        Ticker, compile,
        config::{self, Concurrency},
        functions::Functions,
        linker,
    },
    instance::{self, Limiter},
};

/// The image of the component that the job names, compiled for the engine that serves.
///
/// # Errors
/// Why there is none, and how to mend it.
pub(super) fn taken(job: &Job) -> Result<Vec<u8>> {
    let bytes = compile::read(&job.component, &job.name, &job.digest)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let functions = match &job.functions {
        // Without them it takes longer, and that is all.
        FunctionsFile::Known(path) => Functions::read(path).unwrap_or_default(),
        FunctionsFile::Wanted(_) => Functions::default(),
    };
    let functions = Arc::new(functions);
    let (image, concurrency) = runtime.block_on(component(&bytes, &job.initial, &functions))?;
    let engine = engine(concurrency, &functions).map_err(anyhow::Error::from)?;
    let compiled = engine.precompile_component(&image).map_err(anyhow::Error::from);
    let compiled = compiled.context("its image cannot be compiled")?;
    if let FunctionsFile::Wanted(path) = &job.functions {
        functions.write(path).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(compiled)
}

/// An engine that compiles for the one that serves, but for functions that are compiled already.
fn engine(concurrency: Concurrency, functions: &Arc<Functions>) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = config::compiling(concurrency);
    config.enable_incremental_compilation(functions.clone())?;
    wasmtime::Engine::new(&config)
}

/// The image as a component, and for which engine.
async fn component(
    bytes: &[u8],
    initial: &Initial,
    functions: &Arc<Functions>,
) -> Result<(Vec<u8>, Concurrency)> {
    let mut wizer = Wizer::new();
    wizer.keep_init_func(true);
    let (context, instrumented) = wizer
        .instrument_component(bytes)
        .map_err(anyhow::Error::from)
        .context("its code is of a kind that no image can be taken of")?;
    let (component, concurrency) =
        config::either(|concurrency| Component::new(&engine(concurrency, functions)?, &instrumented))
            .map_err(anyhow::Error::from)?;
    let engine = component.engine().clone();
    let _ticker = Ticker::spawn(vec![engine.clone()])?;
    drop(instrumented);
    let mut store = Store::new(&engine, Host::new(initial)?);
    store.limiter(|host| &mut host.limiter);
    // A guest that computes lets the clock be read at every tick.
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let initialised =
        tokio::time::timeout(initial.within, initialised(&mut store, &component, concurrency)).await;
    let instance = match initialised {
        Ok(instance) => instance.map_err(|error| why(error, store.data(), initial))?,
        Err(_) => bail!("it was not initialised within {}", seconds(initial.within)),
    };
    // Wizer reads a memory by way of a page that it adds to it.
    store.data_mut().limiter = Limiter::new(usize::MAX);
    let mut state = WasmtimeWizerComponent { store: &mut store, instance };
    let image = wizer.snapshot_component(&context, &mut state).await.map_err(anyhow::Error::from)?;
    Ok((image, concurrency))
}

/// An instance that has been initialised and keeps nothing of the host's.
async fn initialised(
    store: &mut Store<Host>,
    component: &Component,
    concurrency: Concurrency,
) -> Result<Instance> {
    let mut linker = linker(component.engine(), concurrency).map_err(anyhow::Error::from)?;
    instance::add_keyvalue_resources(&mut linker).map_err(anyhow::Error::from)?;
    host::refuse(&mut linker, component).map_err(anyhow::Error::from)?;
    let instance = linker.instantiate_async(&mut *store, component).await.map_err(anyhow::Error::from)?;
    let interface =
        component.get_export_index(None, EXPORT).with_context(|| format!("it exports no {EXPORT}"))?;
    let initialize = component
        .get_export_index(Some(&interface), "initialize")
        .with_context(|| format!("its {EXPORT} has no `initialize`"))?;
    let initialize = instance
        .get_typed_func::<(), (Result<(), String>,)>(&mut *store, initialize)
        .map_err(anyhow::Error::from)
        .context("its `initialize` is not the one of wit/settings.wit")?;
    let concurrent = |store: &mut Store<Host>| match concurrency {
        Concurrency::On => store.concurrent_state_table_size(),
        Concurrency::Off => 0,
    };
    let before = concurrent(store);
    let (result,) = initialize.call_async(&mut *store, ()).await.map_err(anyhow::Error::from)?;
    if let Err(said) = result {
        bail!("its `initialize` says: {said}");
    }
    // Streams, futures and tasks of WASI 0.3 are in no table of ours.
    if concurrent(store) > before {
        bail!("its `initialize` left streams, futures or tasks of WASI 0.3 open: end them before it returns");
    }
    let kept = kept(&mut store.data_mut().table);
    if !kept.is_empty() {
        bail!("its `initialize` kept what is the host's ({kept}): drop it before it returns");
    }
    Ok(instance)
}

/// What stands in a table, by kind.
fn kept(table: &mut ResourceTable) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in table.iter_mut() {
        *kinds.entry(kind(entry)).or_default() += 1;
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    kinds.join(", ")
}

fn kind(entry: &dyn Any) -> &'static str {
    if entry.is::<DynOutputStream>() {
        "output stream(s), such as standard output"
    } else if entry.is::<DynInputStream>() {
        "input stream(s), such as standard input"
    } else if entry.is::<DynPollable>() {
        "pollable(s)"
    } else if entry.is::<Descriptor>() {
        "file(s) or folder(s)"
    } else if entry.is::<Handle>() {
        "secret(s)"
    } else {
        "other handle(s)"
    }
}

/// Why a guest ended before it was initialised.
fn why(error: anyhow::Error, host: &Host, initial: &Initial) -> anyhow::Error {
    if let Some(refused) = error.downcast_ref::<Refused>() {
        return anyhow!("{refused}: that has to wait for a request");
    }
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        return anyhow!("it ended itself with exit status {status} while it was initialised");
    }
    if host.limiter.refused() {
        let mib = initial.memory_bytes >> 20;
        return anyhow!("it wanted more than limits.memory-mib = {mib} while it was initialised");
    }
    if let Some(trap) = error.downcast_ref::<wasmtime::Trap>() {
        return anyhow!("it trapped while it was initialised: {trap}");
    }
    error
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
