//! The reload: the manifest is read again, and the house becomes what it says. Only what changed is touched.
//!
//! A manifest that changed is taken as a whole or not at all. Where it is the file of a component that changed, under an
//! entry that did not, that app alone keeps its old generation if the file is no good.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Instant, SystemTime},
};

use anyhow::Result;
use futures::StreamExt;

use super::{
    Manager, blocking,
    book::{Entry, Ledger},
    change::{Action, Change, LastReload, Reason, Refusal, Reloaded},
    draft::Draft,
    gate::{Candidate, Proven},
    publish::Edition,
    refusal, rfc3339,
    start::{unfit, unreadable},
    swap::{entry, log},
};
use crate::{
    engine::cache::ComponentDigest,
    generation::Recipe,
    house::Tenant,
    plan::{self, ListenAddr, Plan},
    report::Report,
    server::Bound,
};

/// Why a reload came to nothing.
enum Halt {
    /// An app was changed by another while its candidate was being proven: all is to be drafted again.
    Stale,
    Refused(Refusal),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// An app's candidate, and what became of it.
type Outcome = (usize, Result<Proven, String>);

impl Manager {
    pub(super) async fn do_reload(self: &Arc<Self>, by: &'static str) -> Result<Reloaded, Refusal> {
        let _reloading = self.reloading.lock().await;
        let begun = Instant::now();
        let result = loop {
            match self.reload_now(by).await {
                Ok(reloaded) => break Ok(reloaded),
                Err(Halt::Refused(refusal)) => break Err(refusal),
                Err(Halt::Stale) => {}
            }
        };
        let mut last = LastReload { at: rfc3339(SystemTime::now()), by: by.to_owned(), refused: None };
        match &result {
            Ok(reloaded) => {
                for change in &reloaded.changes {
                    if change.action != Action::Refused {
                        log(change, by);
                    }
                }
                for note in &reloaded.notes {
                    tracing::warn!(by, "{note}");
                }
            }
            Err(refusal) => {
                tracing::error!(by, action = "refused", "the manifest is not taken up: {}", refusal.message);
                last.refused = Some(refusal.message.clone());
            }
        }
        let idle = |reloaded: &Reloaded| {
            let Reloaded { changes, listeners_added, listeners_removed, notes, .. } = reloaded;
            changes.is_empty()
                && listeners_added.is_empty()
                && listeners_removed.is_empty()
                && notes.is_empty()
        };
        // A file that was touched, and says what it said before, is not worth a word.
        if by != "watch" || !result.as_ref().is_ok_and(idle) {
            self.book().last_reload = Some(last);
        }
        result.map(|reloaded| Reloaded { took_ms: begun.elapsed().as_secs_f64() * 1e3, ..reloaded })
    }

    async fn reload_now(self: &Arc<Self>, by: &'static str) -> Result<Reloaded, Halt> {
        let manager = self.clone();
        let draft = blocking(move || Ok(manager.draft())).await;
        let draft = draft.map_err(|error| refusal(Reason::Unfit, format!("{error:#}")))??;
        let outcomes = self.prove_all(&draft, by).await;
        self.refuse_whole(&draft, &outcomes)?;
        let bound = self.bind(&draft.plan).await?;
        self.take_up(draft, outcomes, bound).await
    }

    /// Leads every candidate through the gate, two at a time.
    async fn prove_all(self: &Arc<Self>, draft: &Draft, by: &'static str) -> Vec<Outcome> {
        let wanting = draft.drafts.iter().zip(&draft.plan.apps).enumerate();
        let wanting: Vec<_> = wanting
            .filter_map(|(index, (draft, app))| Some((index, draft.wanted.clone()?, app.clone())))
            .collect();
        futures::stream::iter(wanting)
            .map(|(index, recipe, app)| async move { (index, self.prove_one(recipe, &app, by).await) })
            .buffer_unordered(2)
            .collect()
            .await
    }

