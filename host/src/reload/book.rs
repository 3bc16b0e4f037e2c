//! What the house keeps account of: for each app the generation that serves, its canary, those that are kept, and what
//! the manifest says of it.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use super::change::{CanaryShare, LastReload, Trouble};
use crate::{
    generation::{Code, Recipe, Stats},
    plan::{self, Plan},
    secrets::Secrets,
    state::{SavedApp, SavedCanary, SavedGeneration, SavedHouse},
};

/// All apps, and the plan that holds.
pub(super) struct Book {
    pub(super) plan: Plan,
    pub(super) apps: BTreeMap<Arc<str>, Ledger>,
    pub(super) last_reload: Option<LastReload>,
    /// What was refused last of each app, so that a file that is no better is not compiled again and again.
    pub(super) refused: BTreeMap<Arc<str>, (Recipe, String)>,
}

/// One app.
#[derive(Clone)]
pub(super) struct Ledger {
    /// What the manifest says.
    pub(super) manifest: Arc<Recipe>,
    /// The number of the generation to come.
    pub(super) next: u64,
    pub(super) serving: Entry,
    pub(super) canary: Option<(CanaryShare, Entry)>,
    /// Those that can be gone back to, the one that served last first.
    pub(super) kept: Vec<Entry>,
    pub(super) trouble: Option<Trouble>,
}

/// One generation.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) recipe: Arc<Recipe>,
    /// What its instances are made from; not there after a restart until it is needed.
    pub(super) code: Option<Code>,
    pub(super) stats: Arc<Stats>,
    /// What made it: `start`, `manifest` or `swap`.
    pub(super) origin: String,
    pub(super) since: SystemTime,
    /// Why the house went back from it by itself.
    pub(super) failed: Option<String>,
}

impl Entry {
    pub(super) fn new(number: u64, recipe: Arc<Recipe>, origin: &str) -> Self {
        Self {
            number,
            recipe,
            code: None,
            stats: Arc::default(),
            origin: origin.to_owned(),
            since: SystemTime::now(),
            failed: None,
        }
    }

    /// Without the values of its secrets: they are read anew when it is gone back to.
    fn without_secrets(self) -> Self {
        let secrets = self.recipe.secrets.unread();
        self.with_secrets(secrets)
    }

    /// With other values of its secrets.
    pub(super) fn with_secrets(self, secrets: Secrets) -> Self {
        if self.recipe.secrets == secrets {
            return self;
        }
        Self { recipe: Arc::new(self.recipe.with_secrets(secrets)), ..self }
    }

    fn saved(&self) -> SavedGeneration {
        SavedGeneration {
            number: self.number,
            since: self.since,
            origin: self.origin.clone(),
            failed: self.failed.clone(),
            recipe: (*self.recipe).clone(),
        }
    }

    fn load(saved: SavedGeneration) -> Self {
        let SavedGeneration { number, since, origin, failed, recipe } = saved;
        Self { since, failed, ..Self::new(number, Arc::new(recipe), &origin) }
    }
}

impl Ledger {
    /// An app that serves its first generation, as the manifest has it.
    pub(super) fn first(manifest: Arc<Recipe>, origin: &str) -> Self {
        let serving = Entry::new(1, manifest.clone(), origin);
        Self { manifest, next: 2, serving, canary: None, kept: Vec::new(), trouble: None }
    }

    /// An app as it was saved, under the manifest of today: what has changed in it since then makes a new generation. Values
    /// of secrets are not saved: those that come from where they came from are not taken for changed.
    pub(super) fn load(saved: SavedApp, manifest: Arc<Recipe>, keep: usize) -> Self {
        let known = |secrets: &Secrets| secrets.filled_from(&manifest.secrets);
        let load = |saved| {
            let entry = Entry::load(saved);
            let secrets = known(&entry.recipe.secrets);
            entry.with_secrets(secrets)
        };
        let saved_manifest = saved.manifest.with_secrets(known(&saved.manifest.secrets));
        let mut ledger = Self {
            next: saved.next,
            serving: load(saved.serving),
            canary: saved.canary.map(|canary| (canary.share, load(canary.generation))),
            kept: saved.kept.into_iter().map(Entry::load).collect(),
            trouble: None,
            manifest: Arc::new(saved_manifest),
        };
        let changed = ledger.serving.recipe.changed(&ledger.manifest, &manifest);
        ledger.manifest = manifest;
        if changed != *ledger.serving.recipe {
            let number = ledger.take_number();
            ledger.serve(Entry::new(number, Arc::new(changed), "manifest"), keep);
            ledger.canary = None;
        }
        ledger
    }

    pub(super) fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Puts another generation in the place of the one that serves, which is kept.
    pub(super) fn serve(&mut self, entry: Entry, keep: usize) {
        self.kept.retain(|kept| kept.number != entry.number);
        let before = std::mem::replace(&mut self.serving, entry).without_secrets();
        self.kept.insert(0, before);
        self.kept.truncate(keep);
    }

    /// Gives up a generation that is not to be had any more, for what the manifest says.
    pub(super) fn fall_back(&mut self) {
        let number = self.take_number();
        self.serving = Entry::new(number, self.manifest.clone(), "manifest");
        self.canary = None;
    }

    /// The last generation before the one that serves that is not known to fail.
    pub(super) fn last_good(&self) -> Option<&Entry> {
        let before = |entry: &&Entry| entry.number < self.serving.number && entry.failed.is_none();
        self.kept.iter().filter(before).max_by_key(|entry| entry.number)
    }

    /// Whether there is anything that the manifest alone would not tell.
    fn is_remarkable(&self) -> bool {
        self.next > 2 || self.canary.is_some() || *self.manifest != *self.serving.recipe
    }

    fn saved(&self) -> SavedApp {
        SavedApp {
            next: self.next,
            serving: self.serving.saved(),
            canary: self
                .canary
                .as_ref()
                .map(|(share, entry)| SavedCanary { share: *share, generation: entry.saved() }),
            kept: self.kept.iter().map(Entry::saved).collect(),
            manifest: (*self.manifest).clone(),
        }
    }
}

impl Book {
    pub(super) fn saved(apps: &BTreeMap<Arc<str>, Ledger>) -> SavedHouse {
        let remarkable = apps.iter().filter(|(_, ledger)| ledger.is_remarkable());
        let apps = remarkable.map(|(name, ledger)| (name.to_string(), ledger.saved())).collect();
        SavedHouse { apps, ..SavedHouse::default() }
    }

    /// What the plan says of an app, with its place there.
    pub(super) fn app(&self, name: &str) -> Option<(usize, &plan::App)> {
        self.plan.apps.iter().enumerate().find(|(_, app)| &*app.name == name)
    }
}
