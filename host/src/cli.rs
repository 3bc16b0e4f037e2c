//! The command line: what each command does is here, in one exhaustive match; how, is elsewhere.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::{
    build, demo,
    engine::{Engine, compile},
    house::{House, Unfit},
    log,
    plan::{self, ListenAddr, Plan},
    report::{Level, Report},
    server::Server,
};

/// A WebAssembly component host: one process, many guest web apps.
#[derive(Parser)]
#[command(name = "guesthouse", version, max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the house that a manifest describes
    ///
    /// Prints `listening on http://127.0.0.1:8000` for each listener on standard error once it accepts. Log lines go to
    /// standard output; GUESTHOUSE_LOG=debug shows more of them, GUESTHOUSE_LOG=info,access=off leaves out the access
    /// log. SIGTERM and SIGINT end it when the requests in flight are done; a second signal ends it at once.
    Serve {
        #[command(flatten)]
        manifest: ManifestArg,
        #[command(flatten)]
        listen: ListenArg,
    },
    /// Read, resolve and compile a manifest, and print every problem with its place
    Check {
        #[command(flatten)]
        manifest: ManifestArg,
    },
    /// Tell which app answers at a URL, by which route, and what was less specific
    Explain {
        #[command(flatten)]
        manifest: ManifestArg,
        /// For example `http://shop.example.com/cart`
        url: String,
    },
    /// Build the guests whose manifest entry names a source, with the ordinary tool of their language
    Build {
        #[command(flatten)]
        manifest: ManifestArg,
        /// Only these apps
        #[arg(value_name = "APP")]
        apps: Vec<String>,
    },
    /// Build and serve the sample house: two Django versions, Flask and Rust in one process
    Demo {
        #[command(flatten)]
        listen: ListenArg,
    },
    /// Print the manifest's JSON Schema, for editors
    Schema,
    /// Compile one component (started by the host itself)
    #[command(name = compile::CHILD_COMMAND, hide = true)]
    CompileComponent { component: PathBuf, compiled: PathBuf },
}

#[derive(clap::Args)]
struct ManifestArg {
    /// The manifest
    #[arg(short, long, value_name = "FILE", default_value = "guesthouse.toml")]
    manifest: PathBuf,
}

#[derive(clap::Args)]
struct ListenArg {
    /// Listen here and nowhere else: `127.0.0.1:8000` (port 0 takes any free one) or `unix:/path`; may be repeated
    #[arg(long, value_name = "ADDR", value_parser = parse_listen)]
    listen: Vec<ListenAddr>,
}

fn parse_listen(text: &str) -> Result<ListenAddr, String> {
    text.parse().map_err(|error| format!("{error}"))
}

/// A failure that has been reported in full already.
#[derive(Debug, thiserror::Error)]
#[error("failed")]
struct Reported;

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Reported>() => ExitCode::FAILURE,
        Err(error) if error.is::<Unfit>() => {
            if let Ok(Unfit(report)) = error.downcast() {
                show(&report);
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve { manifest, listen } => serve_manifest(&manifest.manifest, listen.listen),
        Command::Check { manifest } => check(&load(&manifest.manifest)?),
        Command::Explain { manifest, url } => {
            let plan = load(&manifest.manifest)?;
            let explanation = plan::explain(&plan, &url)?;
            print(&explanation.text)?;
            explanation.app.map(|_| ()).ok_or_else(|| Reported.into())
        }
        Command::Build { manifest, apps } => {
            let plan = load(&manifest.manifest)?;
            runtime()?.block_on(build_apps(&plan, (!apps.is_empty()).then_some(&apps[..])))
        }
        Command::Demo { listen } => demo(listen.listen),
        Command::Schema => print(&crate::manifest::schema()),
        Command::CompileComponent { component, compiled } => compile::run_child(&component, &compiled),
    }
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Whether standard error is a terminal that wants colours (<https://no-color.org>).
fn coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Reads the manifest and prints all that is wrong with it.
fn load(path: &Path) -> Result<Plan> {
    let (plan, report) = match Plan::load(path, &env) {
        Ok((plan, report)) => (Some(plan), report),
        Err(report) => (None, report),
    };
    // What is not built yet is built, or found missing, by the command itself.
    show(&report.at_least(Level::Warning));
    plan.ok_or_else(|| Reported.into())
}

/// Prints problems on standard error.
fn show(report: &Report) {
    if !report.is_empty() {
        say(&report.render(coloured()));
    }
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")
}

fn check(plan: &Plan) -> Result<()> {
    let _logging = log::start(plan.server.log);
    let engine = Arc::new(Engine::new()?);
    let house = runtime()?.block_on(House::build(plan.clone(), &engine))?;
    print(&format!(
        "{}: {} app(s), no problems\n\n{}",
        plan.manifest.display(),
        house.generations.len(),
        plan.describe()
    ))
}

async fn build_apps(plan: &Plan, apps: Option<&[String]>) -> Result<()> {
    build::build(plan, apps, &plan.cache_dir, &build::Progress::stderr()).await?;
    Ok(())
}

fn demo(listen: Vec<ListenAddr>) -> Result<()> {
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

fn serve_manifest(manifest: &Path, listen: Vec<ListenAddr>) -> Result<()> {
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
    if !listen.is_empty() {
        plan.listeners = listen;
    }
    let _logging = log::start(plan.server.log);
    let engine = Arc::new(Engine::new()?);
    let house = tokio::select! {
        house = House::build(plan, &engine) => Arc::new(house?),
        _ = signals.next() => return Ok(()),
    };
    let server = Server::bind(&house.plan.listeners).await?;
    for url in server.urls() {
        say(&format!("listening on {url}"));
        if let Some(banner) = banner {
            say(&banner(&url));
        }
    }
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let running = tokio::spawn(server.run(house, async {
        let _ = stopped.await;
    }));
    let name = signals.next().await;
    say(&format!("{name}: finishing requests in flight (again to stop at once)"));
    let _ = stop.send(());
    tokio::select! {
        drained = running => match drained?.cut {
            0 => say("all requests done"),
            cut => say(&format!("{cut} request(s) cut: not done within drain-ms")),
        },
        name = signals.next() => say(&format!("{name}: stopped at once, requests in flight were cut")),
    }
    Ok(())
}

/// A line for the operator on standard error; there is nothing left to do where that fails.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
