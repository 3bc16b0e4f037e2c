//! `guesthouse serve` and `guesthouse demo`: a house from its start to its end.

use std::{convert::Infallible, path::Path, sync::Arc};

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

use super::{admin, build_apps, env, load, runtime, say};
use crate::{
    demo,
    dev::Workshop,
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
        serve(plan, listen, Extras { banner: Some(Box::new(demo::banner)), workshop: None }, signals).await
    })?;
    runtime.shutdown_background();
    Ok(())
}

/// Builds and serves the house that a manifest describes, and follows its sources.
pub(super) fn dev(manifest: &Path, listen: Vec<ListenAddr>) -> Result<()> {
    let plan = load(manifest)?;
    let runtime = runtime()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let hosts: Vec<String> =
            plan.apps.iter().flat_map(|app| &app.routes).map(|route| route.text.clone()).collect();
        let (workshop, plan) = tokio::select! {
            opened = Workshop::open(plan, say) => opened,
            _ = signals.end() => return Ok(()),
        };
        let banner = Box::new(move |url: &str| banner(url, &hosts));
        serve(plan, listen, Extras { banner: Some(banner), workshop: Some(workshop) }, signals).await
    })?;
    runtime.shutdown_background();
    Ok(())
}

/// The addresses of the routes that a browser can be given, for a listener at `url`.
fn banner(url: &str, routes: &[String]) -> String {
    let port = url.rsplit_once(':').map(|(_, port)| port).filter(|port| port.parse::<u16>().is_ok());
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    let named = routes.iter().filter(|route| url.starts_with("http") && !route.contains('*'));
    let lines = named.map(|route| match route.split_once('/') {
        _ if route.contains(':') => format!("  http://{route}"),
        Some((host, path)) => format!("  http://{host}{port}/{path}"),
        None => format!("  http://{route}{port}/"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Serves the house that a manifest describes.
pub(super) fn serve_manifest(manifest: &Path, listen: Vec<ListenAddr>) -> Result<()> {
    let plan = load(manifest)?;
    let runtime = runtime()?;
    runtime.block_on(async { serve(plan, listen, Extras::default(), Signals::new()?).await })?;
    // Guests that still compute are left where they are.
    runtime.shutdown_background();
    Ok(())
}

type Banner = Box<dyn Fn(&str) -> String>;

/// What a house may have beside its plan.
#[derive(Default)]
struct Extras {
    /// Makes what is printed beside each listener's URL.
    banner: Option<Banner>,
    workshop: Option<Arc<Workshop>>,
}

/// Has the system give this process no huge pages. Apps have much memory of which a little is used here and there: of what a
/// further Django site takes, a third lay in huge pages that nothing was written to, and requests were no faster for them.
fn without_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!("the system gives huge pages as it likes: {error}");
    }
}

/// Serves until a signal, then drains.
async fn serve(
    mut plan: Plan,
    listen: Vec<ListenAddr>,
    Extras { banner, workshop }: Extras,
    mut signals: Signals,
) -> Result<()> {
    let dev = workshop.as_ref().map(Workshop::dev);
    let source = Source { manifest: plan.manifest.clone(), listen, dev };
    if !source.listen.is_empty() {
        plan.listeners.clone_from(&source.listen);
    }
    let (logging, logs) = log::start(plan.server.log);
    tokio::spawn(logging.tell_of_dropped());
    without_huge_pages();
    let engine = Arc::new(Engine::new()?);
    engine.lane.start();
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
        if let Some(banner) = &banner {
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
        never = follow_sources(workshop.as_deref(), &manager) => match never {},
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

/// Never ends; what it has begun ends when this is dropped.
async fn follow_sources(workshop: Option<&Workshop>, manager: &Arc<Manager>) -> Infallible {
    match workshop {
        Some(workshop) => workshop.follow(manager).await,
        None => std::future::pending().await,
    }
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
