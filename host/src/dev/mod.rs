//! `guesthouse dev`: a house that follows its sources. What changes is built and swapped in; what cannot be built or started
//! is said in the terminal and shown in place of the app, whose last good generation stays.
//!
//! Everything that serves is the ordinary house's. This decides what is built when, and gives each plan what suits a house
//! that somebody works on: Python projects are mounted instead of captured, so that a saved file needs no build.

mod bench;
mod looks;

use std::{
    collections::BTreeSet,
    convert::Infallible,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use self::{bench::Bench, looks::Looks};
use crate::{
    build::{self, Progress},
    notices::Notices,
    plan::{App, Dir, Plan, Source},
    reload::{
        Dev, Manager,
        change::{Action, Change},
    },
    report::Level,
    watching::Watching,
};

/// Where a guest has its project's files (`guests/python/lib/guesthouse/archive.py`).
const APP: &str = "/app";
/// Tells generations of one component apart: how often the project was saved.
const SOURCES: &str = "GUESTHOUSE_SOURCES";
/// Components and state of such houses, beside the manifest; those of `serve` are left alone.
const FOLDER: &str = ".guesthouse/dev";
/// What a request may take at least, of computing and in all.
const CPU: Duration = Duration::from_secs(30);
const REQUEST: Duration = Duration::from_secs(60);

/// A house's sources, and what is made of them.
pub(crate) struct Workshop {
    manifest: PathBuf,
    progress: Progress,
    bench: Mutex<Bench>,
    notices: Arc<Notices>,
}

impl Workshop {
    /// A workshop for a manifest, with the plan to serve: everything was built, as far as it could be. `say` prints a line.
    pub(crate) async fn open(mut plan: Plan, say: fn(&str)) -> (Arc<Self>, Plan) {
        // Nothing of the last time is to be taken up: its sources were others.
        let _absent = std::fs::remove_dir_all(state_dir(&plan.manifest));
        let workshop = Arc::new(Self {
            manifest: plan.manifest.clone(),
            progress: Progress::stderr(),
            bench: Mutex::new(Bench::new(plan.clone(), say)),
            notices: Arc::default(),
        });
        workshop.adjust(&mut plan);
        let looks = Looks::of(&plan);
        workshop.build(&plan, &looks).await;
        workshop.bench().post(&plan, &workshop.notices, |app| app.component.is_file());
        workshop.bench().plan = plan.clone();
        plan.retain(|app| app.component.is_file());
        (workshop, plan)
    }

    /// What the house is given.
    pub(crate) fn dev(self: &Arc<Self>) -> Dev {
        let workshop = self.clone();
        let adjust = move |plan: &mut Plan| {
            workshop.adjust(plan);
            plan.retain(|app| app.component.is_file());
        };
        Dev { adjust: Arc::new(adjust), notices: self.notices.clone() }
    }

    /// Follows the sources for ever. Dropped, it ends the tools that it has begun.
    pub(crate) async fn follow(&self, manager: &Arc<Manager>) -> Infallible {
        let mut watching = Watching::new();
        loop {
            let (plan, seen) = self.bench().seen();
            let told = watching.follow(seen.paths(), seen.folders());
            let mut now = Looks::of(&plan);
            // What changed before the folders were watched was not told.
            if now == seen {
                watching.wait(told).await;
                now = Looks::of(&plan);
            }
            if now != seen {
                self.take_up(now, manager).await;
            }
        }
    }

    /// Builds what has to be built, and has the house take up what has changed.
    async fn take_up(&self, mut now: Looks, manager: &Arc<Manager>) {
        let env = |name: &str| std::env::var(name).ok();
        let plan = match Plan::load(&self.manifest, &env) {
            Ok((mut plan, _)) => {
                self.adjust(&mut plan);
                now = Looks::of(&plan);
                plan
            }
            Err(report) => {
                let text = report.at_least(Level::Error).render(false);
                let mut bench = self.bench();
                bench.say(text.clone());
                bench.manifest_failed(text, now);
                let (plan, _) = bench.seen();
                bench.post(&plan, &self.notices, |app| manager.serves(&app.name));
                return;
            }
        };
        let touched = self.build(&plan, &now).await;
        let reloaded = manager.reload("dev").await;
        let mut bench = self.bench();
        let refused = match reloaded {
            Ok(reloaded) => {
                for change in &reloaded.changes {
                    bench.say(told(change));
                }
                let refused = reloaded.changes.into_iter().filter(|change| change.action == Action::Refused);
                refused.map(|change| (change.app.into(), change.why.unwrap_or_default())).collect()
            }
            Err(refusal) => {
                bench.say(refusal.message.clone());
                touched.into_iter().map(|app| (app, refusal.message.clone())).collect()
            }
        };
        bench.not_started(refused);
        bench.post(&plan, &self.notices, |app| manager.serves(&app.name));
        bench.plan = plan;
    }

    /// Builds the apps whose sources have changed; returns those, and those whose files did.
    async fn build(&self, plan: &Plan, looks: &Looks) -> BTreeSet<Arc<str>> {
        let (stale, saved) = {
            let mut bench = self.bench();
            (bench.stale(plan, looks), bench.take(plan, looks))
        };
        let mut touched: BTreeSet<Arc<str>> = saved.into_iter().collect();
        if !stale.is_empty() {
            let names: Vec<String> = stale.iter().map(ToString::to_string).collect();
            let built = build::build(plan, Some(&names), &plan.cache_dir, &self.progress).await;
            let mut bench = self.bench();
            bench.built(&stale, built);
            // What commands have made beside their sources is no change of those.
            bench.look_again(plan, &stale);
            touched.extend(stale);
        }
        touched
    }

    /// Makes a plan that suits a house which somebody works on.
    fn adjust(&self, plan: &mut Plan) {
        let bench = self.bench();
        let folder = folder(&plan.manifest);
        plan.state_dir = state_dir(&plan.manifest);
        // It is watched from here, with the sources.
        plan.watch = false;
        for app in &mut plan.apps {
            // A generation that fails is what is being worked on: the house does not go back by itself.
            app.generations.trial = Duration::ZERO;
            // Pages that explain a failure take longer than pages do.
            app.limits.cpu = app.limits.cpu.max(CPU);
            app.limits.request = app.limits.request.max(REQUEST);
            app.limits.stream = app.limits.stream.max(REQUEST);
            if mount(&folder, app) {
                app.grants.env.insert(SOURCES.to_owned(), bench.version(&app.name).to_string());
            }
        }
    }

    fn bench(&self) -> MutexGuard<'_, Bench> {
        self.bench.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a change comes to, in a line.
fn told(change: &Change) -> String {
    match (change.action, change.to, &change.why) {
        (Action::Refused, _, why) => {
            format!("error: {}: {}", change.app, why.as_deref().unwrap_or("refused"))
        }
        (Action::Removed, ..) => format!("{} is gone", change.app),
        (_, Some(generation), _) => format!("{}: generation {generation} serves", change.app),
        (_, None, _) => format!("{} has changed", change.app),
    }
}

/// Has an app serve from its project's folder, where it is a Python project: nothing is captured.
fn mount(folder: &Path, app: &mut App) -> bool {
    let Some(Source::Python(python)) = &mut app.source else { return false };
    python.mounted = true;
    app.component = folder.join(&*app.name).with_extension("wasm");
    // While an image is taken there are no mounted files.
    app.instances.snapshot = false;
    let project = Dir { path: python.dir.clone(), write: false, temporary: false };
    app.grants.dirs.entry(APP.to_owned()).or_insert(project);
    true
}

/// Gives an app the component that a workshop has built for it, where that is the only one or the latest.
pub(crate) fn prefer(plan: &Plan, app: &mut App) {
    let mut mounted = app.clone();
    let built = |app: &App| std::fs::metadata(&app.component).and_then(|meta| meta.modified()).ok();
    if mount(&folder(&plan.manifest), &mut mounted) && built(&mounted) > built(app) {
        *app = mounted;
    }
}

fn folder(manifest: &Path) -> PathBuf {
    manifest.parent().unwrap_or(Path::new("/")).join(FOLDER)
}

fn state_dir(manifest: &Path) -> PathBuf {
    folder(manifest).join("state")
}
