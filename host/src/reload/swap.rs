//! Changes of one app that do not come from the manifest: swap, canary, rollback.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Instant,
};

use super::{
    Manager,
    book::{Entry, Ledger},
    change::{Action, CanaryShare, Change, Reason, Refusal, SwapRequest},
    gate::{Candidate, Proven, Stages},
    publish::Edition,
    refusal, trouble, unknown,
};
use crate::{
    canary::Canary,
    engine::{Wanted, cache::ComponentDigest},
    generation::{Code, Generation, Recipe},
    house::Tenant,
    settings::table_from_json,
};

impl Change {
    pub(super) fn new(app: &str, action: Action, from: Option<u64>, to: Option<u64>) -> Self {
        Self {
            app: app.to_owned(),
            action,
            from,
            to,
            differs: Vec::new(),
            why: None,
            took_ms: Default::default(),
        }
    }
}

impl Manager {
    pub(super) async fn do_swap(
        self: &Arc<Self>,
        app: &str,
        request: SwapRequest,
    ) -> Result<Change, Refusal> {
        let begun = Instant::now();
        check_share(request.canary.as_ref())?;
        loop {
            if let Some(mut change) = self.try_swap(app, &request).await? {
                if change.action != Action::Unchanged {
                    let mut took = Stages(change.took_ms);
                    took.add("all", begun.elapsed());
                    change.took_ms = took.0;
                    log(&change, "admin");
                }
                return Ok(change);
            }
        }
    }

    /// One attempt; `None` where the app was changed by another meanwhile, so that what is to stay as it is has to be
    /// looked at again.
    async fn try_swap(self: &Arc<Self>, app: &str, request: &SwapRequest) -> Result<Option<Change>, Refusal> {
        let (recipe, path) = self.wanted(app, request)?;
        let ledger = self.ledger(app)?;
        let from = ledger.serving.number;
        if request.canary.is_none() && ledger.canary.is_none() && *ledger.serving.recipe == recipe {
            return Ok(Some(Change::new(app, Action::Unchanged, Some(from), Some(from))));
        }
        let differs = recipe.differs(&ledger.serving.recipe);
        let candidate = self.candidate(app, Arc::new(recipe), path)?;
        let (number, digest) = (candidate.number, candidate.recipe.component.clone());
        let proven = match self.prove(candidate).await {
            Ok(proven) => proven,
            Err(why) => {
                self.give_back(app, number);
                self.state.components.forget(&digest);
                return Err(self.refuse(app, Reason::Unfit, &format!("`{app}` was not swapped: {why}")));
            }
        };
        let mut took = proven.took.clone();
        let _changing = self.changing.lock().await;
        if self.ledger(app)?.serving.number != from {
            self.give_back(app, number);
            return Ok(None);
        }
        let (action, save) = match request.canary {
            Some(share) => (Action::CanaryBegun, self.put_canary(app, share, proven).await),
            None => (Action::Swapped, self.put_serving(app, proven, "swap").await),
        };
        let save = save.map_err(|refusal| {
            self.give_back(app, number);
            self.refuse(app, refusal.reason, &refusal.message)
        })?;
        took.add("save", save);
        Ok(Some(Change { differs, took_ms: took.0, ..Change::new(app, action, Some(from), Some(number)) }))
    }

    /// What a swap asks for, and where the component's bytes are.
    fn wanted(&self, app: &str, request: &SwapRequest) -> Result<(Recipe, Option<PathBuf>), Refusal> {
        let mut recipe = (*self.ledger(app)?.serving.recipe).clone();
        if let Some(settings) = &request.settings {
            let over = table_from_json(settings)
                .map_err(|why| refusal(Reason::BadRequest, format!("the settings cannot be used: {why}")))?;
            recipe.settings = Arc::new(recipe.settings.overlaid(&over));
            if let Some(name) = recipe.secrets.clash(&recipe.settings) {
                let message = format!("`{name}` is a secret of `{app}`: it cannot be a setting as well");
                return Err(refusal(Reason::BadRequest, message));
            }
            for overlay in recipe.overlays.values_mut() {
                *overlay = Arc::new(overlay.overlaid(&over));
            }
        }
        let Some(component) = &request.component else {
            let path = self.bytes_of(app, &recipe.component);
            return Ok((recipe, path));
        };
        let digest: ComponentDigest =
            component.parse().map_err(|error| refusal(Reason::BadRequest, format!("{error}")))?;
        let path = self.state.components.path(&digest);
        if path.is_none() && self.components.in_use(&digest).is_none() {
            let message = format!("there is no component {digest}: upload it first (PUT /v1/components)");
            return Err(refusal(Reason::NotFound, message));
        }
        recipe.component = digest;
        Ok((recipe, path))
    }