    async fn prove_one(
        self: &Arc<Self>,
        recipe: Arc<Recipe>,
        app: &plan::App,
        by: &'static str,
    ) -> Result<Proven, String> {
        if by == "watch"
            && let Some((refused, why)) = self.book().refused.get(&app.name)
            && *refused == *recipe
        {
            return Err(why.clone());
        }
        let number = match self.book().apps.get_mut(&app.name) {
            Some(ledger) => ledger.take_number(),
            None => 1,
        };
        let (digest, store) = (recipe.component.clone(), self.clone());
        let component = app.component.clone();
        // A copy of its own: the file may be overwritten before the generation is gone back to.
        let path = blocking(move || match store.state.components.path(&digest) {
            Some(path) => Ok(path),
            None => store.keep_copy(&component, &digest),
        })
        .await;
        let path = path.unwrap_or_else(|error| {
            tracing::debug!("{error:#}");
            app.component.clone()
        });
        let running = self.tenant(&app.name).map_or(0, |tenant| tenant.serving.stats.instances());
        let candidate = Candidate {
            app: app.name.clone(),
            number,
            recipe: recipe.clone(),
            path: Some(path),
            name: app.component.display().to_string(),
            routes: app.routes.clone(),
            probe: app.probe.clone(),
            instances: running.max(1),
        };
        let result = self.prove(candidate).await;
        let mut book = self.book();
        match &result {
            Ok(_) => {
                book.refused.remove(&app.name);
            }
            Err(why) => {
                book.refused.insert(app.name.clone(), ((*recipe).clone(), why.clone()));
                drop(book);
                self.give_back(&app.name, number);
                self.state.components.forget(&recipe.component);
            }
        }
        result
    }

    /// Copies a component into the store, if it still is the one that is wanted.
    fn keep_copy(&self, component: &Path, digest: &ComponentDigest) -> Result<PathBuf> {
        self.state.prepare()?;
        let (copied, path) = self.state.components.copy(component)?;
        if copied == *digest {
            return Ok(path);
        }
        self.state.components.forget(&copied);
        anyhow::bail!("{} changed while it was copied", component.display())
    }

    /// Refuses the whole manifest where an entry that is new or changed cannot be served, or where there is nothing else
    /// in it that could be taken up.
    fn refuse_whole(&self, draft: &Draft, outcomes: &[Outcome]) -> Result<(), Refusal> {
        let mut report = Report::default();
        let mut grave = false;
        let failed = |index: usize| {
            outcomes.iter().find_map(|(of, result)| result.as_ref().err().filter(|_| *of == index))
        };
        let mut refused = Vec::new();
        for (index, (one, app)) in draft.drafts.iter().zip(&draft.plan.apps).enumerate() {
            let problem = match (&one.unreadable, failed(index)) {
                (Some(why), _) => unreadable(app, &anyhow::anyhow!("{why}")),
                (None, Some(why)) => unfit(app, why),
                (None, None) => continue,
            };
            grave |= one.entry_changed;
            refused.push((one.name.clone(), problem.message().to_owned()));
            report.push(problem);
        }
        let text = report.render(false);
        let changes_else = draft.drafts.iter().enumerate().any(|(index, one)| {
            (one.wanted.is_some() && failed(index).is_none() && one.unreadable.is_none())
                || !one.of_the_house.is_empty()
        });
        let book = self.book();
        let others = changes_else
            || draft.plan.apps.len() != book.plan.apps.len()
            || draft.plan.listeners != book.plan.listeners;
        drop(book);
        for (app, why) in &refused {
            self.refuse(app, Reason::Unfit, why);
        }
        if refused.is_empty() || (!grave && others) { Ok(()) } else { Err(refusal(Reason::Unfit, text)) }
    }

    /// Binds the listeners that are new.
    async fn bind(&self, plan: &Plan) -> Result<Vec<Bound>, Refusal> {
        let added = beyond(&plan.listeners, &self.book().plan.listeners);
        let mut bound = Vec::new();
        for address in added {
            let listener = Bound::new(&address).await;
            bound.push(listener.map_err(|error| refusal(Reason::Unfit, format!("{error:#}")))?);
        }
        Ok(bound)
    }

