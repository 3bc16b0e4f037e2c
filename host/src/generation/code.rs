//! What the instances of a generation are made from: the code of its component, and images of it where the app wants
//! them.

use std::{sync::Arc, time::Duration};

use anyhow::Result;

use super::Recipe;
use crate::{
    engine::{
        Components, Linked, Wanted, WantedImage,
        image::{self, Initial},
    },
    plan,
    settings::Settings,
};

/// An initialisation may take this many times what a request may: without an image it would be a part of the first one,
/// but at the priority of one.
const REQUESTS: u32 = 2;
/// What it may take in any case.
const WITHIN_MIN: Duration = Duration::from_secs(5);

/// The code of a component, and its images.
#[derive(Clone)]
pub struct Code {
    pub linked: Arc<Linked>,
    /// By the settings that they were taken with.
    images: Vec<(Arc<Settings>, Arc<Linked>)>,
    /// Why instances start without an image that the app wants.
    pub without_image: Option<String>,
}

/// Images by the settings that they are taken with.
type Taken = Vec<(Arc<Settings>, Result<Arc<Linked>>)>;

impl Code {
    /// Brings in the images of a generation of this number under these routes, taking those that are not in the cache.
    /// Where one cannot be taken, instances start without it, which is said in the log.
    pub async fn new(
        linked: Arc<Linked>,
        components: &Components,
        wanted: &Wanted,
        generation: u64,
        recipe: &Recipe,
        routes: &[plan::Route],
    ) -> Self {
        let mut code = Self { linked, images: Vec::new(), without_image: None };
        if !recipe.instances.snapshot {
            return code;
        }
        let app = &*wanted.apps;
        if !code.linked.initialises {
            let why = format!("it exports no {}", image::EXPORT);
            tracing::info!(app, generation, "starts without an image: {why}");
            code.without_image = Some(why);
            return code;
        }
        for (settings, image) in images(components, wanted, generation, recipe, routes).await {
            match image {
                Ok(image) => code.images.push((settings, image)),
                Err(error) => {
                    let why = format!("{error:#}");
                    if code.without_image.as_ref() != Some(&why) {
                        tracing::warn!(
                            app,
                            generation,
                            "starts without an image: {why}. Mend that, or remove `snapshot = true`"
                        );
                    }
                    code.without_image = Some(why);
                }
            }
        }
        code
    }

    /// The same where nothing has to be taken anew; otherwise nothing.
    pub async fn at_hand(
        linked: Arc<Linked>,
        components: &Components,
        wanted: &Wanted,
        recipe: &Recipe,
        routes: &[plan::Route],
    ) -> Option<Self> {
        let mut code = Self { linked, images: Vec::new(), without_image: None };
        if recipe.instances.snapshot {
            // Without its bytes, nothing is taken.
            let wanted = Wanted { path: None, ..wanted.clone() };
            for (settings, image) in images(components, &wanted, 0, recipe, routes).await {
                code.images.push((settings, image.ok()?));
            }
        }
        Some(code)
    }

    /// What instances with these settings start from.
    pub(super) fn start(&self, settings: &Arc<Settings>) -> &Arc<Linked> {
        let same = |of: &Arc<Settings>| Arc::ptr_eq(of, settings) || of == settings;
        self.images.iter().find(|(of, _)| same(of)).map_or(&self.linked, |(_, image)| image)
    }
}

/// An image for each distinct settings object of the routes.
async fn images(
    components: &Components,
    wanted: &Wanted,
    generation: u64,
    recipe: &Recipe,
    routes: &[plan::Route],
) -> Taken {
    let mut taken = Taken::new();
    for route in routes {
        let settings = recipe.settings_for(route);
        if taken.iter().any(|(of, _)| of == settings) {
            continue;
        }
        let initial = Initial {
            settings: settings.clone(),
            secrets: recipe.secrets.unread(),
            env: recipe.grants.env.clone(),
            dirs: recipe.grants.dirs.clone(),
            memory_bytes: recipe.limits.memory_bytes,
            within: (recipe.limits.request * REQUESTS).max(WITHIN_MIN),
        };
        let wanted = Wanted { image: Some(WantedImage { initial, generation }), ..wanted.clone() };
        let got = components.get(&wanted).await;
        taken.push((settings.clone(), got.map(|(image, _)| image)));
    }
    taken
}
