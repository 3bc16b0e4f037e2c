//! `guesthouse serve` and `guesthouse demo`: a house from its start to its end.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

use super::{admin, build_apps, env, load, runtime, say};
use crate::{
    demo,
    engine::Engine,
    log,
    plan::{self, ListenAddr, Plan},
    reload::{Manager, Source},
    server::Bound,
};

/// Builds the sample house and serves it.
pub(super) fn demo(listen: Vec<ListenAddr>) -> Result<()> {
    let cache_dir =
        plan::default_cache_dir(&env).context("no place for caches: set GUESTHOUSE_CACHE_DIR or HOME")?;
    let manifest = demo::prepare(&cache_dir)?;
    let plan = load(&manifest)?;
    let runtime = runtime()?;
    runtime.block_on(async {
        // Listening for signals from here on: between building and serving none is lost.
        let signals = Signals::new()?;
        build_apps(&plan, None).await?;
        serve(plan, listen, Some(demo::banner), signals).await
    })?;
    runtime.shutdown_background();
    Ok(())
}

/// Serves the house that a manifest describes.
pub(super) fn serve_manifest(manifest: &Path, listen: Vec<ListenAddr>) -> Result<()> {
    let plan = load(manifest)?;
    let runtime = runtime()?;
    runtime.block_on(async { serve(plan, listen, None, Signals::new()?).await })?;
    // Guests that still compute are left where they are.
    runtime.shutdown_background();
    Ok(())
}

/// Serves until a signal, then drains. `banner` makes what is printed beside each listener's URL.
async fn serve(
    mut plan: Plan,
    listen: Vec<ListenAddr>,
    banner: Option<fn(&str) -> String>,
    mut signals: Signals,
) -> Result<()> {
    let source = Source { manifest: plan.manifest.clone(), listen };
    if !source.listen.is_empty() {
        plan.listeners.clone_from(&source.listen);
    }
    let (_logging, logs) = log::start(plan.server.log);
    let engine = Arc::new(Engine::new()?);
    let (listeners, admin, watch) = (plan.listeners.clone(), plan.admin.clone(), plan.watch);
    let manager = tokio::select! {
        manager = Manager::start(plan, source, &engine) => manager?,
        _ = signals.end() => return Ok(()),
    };
    let mut bound = Vec::new();
    for address in &listeners {
        bound.push(Bound::new(address).await?);
    }
    let admin = match &admin {
        Some(admin) => Some(admin::begin(admin, manager.clone(), logs).await?),
        None => None,
    };
    for listener in bound {
        let url = listener.url();
        manager.server().open(listener);
        say(&format!("listening on {url}"));
        if let Some(banner) = banner {
            say(&banner(&url));
        }
    }
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    if watch {
        tokio::spawn(manager.clone().watch(stop.clone()));
    }
    if let Some(hangup) = signals.hangup.take() {
        tokio::spawn(reload_on_hangup(manager.clone(), hangup));
    }
    let name = tokio::select! {
        name = signals.end() => name,
        () = manager.told_to_drain() => "drain",
    };
    say(&format!("{name}: finishing requests in flight (again to stop at once)"));
    stop.cancel();
    manager.drain();
    tokio::select! {
        drained = manager.server().drain() => match drained.cut {
            0 => say("all requests done"),
            cut => say(&format!("{cut} request(s) cut: not done within drain-ms")),
        },
        name = signals.end() => say(&format!("{name}: stopped at once, requests in flight were cut")),
    }
    if let Some(admin) = admin {
        admin.end().await;
    }
    Ok(())
}

/// Takes the manifest up again with each SIGHUP.
async fn reload_on_hangup(manager: Arc<Manager>, mut hangup: tokio::signal::unix::Signal) {
    while hangup.recv().await.is_some() {
        // What comes of it is in the log and in the status.
        let _ = manager.reload("SIGHUP").await;
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: Some(signal(SignalKind::hangup())?),
        })
    }

    /// A signal to end.
    async fn end(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
