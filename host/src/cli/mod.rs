//! The command line: what each command does is here, in one exhaustive match; how, is elsewhere.

mod admin;
mod changes;
mod control;
mod exec;
mod lines;
mod overlay;
mod serve;
mod status;

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use self::control::{HouseArg, LogsArgs, SwapArgs};
use crate::{
    admin::client::Refused,
    build,
    engine::{Engine, compile, image},
    generation, init, log, new,
    plan::{self, ListenAddr, Plan},
    reload::{Unfit, check_components},
    report::{Level, Report},
    threads,
};

/// A WebAssembly component host: one process, many guest web apps.
#[derive(Parser)]
#[command(name = "guesthouse", version, max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Clap would name first what of several must be there.
const SWAP_USAGE: &str = "guesthouse swap [OPTIONS] <APP> [FILE]
       guesthouse swap [OPTIONS] <APP> <--settings <FILE.toml>|--set <KEY=VALUE>>";

#[derive(Subcommand)]
enum Command {
    /// Run the house that a manifest describes
    ///
    /// Prints `listening on http://127.0.0.1:8000` for each listener on standard error once it accepts. Log lines go to
    /// standard output; GUESTHOUSE_LOG=debug shows more of them, GUESTHOUSE_LOG=info,access=off leaves out the access
    /// log. `admin on unix:...` names the admin listener, by which `status`, `swap` and their like find the house. SIGTERM
    /// and SIGINT end it when the requests in flight are done; a second signal ends it at once.
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
    /// Run a command of an app, with its settings and grants: `guesthouse exec shop -- migrate`
    ///
    /// Of Django projects, the commands of manage.py; of Flask projects, those of `flask`; of all Python projects,
    /// `python -c CODE`, `python -m MODULE` and `python`. Of other components, what their `wasi:cli/run` does. Standard
    /// input, output and error are this process's own. The exit status is the command's.
    ///
    /// A house that runs is not disturbed. The app is what the manifest says; what was swapped in without it is not seen here.
    Exec {
        #[command(flatten)]
        manifest: ManifestArg,
        /// The app
        app: String,
        /// The command and its arguments
        #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Tell the state of a running house: its apps, their generations, requests, failures, latency
    Status {
        #[command(flatten)]
        house: HouseArg,
        /// Print it as JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Give an app of a running house another component or other settings, as its next generation
    ///
    /// The new generation is compiled, checked, tried and saved first, then serves: requests in flight finish in the old
    /// one, and those that begin once this command has ended see the new one. Where anything of it fails, the old one
    /// serves on, and this says why.
    #[command(override_usage = SWAP_USAGE)]
    Swap {
        #[command(flatten)]
        house: HouseArg,
        #[command(flatten)]
        swap: SwapArgs,
    },
    /// Let the canary of an app serve all its clients
    Promote {
        #[command(flatten)]
        house: HouseArg,
        /// The app
        app: String,
    },
    /// End the canary of an app
    Abort {
        #[command(flatten)]
        house: HouseArg,
        /// The app
        app: String,
    },
    /// Let an earlier generation of an app serve again, without compiling anything
    Rollback {
        #[command(flatten)]
        house: HouseArg,
        /// The app
        app: String,
        /// The number of a generation that `status` shows as kept; without it, the last good one before the present
        #[arg(long, value_name = "N")]
        to: Option<u64>,
    },
    /// Make a running house what its manifest says now
    ///
    /// Only what has changed is touched: apps, routes, listeners, components, settings. SIGHUP does the same, and so
    /// does a changed file unless `[host] watch` is off.
    Reload {
        #[command(flatten)]
        house: HouseArg,
    },
    /// Show the latest log lines of a running house
    Logs {
        #[command(flatten)]
        house: HouseArg,
        #[command(flatten)]
        logs: LogsArgs,
    },
    /// Tell a running house to finish the requests in flight and end, as SIGTERM does
    Drain {
        #[command(flatten)]
        house: HouseArg,
    },
    /// Bring a project that is there: find out what it is, and write its entry into the manifest
    ///
    /// Knows Django (manage.py), Flask and other WSGI applications, Rust (Cargo.toml) and JavaScript (package.json). Nothing
    /// of the project is run or changed. The manifest is made where there is none, and keeps all that it has.
    Init {
        /// The project's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
        #[command(flatten)]
        manifest: ManifestArg,
        /// The app's name, and with `.localhost` its hostname; by default the folder's name
        #[arg(long)]
        name: Option<String>,
        /// What the project is, where it could be several things
        #[arg(long)]
        kind: Option<init::Kind>,
        /// The WSGI application, `module:object` or `module:factory()`, where several could be it
        #[arg(long, value_name = "MODULE:OBJECT")]
        wsgi: Option<String>,
    },
    /// Begin a project from a template
    New {
        template: new::Template,
        /// The folder to make; it must not be there, or be empty
        dir: PathBuf,
        /// The app's name, and with `.localhost` its hostname; by default the folder's name
        #[arg(long)]
        name: Option<String>,
    },
    /// Build and serve a house while you work on it: what you save is built again and swapped in
    ///
    /// Files of Python projects need no build: they are mounted, and the next request finds them as they were saved. What
    /// cannot be built or started is said here, and shown in the browser in place of the app until it is mended.
    Dev {
        #[command(flatten)]
        manifest: ManifestArg,
        #[command(flatten)]
        listen: ListenArg,
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
    CompileComponent { component: PathBuf, name: String, digest: String, compiled: PathBuf },
    /// Take one image of an app and compile it (started by the host itself)
    #[command(name = image::CHILD_COMMAND, hide = true)]
    TakeImage,
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

/// The exit status of a command of an app, where it is not 0.
#[derive(Debug, thiserror::Error)]
#[error("ended with exit status {0}")]
struct Ended(u8);

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let ended = run(Cli::parse().command);
    generation::remove_temporary();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Reported>() => ExitCode::FAILURE,
        Err(error) if error.is::<Ended>() => {
            error.downcast_ref().map_or(ExitCode::FAILURE, |Ended(status)| ExitCode::from(*status))
        }
        // Who reads has seen enough, such as `head`.
        Err(error) if error.is::<Unread>() => ExitCode::SUCCESS,
        Err(error) if error.is::<Unfit>() => {
            if let Ok(Unfit(report)) = error.downcast() {
                show(&report);
            }
            ExitCode::FAILURE
        }
        // The report of a manifest, which says so itself.
        Err(error) if error.downcast_ref::<Refused>().is_some_and(Refused::is_report) => {
            say(&error.to_string());
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
        Command::Serve { manifest, listen } => serve::serve_manifest(&manifest.manifest, listen.listen),
        Command::Check { manifest } => check(&load(&manifest.manifest)?),
        Command::Explain { manifest, url } => {
            let plan = loaded(Plan::load_without_secrets(&manifest.manifest, &env))?;
            let explanation = plan::explain(&plan, &url)?;
            print(&explanation.text)?;
            explanation.app.map(|_| ()).ok_or_else(|| Reported.into())
        }
        Command::Build { manifest, apps } => {
            let plan = loaded(Plan::load_without_secrets(&manifest.manifest, &env))?;
            runtime()?.block_on(build_apps(&plan, (!apps.is_empty()).then_some(&apps[..])))
        }
        Command::Exec { manifest, app, args } => exec::exec(&load(&manifest.manifest)?, &app, args),
        Command::Status { house, json } => asking(control::status(house, json)),
        Command::Swap { house, swap } => asking(control::swap(house, swap)),
        Command::Promote { house, app } => asking(control::promote(house, &app)),
        Command::Abort { house, app } => asking(control::abort(house, &app)),
        Command::Rollback { house, app, to } => asking(control::rollback(house, &app, to)),
        Command::Reload { house } => asking(control::reload(house)),
        Command::Logs { house, logs } => asking(control::logs(house, logs)),
        Command::Drain { house } => asking(control::drain(house)),
        Command::Init { dir, manifest, name, kind, wsgi } => {
            print(&init::init(&init::Wishes { dir, manifest: manifest.manifest, name, kind, wsgi })?)
        }
        Command::New { template, dir, name } => print(&new::new(template, &dir, name.as_deref())?),
        Command::Dev { manifest, listen } => serve::dev(&manifest.manifest, listen.listen),
        Command::Demo { listen } => serve::demo(listen.listen),
        Command::Schema => print(&crate::manifest::schema()),
        Command::CompileComponent { component, name, digest, compiled } => {
            compile::run_child(&component, &name, &digest, &compiled)
        }
        Command::TakeImage => image::run_child()?.then_some(()).ok_or_else(|| Reported.into()),
    }
}

/// Standard output was closed by who reads it.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads standard output")]
struct Unread;

fn print(text: &str) -> Result<()> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    match write!(std::io::stdout().lock(), "{text}{end}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Unread.into()),
        result => Ok(result?),
    }
}

/// Whether standard error is a terminal that wants colours (<https://no-color.org>).
fn coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Reads the manifest and prints all that is wrong with it.
fn load(path: &Path) -> Result<Plan> {
    loaded(Plan::load(path, &env))
}

fn loaded(plan: Result<(Plan, Report), Report>) -> Result<Plan> {
    let (plan, report) = match plan {
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

/// Talks to a running house.
fn asking(conversation: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?
        .block_on(conversation)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    threads::runtime().context("starting the runtime")
}

fn check(plan: &Plan) -> Result<()> {
    let (_logging, _) = log::start(plan.server.log);
    let engine = Arc::new(Engine::new()?);
    runtime()?.block_on(check_components(plan, &engine))?;
    print(&format!(
        "{}: {} app(s), no problems\n\n{}",
        plan.manifest.display(),
        plan.apps.len(),
        plan.describe()
    ))
}

async fn build_apps(plan: &Plan, apps: Option<&[String]>) -> Result<()> {
    build::build(plan, apps, &plan.cache_dir, &build::Progress::stderr()).await?;
    Ok(())
}

/// A line for the operator on standard error; there is nothing left to do where that fails.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
