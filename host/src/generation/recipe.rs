//! What a generation is made of: the parts whose change makes the next one.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{engine::cache::ComponentDigest, plan, secrets::Secrets, settings::Settings};

/// Component, settings, secrets, grants and policy of one generation. Routes are the house's, not the generation's, but for the
/// settings that they lay over the app's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    pub component: ComponentDigest,
    pub settings: Arc<Settings>,
    /// By the route's text, where a route has settings of its own: the app's with the route's laid over them.
    pub overlays: BTreeMap<String, Arc<Settings>>,
    /// Where they come from is a part of what is saved, their values are not.
    #[serde(default, skip_serializing_if = "Secrets::is_empty")]
    pub secrets: Secrets,
    pub instances: plan::Instances,
    pub limits: plan::Limits,
    pub grants: plan::Grants,
}

impl Recipe {
    /// What the manifest says of an app whose component file has this digest.
    pub fn of(app: &plan::App, component: ComponentDigest) -> Self {
        let overlaid = app.routes.iter().filter(|route| !Arc::ptr_eq(&route.settings, &app.settings));
        Self {
            component,
            settings: app.settings.clone(),
            overlays: overlaid.map(|route| (route.text.clone(), route.settings.clone())).collect(),
            secrets: app.secrets.clone(),
            instances: app.instances.clone(),
            limits: app.limits.clone(),
            grants: app.grants.clone(),
        }
    }

    /// The same with other values of its secrets, or without.
    pub fn with_secrets(&self, secrets: Secrets) -> Self {
        Self { secrets, ..self.clone() }
    }

    /// The settings for requests of a route.
    pub fn settings_for(&self, route: &plan::Route) -> &Arc<Settings> {
        self.overlays.get(&route.text).unwrap_or(&self.settings)
    }

    /// This recipe with every part that `new` has other than `old`: a change of the manifest takes effect, and what was
    /// swapped in without the manifest stands until the manifest changes that very part.
    pub fn changed(&self, old: &Self, new: &Self) -> Self {
        fn part<T: PartialEq + Clone>(own: &T, old: &T, new: &T) -> T {
            if old == new { own.clone() } else { new.clone() }
        }
        let settings_changed = old.settings != new.settings || old.overlays != new.overlays;
        let settings = if settings_changed { new } else { self };
        Self {
            component: part(&self.component, &old.component, &new.component),
            settings: settings.settings.clone(),
            overlays: settings.overlays.clone(),
            secrets: part(&self.secrets, &old.secrets, &new.secrets),
            instances: part(&self.instances, &old.instances, &new.instances),
            limits: part(&self.limits, &old.limits, &new.limits),
            grants: part(&self.grants, &old.grants, &new.grants),
        }
    }

    /// Names of the parts in which two recipes differ.
    pub fn differs(&self, other: &Self) -> Vec<String> {
        let parts = [
            ("component", self.component != other.component),
            ("settings", self.settings != other.settings || self.overlays != other.overlays),
            ("secrets", self.secrets != other.secrets),
            ("instances", self.instances != other.instances),
            ("limits", self.limits != other.limits),
            ("grants", self.grants != other.grants),
        ];
        parts.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
    }
}
