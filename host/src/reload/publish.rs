//! The last step of a change: saved, then published by putting a new house in the place of the old one.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Leaving, Manager, blocking,
    book::{Book, Entry, Ledger},
    change::Refusal,
    not_saved,
};
use crate::{
    canary::Canary,
    generation::{Generation, Stats, Trial},
    house::{House, Tenant},
    plan::{self, Plan},
    state::SavedHouse,
};

/// How often it is looked whether a generation has done its last request. A request that had found it before it was
/// replaced has begun there long before the first look.
const LOOK: Duration = Duration::from_secs(1);

/// What is to be published.
#[derive(Default)]
pub(super) struct Edition {
    pub(super) ledgers: BTreeMap<Arc<str>, Ledger>,
    /// Apps whose generations change, or that are new.
    pub(super) tenants: BTreeMap<Arc<str>, Tenant>,
    /// The plan that holds from now on, where it is another one.
    pub(super) plan: Option<Plan>,
    /// Whether the change may be published although it would be forgotten with a restart: a manifest is there still.
    pub(super) may_be_forgotten: bool,
}

/// What became of it.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) save: Duration,
    /// Why it could not be saved, where that was allowed.
    pub(super) not_saved: Option<String>,
}

impl Manager {
    /// Saves and publishes. The caller holds `changing`, and has made the ledgers of the present ones.
    ///
    /// # Errors
    /// When it cannot be saved; nothing is changed then.
    pub(super) async fn publish(self: &Arc<Self>, edition: Edition) -> Result<Published, Refusal> {
        let begun = Instant::now();
        let saved = self.saved_with(&edition);
        let manager = self.clone();
        let saved = blocking(move || manager.state.save_if_needed(&saved)).await;
        let mut published = Published { save: begun.elapsed(), not_saved: None };
        match saved {
            Ok(()) => {}
            Err(error) if edition.may_be_forgotten => published.not_saved = Some(format!("{error:#}")),
            Err(error) => return Err(not_saved(&error)),
        }
        self.put_in_place(edition);
        Ok(published)
    }

    /// The state as it will be.
    fn saved_with(&self, edition: &Edition) -> SavedHouse {
        let book = self.book();
        let mut ledgers = book.apps.clone();
        ledgers.extend(edition.ledgers.clone());
        let plan = edition.plan.as_ref().unwrap_or(&book.plan);
        let names: BTreeSet<&str> = plan.apps.iter().map(|app| &*app.name).collect();
        ledgers.retain(|name, _| names.contains(&**name));
        Book::saved(&ledgers)
    }

    fn put_in_place(self: &Arc<Self>, edition: Edition) {
        let Edition { ledgers, tenants, plan, .. } = edition;
        let before = self.current.load_full();
        let mut book = self.book();
        for (name, mut ledger) in ledgers {
            // A candidate may have taken a number while this was saved.
            let taken = book.apps.get(&name).map_or(0, |ledger| ledger.next);
            ledger.next = ledger.next.max(taken);
            book.apps.insert(name, ledger);
        }
        let house = match plan {
            Some(plan) => {
                book.plan = plan;
                self.house_of(&mut book, &before, &tenants)
            }
            None => {
                let mut house = (*before).clone();
                for tenant in &mut house.apps {
                    let Some(new) = tenants.get(&tenant.serving.app) else { continue };
                    if let Some((_, app)) = book.app(&tenant.serving.app) {
                        *tenant = self.bound(new, &app.routes);
                    }
                }
                house
            }
        };
        drop(book);
        let house = Arc::new(house);
        self.current.store(house.clone());
        self.retire(&before, &house);
    }