    /// A candidate with the next number.
    pub(super) fn candidate(
        &self,
        app: &str,
        recipe: Arc<Recipe>,
        path: Option<PathBuf>,
    ) -> Result<Candidate, Refusal> {
        let running = self.tenant(app).map_or(0, |tenant| tenant.serving.stats.instances());
        let mut book = self.book();
        let Some((_, planned)) = book.app(app) else { return Err(unknown(app, &book.apps)) };
        let (name, routes, probe) = (planned.name.clone(), planned.routes.clone(), planned.probe.clone());
        let Some(ledger) = book.apps.get_mut(app) else { return Err(unknown(app, &book.apps)) };
        let number = ledger.take_number();
        let instances = running.max(1);
        let component = "the component".to_owned();
        Ok(Candidate { app: name, number, recipe, path, name: component, routes, probe, instances })
    }

    /// A number that came to nothing is the next one again, unless another was taken since.
    pub(super) fn give_back(&self, app: &str, number: u64) {
        if let Some(ledger) = self.book().apps.get_mut(app)
            && ledger.next == number + 1
        {
            ledger.next = number;
        }
    }

    fn keep(&self, app: &str) -> usize {
        self.book().app(app).map_or(0, |(_, app)| app.generations.keep)
    }

    /// The ledger of an app as it is now, for a change that is to be published. `changing` is held.
    fn present(&self, app: &str) -> Result<(Arc<str>, Ledger, Tenant), Refusal> {
        let ledger = self.ledger(app)?;
        let tenant = self.tenant(app).ok_or_else(|| unknown(app, &self.book().apps))?;
        Ok((tenant.serving.app.clone(), ledger, tenant))
    }

    /// Publishes a generation that has passed the gate. `changing` is held.
    async fn put_serving(
        self: &Arc<Self>,
        app: &str,
        proven: Proven,
        origin: &str,
    ) -> Result<std::time::Duration, Refusal> {
        let (name, mut ledger, _) = self.present(app)?;
        let entry = entry(&proven, origin);
        ledger.serve(entry.clone(), self.keep(app));
        ledger.canary = None;
        ledger.trouble = None;
        let tenant = Tenant { serving: Arc::new(proven.generation), canary: None };
        let published = self.publish(Edition::of(name.clone(), ledger, tenant)).await?;
        self.try_out(&name, &entry);
        Ok(published.save)
    }

    /// Publishes a canary that has passed the gate. `changing` is held.
    async fn put_canary(
        self: &Arc<Self>,
        app: &str,
        share: CanaryShare,
        proven: Proven,
    ) -> Result<std::time::Duration, Refusal> {
        let (name, mut ledger, tenant) = self.present(app)?;
        let entry = entry(&proven, "swap");
        ledger.canary = Some((share, entry.clone()));
        ledger.trouble = None;
        let canary = Some(Canary { generation: Arc::new(proven.generation), share });
        let published = self.publish(Edition::of(name.clone(), ledger, Tenant { canary, ..tenant })).await?;
        self.try_out(&name, &entry);
        Ok(published.save)
    }

