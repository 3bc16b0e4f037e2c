//! The first step of a reload: the manifest is read, and compared with what serves.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

use anyhow::Result;

use super::{
    Manager,
    book::Ledger,
    change::{Reason, Refusal},
    refusal,
};
use crate::{
    engine::cache::ComponentDigest,
    generation::Recipe,
    plan::{self, Plan},
    report::Level,
};

/// What a reload comes to before anything is proven.
pub(super) struct Draft {
    pub(super) plan: Plan,
    /// Of each app of the plan, in its order.
    pub(super) drafts: Vec<AppDraft>,
    /// Warnings about the manifest.
    pub(super) notes: Vec<String>,
}

pub(super) struct AppDraft {
    pub(super) name: Arc<str>,
    /// What the manifest says now.
    pub(super) manifest: Option<Arc<Recipe>>,
    /// What is to serve, where that is something else than now.
    pub(super) wanted: Option<Arc<Recipe>>,
    /// Whether the app's entry in the manifest is another one, and not its component's file alone.
    pub(super) entry_changed: bool,
    /// What of the app's entry changes in the house alone, and makes no generation.
    pub(super) of_the_house: Vec<String>,
    pub(super) unreadable: Option<String>,
    /// The generation that served when this was drafted.
    pub(super) serving: Option<u64>,
}

impl Manager {
    /// Reads the manifest and finds out what is to change.
    pub(super) fn draft(&self) -> Result<Draft, Refusal> {
        let env = |name: &str| std::env::var(name).ok();
        let loaded = Plan::load(&self.source.manifest, &env);
        let (mut plan, report) = loaded.map_err(|report| refusal(Reason::Unfit, report.render(false)))?;
        if !self.source.listen.is_empty() {
            plan.listeners.clone_from(&self.source.listen);
        }
        if let Some(dev) = &self.source.dev {
            (dev.adjust)(&mut plan);
        }
        let report = report.at_least(Level::Warning);
        let mut notes: Vec<String> = (!report.is_empty()).then(|| report.render(false)).into_iter().collect();
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<_> = plan.apps.iter().map(|app| digests.of_file(&app.component)).collect();
        drop(digests);
        let book = self.book();
        notes.extend(needs_restart(&book.plan, &plan));
        let drafts = plan.apps.iter().zip(found).map(|(app, digest)| {
            let before = book.app(&app.name).map(|(_, before)| before);
            draft_app(app, before, book.apps.get(&app.name), digest)
        });
        let drafts = drafts.collect();
        Ok(Draft { plan, drafts, notes })
    }
}

/// What is to become of an app.
fn draft_app(
    app: &plan::App,
    before: Option<&plan::App>,
    ledger: Option<&Ledger>,
    digest: Result<ComponentDigest>,
) -> AppDraft {
    let changed = |key: &str, changed: bool| changed.then(|| key.to_owned());
    let of_the_house: Vec<String> = before.map_or_else(Vec::new, |before| {
        let routes = changed("routes", before.routes != app.routes);
        routes.into_iter().chain(changed("static", before.statics != app.statics)).collect()
    });
    let in_the_house = !of_the_house.is_empty();
    let mut draft = AppDraft {
        name: app.name.clone(),
        manifest: None,
        wanted: None,
        entry_changed: true,
        of_the_house,
        unreadable: None,
        serving: ledger.map(|ledger| ledger.serving.number),
    };
    let digest = match digest {
        Ok(digest) => digest,
        Err(error) => {
            draft.entry_changed =
                before.is_none_or(|before| before.component != app.component) || in_the_house;
            draft.unreadable = Some(format!("{error:#}"));
            return draft;
        }
    };
    let manifest = Arc::new(Recipe::of(app, digest));
    if let Some(ledger) = ledger {
        let differs = manifest.differs(&ledger.manifest);
        let file_alone =
            differs == ["component"] && before.is_some_and(|before| before.component == app.component);
        draft.entry_changed = in_the_house || !(differs.is_empty() || file_alone);
        let wanted = ledger.serving.recipe.changed(&ledger.manifest, &manifest);
        draft.wanted = (wanted != *ledger.serving.recipe).then(|| Arc::new(wanted));
    } else {
        draft.wanted = Some(manifest.clone());
    }
    draft.manifest = Some(manifest);
    draft
}

/// Changes of the manifest that a running house cannot take up.
fn needs_restart(before: &Plan, now: &Plan) -> Vec<String> {
    let keys: BTreeMap<&str, bool> = [
        ("server.log", before.server.log != now.server.log),
        ("host.cache-dir", before.cache_dir != now.cache_dir),
        ("host.state-dir", before.state_dir != now.state_dir),
        ("host.watch", before.watch != now.watch),
        ("listen.admin", before.admin != now.admin),
    ]
    .into();
    let changed = keys.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(key, _)| format!("`{key}` has changed, and takes effect with a restart")).collect()
}
