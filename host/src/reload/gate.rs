//! The gate: what a candidate has to pass before it serves. It is compiled beside the serving process, checked against
//! what the house offers, started, and asked for its probe. Nothing that serves is touched.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::Manager;
use crate::{
    dispatch,
    engine::Wanted,
    generation::{Code, Generation, Recipe, Stats},
    plan,
};

/// What is to become a generation.
pub(super) struct Candidate {
    pub(super) app: Arc<str>,
    pub(super) number: u64,
    pub(super) recipe: Arc<Recipe>,
    /// Where the component's bytes are, as far as is known.
    pub(super) path: Option<PathBuf>,
    /// What messages call the component.
    pub(super) name: String,
    pub(super) routes: Vec<plan::Route>,
    pub(super) probe: Option<plan::Probe>,
    /// Instances to have ready.
    pub(super) instances: usize,
}

/// A generation that can serve.
pub(super) struct Proven {
    pub(super) generation: Generation,
    pub(super) stats: Arc<Stats>,
    pub(super) took: Stages,
}

/// Milliseconds by stage.
#[derive(Debug, Default, Clone)]
pub(super) struct Stages(pub(super) BTreeMap<String, f64>);

impl Stages {
    pub(super) fn add(&mut self, stage: &str, took: Duration) {
        // Microseconds are enough.
        self.0.insert(stage.to_owned(), (took.as_secs_f64() * 1e6).round() / 1e3);
    }
}

impl Manager {
    /// Leads a candidate through the gate.
    ///
    /// # Errors
    /// What is wrong with it and how to mend it.
    pub(super) async fn prove(&self, candidate: Candidate) -> Result<Proven, String> {
        let Candidate { app, number, recipe, path, name, routes, probe, instances } = candidate;
        let mut took = Stages::default();
        let mut begun = Instant::now();
        let wanted = Wanted {
            digest: recipe.component.clone(),
            path,
            name,
            apps: app.to_string(),
            serving: true,
            image: None,
        };
        let got = self.components.get(&wanted).await;
        let (linked, compiled) = got.map_err(|error| format!("{error:#}"))?;
        if let Some(compiled) = compiled {
            took.add("compile", compiled);
            begun += compiled;
        }
        took.add("check", begun.elapsed());
        let begun = Instant::now();
        let code = Code::new(linked, &self.components, &wanted, number, &recipe, &routes).await;
        if recipe.instances.snapshot {
            took.add("image", begun.elapsed());
        }
        let stats: Arc<Stats> = Arc::default();
        let engine = self.components.engine();
        let own = (stats.clone(), self.stores.of(&app));
        let generation = Generation::new((app, number), recipe, code, &routes, own, engine);
        try_start(&generation, instances, &mut took).await?;
        if let Some(wanted) = &probe {
            let begun = Instant::now();
            dispatch::probe(&generation, wanted, &self.current.load().counters).await?;
            took.add("probe", begun.elapsed());
        }
        // What the probe counted is not the clients' business.
        stats.forget();
        Ok(Proven { generation, stats, took })
    }
}

async fn try_start(generation: &Generation, instances: usize, took: &mut Stages) -> Result<(), String> {
    let begun = Instant::now();
    let max = generation.recipe.limits.request;
    match tokio::time::timeout(max, generation.start(instances)).await {
        Ok(Ok(())) => {
            took.add("start", begun.elapsed());
            Ok(())
        }
        Ok(Err(failure)) => Err(format!("no instance of it can be started: {failure}")),
        Err(_) => Err(format!("no instance of it could be started within request-ms = {}", max.as_millis())),
    }
}