    /// The house of the book's plan, which is another one than before.
    fn house_of(&self, book: &mut Book, before: &House, tenants: &BTreeMap<Arc<str>, Tenant>) -> House {
        let old: BTreeMap<&str, &Tenant> =
            before.apps.iter().map(|tenant| (&*tenant.serving.app, tenant)).collect();
        let tenant = |app: &plan::App| {
            let tenant = tenants.get(&app.name).or_else(|| old.get(&*app.name).copied())?;
            Some(self.bound(tenant, &app.routes))
        };
        let apps: Vec<Tenant> = book.plan.apps.iter().filter_map(tenant).collect();
        let names: BTreeSet<Arc<str>> = book.plan.apps.iter().map(|app| app.name.clone()).collect();
        book.apps.retain(|name, _| names.contains(name));
        House {
            server: Arc::new(book.plan.server.clone()),
            routes: Arc::new(book.plan.routes.clone()),
            statics: House::statics_of(&book.plan, &apps, &before.statics),
            apps,
            counters: before.counters.clone(),
            notices: before.notices.clone(),
        }
    }

    /// An app's generations under the routes that the plan has for it.
    fn bound(&self, tenant: &Tenant, routes: &[plan::Route]) -> Tenant {
        let bound = |generation: &Arc<Generation>| match generation.routes == routes {
            true => generation.clone(),
            false => Arc::new(generation.with_routes(routes, self.components.engine())),
        };
        let canary = tenant.canary.as_ref();
        let canary =
            canary.map(|canary| Canary { generation: bound(&canary.generation), share: canary.share });
        Tenant { serving: bound(&tenant.serving), canary }
    }

    /// Lets the generations go that serve no more, with the time for their last requests that `drain-ms` says.
    fn retire(self: &Arc<Self>, before: &House, now: &House) {
        let now_serving = now.apps.iter().flat_map(Tenant::generations);
        let serving: HashSet<_> = now_serving.map(|generation| Arc::as_ptr(&generation.stats)).collect();
        let drain = now.server.drain_timeout;
        for old in before.apps.iter().flat_map(Tenant::generations) {
            if serving.contains(&Arc::as_ptr(&old.stats)) {
                continue;
            }
            let (app, number, stats) = (old.app.clone(), old.number, old.stats.clone());
            let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
            leaving.retain(|one| one.stats.in_flight() > 0);
            leaving.push(Leaving { app: app.clone(), number, stats: stats.clone() });
            drop(leaving);
            // The pools close with the generation itself, when the last request that holds a house has ended; that may
            // be a long one, and what is idle can go at once.
            old.close();
            let cut = old.cut.clone();
            tokio::spawn(async move {
                let left = left_after(drain, &stats).await;
                if left > 0 {
                    tracing::warn!(
                        app = &*app,
                        generation = number,
                        "{left} request(s) cut: not done within drain-ms = {} after the swap",
                        drain.as_millis()
                    );
                }
                cut.cancel();
            });
        }
    }

    /// Puts a new generation on trial, for as long as it is new.
    pub(super) fn try_out(&self, app: &Arc<str>, entry: &Entry) {
        let policy = self.book().app(app).map(|(_, app)| app.generations.clone());
        let Some(policy) = policy else { return };
        let age = entry.since.elapsed().unwrap_or_default();
        let Some(left) = policy.trial.checked_sub(age).filter(|left| !left.is_zero()) else { return };
        entry.stats.try_out(Trial {
            app: app.clone(),
            number: entry.number,
            until: Instant::now() + left,
            failures: policy.trial_failures,
            percent: policy.trial_percent,
            tell: self.unfit.clone(),
        });
    }

    /// An app as the house that is current has it.
    pub(super) fn tenant(&self, app: &str) -> Option<Tenant> {
        self.current.load().apps.iter().find(|tenant| &*tenant.serving.app == app).cloned()
    }
}

/// Waits until a generation that serves no more has done its last request, at most as long as it may take. Returns how
/// many are left.
async fn left_after(drain: Duration, stats: &Stats) -> usize {
    let end = tokio::time::Instant::now() + drain;
    loop {
        tokio::time::sleep_until(end.min(tokio::time::Instant::now() + LOOK)).await;
        let left = stats.in_flight();
        if left == 0 || tokio::time::Instant::now() >= end {
            return left;
        }
    }
}
