//! The first house of a process: what the manifest says, and what was changed since without it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Instant, SystemTime},
};

use anyhow::Result;
use arc_swap::ArcSwap;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Manager, Source,
    book::{Book, Entry, Ledger},
    digests::Digests,
    secrets,
};
use crate::{
    canary::Canary,
    engine::{
        Components, Engine, Linked, Wanted,
        cache::{Cache, ComponentDigest},
    },
    generation::{Code, Generation, Recipe},
    house::{Counters, House, Tenant},
    keyvalue::Registry,
    plan::{self, Plan},
    report::{Problem, Report},
    server::Server,
    state::{SavedHouse, State},
};

/// Components that are loaded at a time.
const LOADING_MAX: usize = 4;

/// Components that cannot be used, each with its place in the manifest.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub Report);

type Brought = BTreeMap<ComponentDigest, Result<Arc<Linked>>>;

/// Compiles (or finds in the cache), checks and links every component that a plan names.
///
/// # Errors
/// [`Unfit`] with every component that is missing, no component, or not one for this host; another error where the
/// compile cache cannot be used.
pub async fn check(plan: &Plan, engine: &Arc<Engine>) -> Result<()> {
    let components = Components::new(engine.clone(), Cache::open(&plan.cache_dir, engine)?);
    let digests = digests(plan, &mut Digests::default())?;
    let all = plan.apps.iter().zip(&digests).map(|(app, digest)| wanted(app, digest, &app.component));
    let brought = bring_in(&components, all.collect()).await;
    let mut report = Report::default();
    for (app, digest) in plan.apps.iter().zip(&digests) {
        match brought.get(digest) {
            Some(Err(error)) => report.push(unfit(app, &format!("{error:#}"))),
            Some(Ok(linked)) => {
                let (wanted, recipe) = (wanted(app, digest, &app.component), Recipe::of(app, digest.clone()));
                // What cannot be taken is said in the log: the app serves without it.
                Code::new(linked.clone(), &components, &wanted, 1, &recipe, &app.routes).await;
            }
            None => {}
        }
    }
    if report.has_errors() { Err(Unfit(report).into()) } else { Ok(()) }
}

impl Manager {
    /// Makes the first house and what changes it. Nobody is served yet: see [`Server::open`].
    ///
    /// # Errors
    /// As [`check`].
    pub async fn start(plan: Plan, source: Source, engine: &Arc<Engine>) -> Result<Arc<Self>> {
        let components = Components::new(engine.clone(), Cache::open(&plan.cache_dir, engine)?);
        let state = State::new(&plan.state_dir);
        let mut saved = state.load().unwrap_or_else(|error| {
            tracing::error!("what was swapped in before is not served, the manifest alone holds: {error:#}");
            SavedHouse::default()
        });
        let mut known = Digests::default();
        let digests = digests(&plan, &mut known)?;
        let mut ledgers = BTreeMap::new();
        for (app, digest) in plan.apps.iter().zip(&digests) {
            let manifest = Arc::new(Recipe::of(app, digest.clone()));
            let ledger = match saved.apps.remove(&*app.name) {
                Some(saved) => Ledger::load(saved, manifest, app.generations.keep),
                None => Ledger::first(manifest, "start"),
            };
            ledgers.insert(app.name.clone(), ledger);
        }
        secrets::read_all(&mut ledgers);
        let mut brought = bring_in(&components, wanted_by(&plan, &ledgers, &state)).await;
        if fall_back(&mut ledgers, &brought) {
            brought = bring_in(&components, wanted_by(&plan, &ledgers, &state)).await;
        }
        take_images(&plan, &mut ledgers, &brought, &components, &state).await;
        let stores = Registry::default();
        let apps = tenants(&plan, &mut ledgers, &brought, &stores, engine)?;
        let statics = House::statics_of(&plan, &apps, &[]);
        let current = Arc::new(ArcSwap::from_pointee(House {
            server: Arc::new(plan.server.clone()),
            routes: Arc::new(plan.routes.clone()),
            apps,
            statics,
            counters: Arc::new(Counters::default()),
            notices: source.dev.as_ref().map(|dev| dev.notices.clone()),
        }));
        let (unfit, told) = mpsc::unbounded_channel();
        let manager = Arc::new(Self {
            source,
            components,
            state,
            stores,
            server: Server::new(current.clone()),
            current,
            book: Mutex::new(Book { plan, apps: ledgers, last_reload: None, refused: BTreeMap::new() }),
            changing: tokio::sync::Mutex::default(),
            reloading: tokio::sync::Mutex::default(),
            leaving: Mutex::default(),
            digests: Mutex::new(known),
            unfit,
            draining: CancellationToken::new(),
            started: (SystemTime::now(), Instant::now()),
        });
        for (app, entry) in manager.new_entries() {
            manager.try_out(&app, &entry);
        }
        tokio::spawn(manager.clone().judge(told));
        tokio::spawn(manager.clone().fetch_kept());
        Ok(manager)
    }

