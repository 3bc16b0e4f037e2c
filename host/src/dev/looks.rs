//! How all files look that a house under work is made from.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    build::sources::{Files, Sources, look},
    plan::{App, Dir, Plan},
};

/// Compared, they tell whether something has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Looks {
    /// The manifest, settings files, files of secrets, and components that nobody builds.
    pub(super) files: Files,
    pub(super) apps: BTreeMap<Arc<str>, Sources>,
}

impl Looks {
    pub(super) fn of(plan: &Plan) -> Self {
        let unbuilt = plan.apps.iter().filter(|app| app.source.is_none()).map(|app| &app.component);
        let files = [&plan.manifest].into_iter().chain(&plan.settings_files).chain(unbuilt);
        let secrets = plan.apps.iter().flat_map(|app| app.secrets.files());
        let files = files.map(PathBuf::as_path).chain(secrets);
        Self {
            files: files.map(|path| (path.to_owned(), look(path))).collect(),
            apps: plan.apps.iter().map(|app| (app.name.clone(), sources(plan, app))).collect(),
        }
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.keys().chain(self.apps.values().flat_map(Sources::paths))
    }

    pub(super) fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.apps.values().flat_map(|sources| &sources.folders)
    }
}

/// The sources of one app. What cannot be read has none, and is missed again by the build, which says so.
pub(super) fn sources(plan: &Plan, app: &App) -> Sources {
    let folder = plan.manifest.parent().unwrap_or(Path::new("/"));
    // What guests write and builds make is no source.
    let granted = plan.apps.iter().flat_map(|app| app.grants.dirs.values()).filter_map(Dir::written);
    let made = plan.apps.iter().map(|app| &app.component);
    let mut without: BTreeSet<PathBuf> = granted.chain(made).cloned().collect();
    // Where the project itself may be written to, it is watched all the same.
    without.remove(folder);
    let without: Vec<PathBuf> = without.into_iter().collect();
    Sources::of(app, folder, &plan.cache_dir, &without).unwrap_or_default()
}
