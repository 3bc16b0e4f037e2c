//! `guesthouse exec`: runs a command of one app, with all that the manifest gives the app, in a process of its own.
//!
//! The way is the one of a house (plan, engine, one instance), without a house: nobody is served, a house that runs meanwhile
//! is not asked, and what was swapped in there without the manifest does not hold here. Never starts from an image.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use tokio_util::sync::CancellationToken;

use crate::{
    build, dev,
    engine::{Components, Engine, Linked, Wanted, cache::Cache, cache::ComponentDigest},
    generation::Stats,
    instance::{self, Command, NoCommands, Template},
    keyvalue::Granted,
    plan::{App, Plan},
    terminal::Terminal,
};

/// Runs a command of the app of this name. Answers its exit status.
///
/// # Errors
/// There is no such app, it is not built, its component has no commands or cannot be used; or the command did not come to
/// its end.
pub async fn exec(plan: &Plan, name: &str, args: Vec<String>) -> Result<u8> {
    let app = plan.apps.iter().find(|app| &*app.name == name);
    let mut app = app.ok_or_else(|| anyhow!(build::no_app(plan, name)))?.clone();
    dev::prefer(plan, &mut app);
    let engine = Arc::new(Engine::new()?);
    let linked = linked(plan, &app, &engine).await?;
    let template = Arc::new(template(&app, engine, linked, args));
    instance::run(&template).await.map_err(|error| match error.downcast_ref::<NoCommands>() {
        Some(_) => anyhow!(
            "`{name}` has no commands: {} exports no wasi:cli/run\nhelp: {}",
            app.component.display(),
            if app.source.is_some() {
                format!("if it was built by an earlier version, build it again: guesthouse build {name}")
            } else {
                "a component may export it beside its wasi:http handler; in Rust, that is `fn main` of a program".into()
            }
        ),
        None => error,
    })
}

async fn linked(plan: &Plan, app: &App, engine: &Arc<Engine>) -> Result<Arc<Linked>> {
    let App { name, component, .. } = app;
    if !component.is_file() {
        let help = match app.source {
            Some(_) => format!("build it: guesthouse build {name}"),
            None => "name a .wasm file in the manifest".to_owned(),
        };
        return Err(anyhow!("the component of `{name}` is not there: {}\nhelp: {help}", component.display()));
    }
    let wanted = Wanted {
        digest: digest(component.clone())
            .await
            .with_context(|| format!("reading {}", component.display()))?,
        path: Some(component.clone()),
        name: component.display().to_string(),
        apps: name.to_string(),
        serving: false,
        image: None,
    };
    let components = Components::new(engine.clone(), Cache::open(&plan.cache_dir, engine)?);
    let (linked, _) =
        components.get(&wanted).await.with_context(|| format!("the component of `{name}` cannot be used"))?;
    Ok(linked)
}

async fn digest(component: PathBuf) -> Result<ComponentDigest> {
    tokio::task::spawn_blocking(move || ComponentDigest::of_file(&component)).await?
}

fn template(app: &App, engine: Arc<Engine>, linked: Arc<Linked>, args: Vec<String>) -> Template {
    let mut limits = app.limits.clone();
    // Memory holds; time is the operator's, who can end it.
    limits.cpu = Duration::MAX;
    Template {
        app: app.name.clone(),
        generation: 0,
        engine,
        linked,
        settings: app.settings.clone(),
        secrets: app.secrets.clone(),
        limits,
        grants: app.grants.clone(),
        // What is in memory only is each process's own.
        keyvalue: Arc::new(Granted::new(Arc::default(), &app.grants.keyvalue)),
        stats: Arc::new(Stats::default()),
        cut: CancellationToken::new(),
        command: Some(Command {
            args: std::iter::once(app.name.to_string()).chain(args).collect(),
            terminal: Terminal::default(),
        }),
    }
}