    pub(super) async fn do_promote(self: &Arc<Self>, app: &str) -> Result<Change, Refusal> {
        let begun = Instant::now();
        let _changing = self.changing.lock().await;
        let (name, mut ledger, tenant) = self.present(app)?;
        let (Some((_, entry)), Some(canary)) = (ledger.canary.take(), tenant.canary) else {
            return Err(no_canary(app));
        };
        let (from, to) = (ledger.serving.number, entry.number);
        ledger.serve(entry.clone(), self.keep(app));
        let tenant = Tenant { serving: canary.generation, canary: None };
        self.publish(Edition::of(name.clone(), ledger, tenant)).await?;
        self.try_out(&name, &entry);
        Ok(done(Change::new(app, Action::Promoted, Some(from), Some(to)), begun))
    }

    /// Ends the canary; `why` where the house does so by itself.
    pub(super) async fn do_abort(
        self: &Arc<Self>,
        app: &str,
        why: Option<String>,
    ) -> Result<Change, Refusal> {
        let begun = Instant::now();
        let _changing = self.changing.lock().await;
        let (name, mut ledger, tenant) = self.present(app)?;
        let Some((_, entry)) = ledger.canary.take() else { return Err(no_canary(app)) };
        ledger.trouble = why.clone().map(trouble);
        let to = ledger.serving.number;
        self.publish(Edition::of(name, ledger, Tenant { canary: None, ..tenant })).await?;
        let change = Change::new(app, Action::Aborted, Some(entry.number), Some(to));
        Ok(done(Change { why, ..change }, begun))
    }

    /// Goes back to the generation of this number, or the last good one; `why` where the house does so by itself.
    pub(super) async fn do_rollback(
        self: &Arc<Self>,
        app: &str,
        to: Option<u64>,
        why: Option<String>,
    ) -> Result<Change, Refusal> {
        let begun = Instant::now();
        let target = self.target(app, to)?;
        let generation = self.again(app, &target).await?;
        let _changing = self.changing.lock().await;
        let (name, mut ledger, _) = self.present(app)?;
        let from = ledger.serving.number;
        let differs = generation.recipe.differs(&ledger.serving.recipe);
        ledger.serving.failed.clone_from(&why);
        // Who goes back by hand knows of its failure.
        let recipe = generation.recipe.clone();
        let target = Entry { code: Some(generation.code.clone()), recipe, failed: None, ..target };
        // The one that is left is kept as well: it may be gone back to in its turn.
        ledger.serve(target.clone(), self.keep(app).max(1));
        ledger.canary = None;
        ledger.trouble = why.clone().map(trouble);
        let tenant = Tenant { serving: Arc::new(generation), canary: None };
        self.publish(Edition::of(name, ledger, tenant)).await?;
        let change = Change::new(app, Action::RolledBack, Some(from), Some(target.number));
        Ok(done(Change { why, differs, ..change }, begun))
    }

    /// The generation to go back to.
    fn target(&self, app: &str, to: Option<u64>) -> Result<Entry, Refusal> {
        let ledger = self.ledger(app)?;
        let kept = || {
            let numbers: Vec<String> = ledger.kept.iter().map(|kept| kept.number.to_string()).collect();
            if numbers.is_empty() {
                "none is kept".into()
            } else {
                format!("kept are {}", numbers.join(", "))
            }
        };
        let serving = ledger.serving.number;
        match to {
            Some(number) if number == serving => {
                Err(refusal(Reason::Conflict, format!("generation {number} of `{app}` serves already")))
            }
            Some(number) => ledger.kept.iter().find(|kept| kept.number == number).cloned().ok_or_else(|| {
                refusal(Reason::NotFound, format!("generation {number} of `{app}` is not kept: {}", kept()))
            }),
            None => ledger.last_good().cloned().ok_or_else(|| {
                let message = format!(
                    "there is no good generation of `{app}` before {serving} to go back to: {}",
                    kept()
                );
                refusal(Reason::Conflict, message)
            }),
        }
    }