    /// Publishes all of it.
    async fn take_up(
        self: &Arc<Self>,
        draft: Draft,
        outcomes: Vec<Outcome>,
        bound: Vec<Bound>,
    ) -> Result<Reloaded, Halt> {
        let Draft { plan, drafts, notes } = draft;
        let mut outcomes: HashMap<usize, Result<Proven, String>> = outcomes.into_iter().collect();
        let _changing = self.changing.lock().await;
        let served = |name: &str| self.book().apps.get(name).map(|ledger| ledger.serving.number);
        if drafts.iter().any(|one| served(&one.name) != one.serving) {
            return Err(Halt::Stale);
        }
        let mut reloaded = Reloaded { notes, ..Reloaded::default() };
        let mut edition = Edition { may_be_forgotten: true, ..Edition::default() };
        let mut fresh: Vec<(Arc<str>, Entry)> = Vec::new();
        for (index, (one, app)) in drafts.into_iter().zip(&plan.apps).enumerate() {
            let ledger = self.book().apps.get(&app.name).cloned();
            let keep = app.generations.keep;
            match (outcomes.remove(&index), one.manifest) {
                (Some(Ok(proven)), Some(manifest)) => {
                    let (ledger, change) = advance(ledger, manifest, &proven, keep, &app.name);
                    fresh.push((app.name.clone(), ledger.serving.clone()));
                    edition.ledgers.insert(app.name.clone(), ledger);
                    let tenant = Tenant { serving: Arc::new(proven.generation), canary: None };
                    edition.tenants.insert(app.name.clone(), tenant);
                    reloaded.changes.push(change);
                }
                (Some(Err(why)), _) => reloaded.changes.push(refused(&app.name, ledger.as_ref(), why)),
                (None, Some(manifest)) => {
                    if let Some(ledger) = ledger {
                        let number = ledger.serving.number;
                        edition.ledgers.insert(app.name.clone(), Ledger { manifest, ..ledger });
                        if !one.of_the_house.is_empty() {
                            let change = Change::new(&app.name, Action::Rerouted, Some(number), Some(number));
                            reloaded.changes.push(Change { differs: one.of_the_house, ..change });
                        }
                    }
                }
                (_, None) => {
                    let why = one.unreadable.unwrap_or_default();
                    reloaded.changes.push(refused(&app.name, ledger.as_ref(), why));
                }
            }
        }
        let (closed, removed) = self.differences(&plan);
        reloaded.changes.extend(removed);
        edition.plan = Some(plan);
        let published = self.publish(edition).await?;
        reloaded.notes.extend(published.not_saved.map(|why| {
            format!("the kept generations would not survive a restart (the manifest does): {why}")
        }));
        for listener in bound {
            reloaded.listeners_added.push(listener.url());
            self.server.open(listener);
        }
        reloaded.listeners_removed.extend(closed.iter().filter_map(|address| self.server.close(address)));
        for (app, entry) in fresh.iter().filter(|(_, entry)| entry.number > 1) {
            self.try_out(app, entry);
        }
        Ok(reloaded)
    }

    /// Listeners and apps that a plan has no more.
    fn differences(&self, plan: &Plan) -> (Vec<ListenAddr>, Vec<Change>) {
        let book = self.book();
        let closed = beyond(&book.plan.listeners, &plan.listeners);
        let gone = book.plan.apps.iter().filter(|app| plan.apps.iter().all(|other| other.name != app.name));
        let gone = gone.map(|app| {
            let number = book.apps.get(&app.name).map(|ledger| ledger.serving.number);
            Change::new(&app.name, Action::Removed, number, None)
        });
        (closed, gone.collect())
    }
}

/// The ledger of an app after its candidate has passed, and what that changes.
fn advance(
    ledger: Option<Ledger>,
    manifest: Arc<Recipe>,
    proven: &Proven,
    keep: usize,
    app: &str,
) -> (Ledger, Change) {
    let number = proven.generation.number;
    let Some(mut ledger) = ledger else {
        let mut ledger = Ledger::first(manifest, "manifest");
        ledger.serving = entry(proven, "manifest");
        let change = Change::new(app, Action::Added, None, Some(number));
        return (ledger, Change { took_ms: proven.took.0.clone(), ..change });
    };
    let from = ledger.serving.number;
    let differs = proven.generation.recipe.differs(&ledger.serving.recipe);
    ledger.serve(entry(proven, "manifest"), keep);
    ledger.manifest = manifest;
    ledger.canary = None;
    ledger.trouble = None;
    let change = Change::new(app, Action::Swapped, Some(from), Some(number));
    (ledger, Change { differs, took_ms: proven.took.0.clone(), ..change })
}

fn refused(app: &str, ledger: Option<&Ledger>, why: String) -> Change {
    let number = ledger.map(|ledger| ledger.serving.number);
    Change { why: Some(why), ..Change::new(app, Action::Refused, number, number) }
}

/// The addresses of one list that another has not, each as often as it is missing there.
fn beyond(these: &[ListenAddr], those: &[ListenAddr]) -> Vec<ListenAddr> {
    let mut left = those.to_vec();
    let missing = these.iter().filter(|address| match left.iter().position(|other| other == *address) {
        Some(index) => {
            left.swap_remove(index);
            false
        }
        None => true,
    });
    missing.cloned().collect()
}