    /// Generations that took the place of others, by app.
    fn new_entries(&self) -> Vec<(Arc<str>, Entry)> {
        let book = self.book();
        let of_app = |(name, ledger): (&Arc<str>, &Ledger)| {
            let canary = ledger.canary.as_ref().map(|(_, entry)| entry);
            let serving = Some(&ledger.serving).filter(|entry| entry.number > 1);
            serving.into_iter().chain(canary).map(|entry| (name.clone(), entry.clone())).collect::<Vec<_>>()
        };
        book.apps.iter().flat_map(of_app).collect()
    }

    /// Has the code of kept generations at hand, so that going back to them takes no time. What would have to be compiled
    /// is left until it is wanted.
    async fn fetch_kept(self: Arc<Self>) {
        let kept: Vec<(plan::App, Entry)> = {
            let book = self.book();
            let of_app = |app: &plan::App| {
                let kept = book.apps.get(&app.name)?.kept.iter();
                Some(kept.map(|entry| (app.clone(), entry.clone())).collect::<Vec<_>>())
            };
            book.plan.apps.iter().filter_map(of_app).flatten().collect()
        };
        for (app, Entry { number, recipe, .. }) in kept {
            let wanted = Wanted {
                digest: recipe.component.clone(),
                path: None,
                name: "the component of a kept generation".into(),
                apps: String::new(),
                serving: true,
                image: None,
            };
            let Ok((linked, _)) = self.components.get(&wanted).await else { continue };
            let code = Code::at_hand(linked, &self.components, &wanted, &recipe, &app.routes).await;
            if let (Some(code), Some(ledger)) = (code, self.book().apps.get_mut(&app.name)) {
                for kept in ledger.kept.iter_mut().filter(|kept| kept.number == number) {
                    kept.code = Some(code.clone());
                }
            }
        }
    }
}

/// The digest of each app's component.
fn digests(plan: &Plan, known: &mut Digests) -> Result<Vec<ComponentDigest>> {
    let mut report = Report::default();
    let found: Vec<Option<ComponentDigest>> = plan
        .apps
        .iter()
        .map(|app| known.of_file(&app.component).map_err(|error| report.push(unreadable(app, &error))).ok())
        .collect();
    if report.has_errors() { Err(Unfit(report).into()) } else { Ok(found.into_iter().flatten().collect()) }
}

fn wanted(app: &plan::App, digest: &ComponentDigest, path: &std::path::Path) -> Wanted {
    Wanted {
        digest: digest.clone(),
        path: Some(path.to_owned()),
        name: path.display().to_string(),
        apps: app.name.to_string(),
        serving: false,
        image: None,
    }
}

/// What the generations need that serve, and the canaries.
fn wanted_by(plan: &Plan, ledgers: &BTreeMap<Arc<str>, Ledger>, state: &State) -> Vec<Wanted> {
    let of_app = |app: &plan::App| {
        let ledger = ledgers.get(&app.name)?;
        let canary = ledger.canary.as_ref().map(|(_, entry)| entry);
        let entries = [&ledger.serving].into_iter().chain(canary);
        let wanted = entries.map(|entry| wanted_for(app, entry, &ledger.manifest.component, state));
        Some(wanted.collect::<Vec<_>>())
    };
    plan.apps.iter().filter_map(of_app).flatten().collect()
}

/// What a generation needs, under a manifest that names the component `manifest`.
fn wanted_for(app: &plan::App, entry: &Entry, manifest: &ComponentDigest, state: &State) -> Wanted {
    let digest = &entry.recipe.component;
    let wanted = wanted(app, digest, &app.component);
    if digest == manifest {
        return wanted;
    }
    let name = format!("the component of generation {}", entry.number);
    Wanted { path: state.components.path(digest), name, ..wanted }
}