    /// A generation that has served before, to serve again. Nothing of it is compiled that is at hand.
    pub(super) async fn again(&self, app: &str, entry: &Entry) -> Result<Generation, Refusal> {
        let (name, routes) = {
            let book = self.book();
            let Some((_, planned)) = book.app(app) else { return Err(unknown(app, &book.apps)) };
            (planned.name.clone(), planned.routes.clone())
        };
        let recipe = self.with_secrets(app, entry).await?;
        let code = match &entry.code {
            Some(code) => code.clone(),
            None => {
                let wanted = Wanted {
                    digest: entry.recipe.component.clone(),
                    path: self.bytes_of(app, &entry.recipe.component),
                    name: format!("the component of generation {}", entry.number),
                    apps: app.to_owned(),
                    serving: true,
                    image: None,
                };
                let got = self.components.get(&wanted).await;
                let why = |error| format!("generation {} cannot be had any more: {error:#}", entry.number);
                let (linked, _) = got.map_err(|error| self.refuse(app, Reason::Unfit, &why(error)))?;
                Code::new(linked, &self.components, &wanted, entry.number, &entry.recipe, &routes).await
            }
        };
        let (own, engine) = ((entry.stats.clone(), self.stores.of(&name)), self.components.engine());
        Ok(Generation::new((name, entry.number), recipe, code, &routes, own, engine))
    }

    /// Where the bytes of a component may be: in the store, or where the manifest has them.
    fn bytes_of(&self, app: &str, component: &ComponentDigest) -> Option<PathBuf> {
        self.state.components.path(component).or_else(|| {
            let named = self.book().app(app).map(|(_, app)| app.component.clone())?;
            let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
            digests.of_file(&named).is_ok_and(|digest| digest == *component).then_some(named)
        })
    }
}

impl Edition {
    fn of(app: Arc<str>, ledger: Ledger, tenant: Tenant) -> Self {
        Self { ledgers: [(app.clone(), ledger)].into(), tenants: [(app, tenant)].into(), ..Self::default() }
    }
}

/// The entry of a generation that has passed the gate.
pub(super) fn entry(proven: &Proven, origin: &str) -> Entry {
    let generation = &proven.generation;
    Entry {
        code: Some(generation.code.clone()),
        stats: proven.stats.clone(),
        ..Entry::new(generation.number, generation.recipe.clone(), origin)
    }
}

fn check_share(share: Option<&CanaryShare>) -> Result<(), Refusal> {
    match share {
        Some(share) if !(share.percent > 0.0 && share.percent < 100.0) => Err(refusal(
            Reason::BadRequest,
            format!(
                "a canary serves more than 0 and less than 100 percent of the clients, not {}",
                share.percent
            ),
        )),
        _ => Ok(()),
    }
}

fn no_canary(app: &str) -> Refusal {
    let message = format!("`{app}` has no canary: begin one with `guesthouse swap {app} FILE --canary 5%`");
    refusal(Reason::Conflict, message)
}

fn done(mut change: Change, begun: Instant) -> Change {
    let mut took = Stages::default();
    took.add("all", begun.elapsed());
    change.took_ms = took.0;
    log(&change, if change.why.is_some() { "house" } else { "admin" });
    change
}

/// Says in the log what has changed.
pub(super) fn log(change: &Change, by: &str) {
    let action = serde_json::to_value(change.action).ok();
    let action = action.as_ref().and_then(|action| action.as_str()).unwrap_or_default();
    let app = &*change.app;
    let text = match (change.action, change.from, change.to) {
        (Action::Removed, ..) => format!("{app} is gone"),
        (Action::CanaryBegun, _, Some(to)) => {
            format!("generation {to} of {app} serves a part of the clients")
        }
        (Action::Aborted, Some(from), _) => format!("canary generation {from} of {app} is gone"),
        (_, Some(from), Some(to)) if from != to => format!("generation {to} of {app} serves, was {from}"),
        (_, _, Some(to)) => format!("generation {to} of {app} serves"),
        _ => action.to_owned(),
    };
    let all_ms = change.took_ms.get("all");
    match &change.why {
        Some(why) => tracing::warn!(app, generation = change.to, action, by, "{text}: {why}"),
        None => tracing::info!(app, generation = change.to, action, by, all_ms, "{text}"),
    }
}
