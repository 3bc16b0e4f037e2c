//! The form of `state.json`. An app that has never been swapped is not in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use crate::{engine::cache::ComponentDigest, generation::Recipe, reload::change::CanaryShare};

/// The version of the form.
pub(super) const VERSION: u32 = 1;

/// All apps that there is something to remember of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedHouse {
    pub version: u32,
    pub apps: BTreeMap<String, SavedApp>,
}

impl Default for SavedHouse {
    fn default() -> Self {
        Self { version: VERSION, apps: BTreeMap::new() }
    }
}

/// One app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedApp {
    /// The number of the generation to come.
    pub next: u64,
    pub serving: SavedGeneration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<SavedCanary>,
    /// The latest first.
    pub kept: Vec<SavedGeneration>,
    /// What the manifest said when this was saved: what has changed since then was changed by the operator.
    pub manifest: Recipe,
}

/// One generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedGeneration {
    pub number: u64,
    pub since: SystemTime,
    pub origin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    pub recipe: Recipe,
}

/// A generation that serves a part of the clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedCanary {
    pub share: CanaryShare,
    pub generation: SavedGeneration,
}

impl SavedHouse {
    /// The components that generations are made of.
    pub fn components(&self) -> BTreeSet<ComponentDigest> {
        self.apps.values().flat_map(SavedApp::components).collect()
    }
}

impl SavedApp {
    fn components(&self) -> impl Iterator<Item = ComponentDigest> {
        let canary = self.canary.as_ref().map(|canary| &canary.generation);
        [&self.serving].into_iter().chain(canary).chain(&self.kept).map(|one| one.recipe.component.clone())
    }
}