/// Takes the images that the generations want which serve, and the canaries: several at once.
async fn take_images(
    plan: &Plan,
    ledgers: &mut BTreeMap<Arc<str>, Ledger>,
    brought: &Brought,
    components: &Components,
    state: &State,
) {
    let apps: BTreeMap<&str, &plan::App> = plan.apps.iter().map(|app| (&*app.name, app)).collect();
    let entries = ledgers.iter_mut().flat_map(|(name, ledger)| {
        let canary = ledger.canary.as_mut().map(|(_, entry)| entry);
        let manifest = ledger.manifest.component.clone();
        let entries = [&mut ledger.serving].into_iter().chain(canary);
        entries.map(move |entry| (name, entry, manifest.clone()))
    });
    let wanting = entries.filter_map(|(name, entry, manifest)| {
        let app = *apps.get(&**name)?;
        let linked = brought.get(&entry.recipe.component)?.as_ref().ok()?.clone();
        Some((app, linked, wanted_for(app, entry, &manifest, state), entry))
    });
    futures::stream::iter(wanting)
        .for_each_concurrent(LOADING_MAX, |(app, linked, wanted, entry)| async move {
            let (number, recipe) = (entry.number, &entry.recipe);
            entry.code = Some(Code::new(linked, components, &wanted, number, recipe, &app.routes).await);
        })
        .await;
}

/// Brings components in, each once, for all apps that want it.
async fn bring_in(components: &Components, wanted: Vec<Wanted>) -> Brought {
    let mut merged: BTreeMap<ComponentDigest, Wanted> = BTreeMap::new();
    for one in wanted {
        match merged.get_mut(&one.digest) {
            Some(known) => {
                known.apps.push_str(", ");
                known.apps.push_str(&one.apps);
                known.path = known.path.take().or(one.path);
            }
            None => {
                merged.insert(one.digest.clone(), one);
            }
        }
    }
    futures::stream::iter(merged.into_values())
        .map(|wanted| async move {
            let linked = components.get(&wanted).await.map(|(linked, _)| linked);
            (wanted.digest, linked)
        })
        .buffer_unordered(LOADING_MAX)
        .collect()
        .await
}

/// Has apps serve what the manifest says whose swapped-in component is not to be had. True where there is one.
fn fall_back(ledgers: &mut BTreeMap<Arc<str>, Ledger>, brought: &Brought) -> bool {
    let mut any = false;
    for (app, ledger) in ledgers {
        if ledger.serving.recipe.component != ledger.manifest.component
            && let Some(Err(error)) = brought.get(&ledger.serving.recipe.component)
        {
            let generation = ledger.serving.number;
            tracing::error!(app = &**app, generation, "is given up for what the manifest says: {error:#}");
            ledger.fall_back();
            any = true;
        }
    }
    any
}

/// The apps of the first house.
fn tenants(
    plan: &Plan,
    ledgers: &mut BTreeMap<Arc<str>, Ledger>,
    brought: &Brought,
    stores: &Registry,
    engine: &Arc<Engine>,
) -> Result<Vec<Tenant>> {
    let mut report = Report::default();
    let mut tenants = Vec::new();
    for app in &plan.apps {
        let Some(ledger) = ledgers.get_mut(&app.name) else { continue };
        let generation = |entry: &mut Entry| match brought.get(&entry.recipe.component) {
            Some(Err(error)) => Err(format!("{error:#}")),
            _ => {
                let code = entry.code.clone().ok_or("it was not brought in")?;
                let recipe = entry.recipe.clone();
                let stats = (entry.stats.clone(), stores.of(&app.name));
                let id = (app.name.clone(), entry.number);
                Ok(Arc::new(Generation::new(id, recipe, code, &app.routes, stats, engine)))
            }
        };
        let serving = match generation(&mut ledger.serving) {
            Ok(serving) => serving,
            Err(why) => {
                report.push(unfit(app, &why));
                continue;
            }
        };
        let canary = match &mut ledger.canary {
            Some((share, entry)) => match generation(entry) {
                Ok(generation) => Some(Canary { generation, share: *share }),
                Err(why) => {
                    tracing::error!(app = &*app.name, generation = entry.number, "the canary is gone: {why}");
                    None
                }
            },
            None => None,
        };
        if canary.is_none() {
            ledger.canary = None;
        }
        tenants.push(Tenant { serving, canary });
    }
    if report.has_errors() { Err(Unfit(report).into()) } else { Ok(tenants) }
}

/// What is to be said of a component file that cannot be read.
pub(super) fn unreadable(app: &plan::App, error: &anyhow::Error) -> Problem {
    let problem = match app.source {
        Some(_) if !app.component.exists() => {
            Problem::error(format!("the component of `{}` is not built yet", app.name))
                .help(format!("build it: guesthouse build {}", app.name))
        }
        _ => Problem::error(format!("the component of `{}` cannot be read: {error:#}", app.name)),
    };
    problem.at(app.place.clone(), "")
}

/// What is to be said of a component that cannot be used.
pub(super) fn unfit(app: &plan::App, why: &str) -> Problem {
    Problem::error(format!("the component of `{}` cannot be used: {why}", app.name)).at(app.place.clone(), "")
}
