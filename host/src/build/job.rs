//! The jobs of one build: apps with the same source share one. Decides what has to be built, has it built by kind,
//! and takes the results over.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use futures::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    Failure, How, Made, Outcome, js,
    progress::{Line, Progress, megabytes},
    python, rust, shell,
    store::{Store, check_component, is_placed, place},
    tool::Run,
};
use crate::plan::{App, Js, Python, Rust, Source};

/// Python builds at once: each takes a core and some 500 MB.
const PYTHON_AT_ONCE: usize = 2;

/// One component to make.
#[derive(Debug)]
pub(super) struct Job<'a> {
    source: &'a Source,
    /// Those that use it; at least one.
    apps: Vec<&'a App>,
}

/// What jobs need.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    pub(super) store: &'a Store,
    pub(super) progress: &'a Progress,
    /// The manifest's.
    pub(super) folder: &'a Path,
    pub(super) stop: &'a CancellationToken,
}

type Results = (Vec<Outcome>, Vec<Failure>);

impl<'a> Job<'a> {
    /// The jobs that these apps come to.
    pub(super) fn of(apps: Vec<&'a App>) -> Vec<Job<'a>> {
        let mut jobs: Vec<Job<'a>> = Vec::new();
        for app in apps {
            let Some(source) = &app.source else { continue };
            match jobs.iter_mut().find(|job| job.source == source) {
                Some(job) => job.apps.push(app),
                None => jobs.push(Job { source, apps: vec![app] }),
            }
        }
        jobs
    }

    /// Names what is done, not what it is done to: of the same recipe, the sources may have changed.
    pub(super) fn recipe(&self) -> Option<String> {
        let mut hasher = Sha256::new();
        match self.source {
            Source::Python(python) => {
                python::digest_recipe(python, &mut hasher);
                let place = format!("{:?} {:?}", python.dir, python.requirements);
                hasher.update(place);
            }
            Source::Rust(rust) => rust::digest_recipe(rust, &mut hasher),
            Source::Js(js) => {
                js::digest_recipe(js, &mut hasher);
                hasher.update(format!("{:?}", js.root));
            }
            Source::Command { .. } => return None,
        }
        Some(hex::encode(hasher.finalize()))
    }

    fn kind(&self) -> &'static str {
        match self.source {
            Source::Python(_) => "python",
            Source::Rust(_) => "rust",
            Source::Js(_) => "js",
            Source::Command { .. } => "command",
        }
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.apps.iter().map(|app| app.name.clone()).collect()
    }

    fn label(&self) -> String {
        label(&self.names())
    }

    /// Where the component's copies are wanted, once each.
    fn places(&self) -> Vec<&'a Path> {
        let mut places: Vec<&Path> = self.apps.iter().map(|app| app.component.as_path()).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    fn outcomes(&self, how: How, bytes: u64) -> Vec<Outcome> {
        self.apps.iter().map(|app| Outcome { app: app.name.clone(), how, bytes }).collect()
    }

    fn failure(&self, error: anyhow::Error) -> Failure {
        Failure { apps: self.names(), error }
    }
}

pub(super) fn label(names: &[Arc<str>]) -> String {
    names.join(", ")
}

impl<'a> Builder<'a> {
    /// Splits off the jobs for which nothing has to be built, and sees that their components are in place.
    pub(super) fn settle(&self, jobs: Vec<Job<'a>>) -> (Vec<Outcome>, Vec<Job<'a>>) {
        let (mut outcomes, mut stale) = (Vec::new(), Vec::new());
        for job in jobs {
            // Whatever cannot be read here will be missed again by the build, which reports it.
            match self.fresh(&job).and_then(|kept| kept.map(|kept| self.put(&job, &kept)).transpose()) {
                Ok(Some((how, bytes))) => {
                    for name in job.names() {
                        self.progress.note(&match how {
                            How::UpToDate => format!("{name} is up to date"),
                            _ => format!("{name} is in the cache ({})", megabytes(bytes)),
                        });
                    }
                    outcomes.extend(job.outcomes(how, bytes));
                }
                Ok(None) | Err(_) => stale.push(job),
            }
        }
        (outcomes, stale)
    }

    /// The component in the cache, if its sources are what they were.
    fn fresh(&self, job: &Job<'_>) -> Result<Option<PathBuf>> {
        let Some(recipe) = job.recipe() else { return Ok(None) };
        if let Some(stamp) = self.store.stamp(&recipe) {
            let now = stamp.inputs.again()?;
            if now.same_content(&stamp.inputs)
                && let Some(kept) = self.store.stamped(&stamp)
            {
                if now.is_news() {
                    self.store.write_stamp(&recipe, now, &stamp.component)?;
                }
                return Ok(Some(kept));
            }
        }
        let (inputs, key) = match job.source {
            Source::Python(python) => {
                let inputs = python::inputs(python)?;
                let key = python::key(python, &inputs);
                (inputs, key)
            }
            Source::Js(js) => {
                let inputs = js::inputs(js)?;
                let key = js::key(js, &inputs);
                (inputs, key)
            }
            Source::Rust(_) | Source::Command { .. } => return Ok(None),
        };
        let kept = self.store.component(&key);
        if kept.is_some() {
            self.store.write_stamp(&recipe, inputs, &key)?;
        }
        Ok(kept)
    }

    fn put(&self, job: &Job<'_>, kept: &Path) -> Result<(How, u64)> {
        let mut how = How::UpToDate;
        for target in job.places() {
            if !is_placed(kept, target) {
                place(kept, target)?;
                how = How::Cached;
            }
        }
        Ok((how, check_component(kept)?))
    }

    /// Builds all jobs: those of Python and Rust beside each other, since they use different tools; then those of JavaScript
    /// one by one, and the commands, which may use what the others have made. None begins any more once the build is to stop.
    pub(super) async fn build(&self, jobs: Vec<Job<'a>>) -> Results {
        let (mut python, mut rust, mut js, mut commands) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for job in jobs {
            match job.source {
                Source::Python(source) => python.push((job, source)),
                Source::Rust(source) => rust.push((job, source)),
                Source::Js(source) => js.push((job, source)),
                Source::Command { command } => commands.push((job, command.as_str())),
            }
        }
        let (mut results, (built, failed)) = futures::join!(self.python(python), self.rust(rust));
        results.0.extend(built);
        results.1.extend(failed);
        for (job, js) in js.into_iter().take_while(|_| !self.stop.is_cancelled()) {
            let line = self.progress.start(&job.label(), job.kind());
            let made = self.js(js, &line, &self.run(&job)).await;
            add(&mut results, self.take(&job, &line, made));
        }
        for (job, command) in commands.into_iter().take_while(|_| !self.stop.is_cancelled()) {
            add(&mut results, self.command(&job, command).await);
        }
        results
    }

    async fn python(&self, jobs: Vec<(Job<'a>, &Python)>) -> Results {
        let shared = Mutex::new(());
        let (shared, mut results) = (&shared, Results::default());
        let jobs = jobs.into_iter().take_while(|_| !self.stop.is_cancelled());
        let builds = stream::iter(jobs).map(|(job, python)| async move {
            let line = self.progress.start(&job.label(), job.kind());
            let made = self.python_one(python, shared, &line, &self.run(&job)).await;
            self.take(&job, &line, made)
        });
        let mut builds = builds.buffer_unordered(PYTHON_AT_ONCE);
        while let Some(result) = builds.next().await {
            add(&mut results, result);
        }
        results
    }

    async fn python_one(
        &self,
        python: &Python,
        shared: &Mutex<()>,
        line: &Line<'_>,
        run: &Run,
    ) -> Result<Made> {
        let prepared = {
            let _one_at_a_time = shared.lock().await;
            python::prepare(python, self.store, line, run).await?
        };
        let scratch = self.store.scratch()?;
        let component = scratch.path().join("component.wasm");
        let before = python::inputs(python)?;
        python::build(python, &prepared, &component, line, run).await?;
        let inputs = before.again()?;
        let changed = before.first_change(&inputs).map(Path::to_owned);
        Ok(Made { component, key: python::key(python, &before), inputs, changed, scratch: Some(scratch) })
    }

    async fn js(&self, js: &Js, line: &Line<'_>, run: &Run) -> Result<Made> {
        let scratch = self.store.scratch()?;
        let component = scratch.path().join("component.wasm");
        let before = js::inputs(js)?;
        js::build(js, self.store, (scratch.path(), &component), line, run).await?;
        let inputs = before.again()?;
        let changed = before.first_change(&inputs).map(Path::to_owned);
        Ok(Made { component, key: js::key(js, &before), inputs, changed, scratch: Some(scratch) })
    }

    /// One call of cargo for each folder.
    async fn rust(&self, mut jobs: Vec<(Job<'a>, &Rust)>) -> Results {
        let mut results = Results::default();
        while let Some((_, first)) = jobs.first()
            && !self.stop.is_cancelled()
        {
            let dir = first.dir.clone();
            let (group, rest) = jobs.into_iter().partition(|(_, rust)| rust.dir == dir);
            jobs = rest;
            self.rust_folder(&dir, group, &mut results).await;
        }
        results
    }

    async fn rust_folder(&self, dir: &Path, jobs: Vec<(Job<'a>, &Rust)>, results: &mut Results) {
        let names: Vec<Arc<str>> = jobs.iter().flat_map(|(job, _)| job.names()).collect();
        let Some((first, _)) = jobs.first() else { return };
        let line = self.progress.start(&label(&names), first.kind());
        let wanted: Vec<&Rust> = jobs.iter().map(|(_, rust)| *rust).collect();
        match rust::build(dir, &wanted, self.store, &line, &self.run(first)).await {
            Ok(made) => {
                for ((job, _), made) in jobs.iter().zip(made) {
                    add(results, self.take(job, &line, made));
                }
            }
            Err(error) => {
                self.failed(&label(&names));
                results.1.push(Failure { apps: names, error });
            }
        }
    }

    async fn command(&self, job: &Job<'a>, command: &str) -> Result<Vec<Outcome>, Failure> {
        let line = self.progress.start(&job.label(), job.kind());
        let made = shell::build(command, self.folder, &job.places(), &self.run(job)).await;
        self.conclude(job, &line, made)
    }

    /// Keeps what a tool has made, and puts it in place.
    fn take(&self, job: &Job<'_>, line: &Line<'_>, made: Result<Made>) -> Result<Vec<Outcome>, Failure> {
        let taken = made.and_then(|made| {
            let bytes = check_component(&made.component)?;
            match (&made.changed, job.recipe()) {
                (None, Some(recipe)) => {
                    let kept = self.store.keep(&made.key, &made.component)?;
                    self.store.write_stamp(&recipe, made.inputs, &made.key)?;
                    self.put(job, &kept)?;
                }
                (changed, _) => {
                    self.put(job, &made.component)?;
                    if let Some(path) = changed {
                        let label = job.label();
                        let path = path.display();
                        self.progress
                            .note(&format!("{label}: {path} changed meanwhile; build again to be sure"));
                    }
                }
            }
            drop(made.scratch);
            Ok(bytes)
        });
        self.conclude(job, line, taken)
    }

    fn conclude(&self, job: &Job<'_>, line: &Line<'_>, bytes: Result<u64>) -> Result<Vec<Outcome>, Failure> {
        let (label, elapsed) = (job.label(), line.elapsed());
        match bytes {
            Ok(bytes) => {
                let seconds = elapsed.as_secs_f64();
                self.progress.note(&format!("built {label} in {seconds:.1} s ({})", megabytes(bytes)));
                Ok(job.outcomes(How::Built(elapsed), bytes))
            }
            Err(error) => {
                self.failed(&label);
                Err(job.failure(error))
            }
        }
    }

    /// Says so at once; the reasons come at the end.
    fn failed(&self, label: &str) {
        if !self.stop.is_cancelled() {
            self.progress.note(&format!("{label} failed"));
        }
    }

    fn run(&self, job: &Job<'_>) -> Run {
        let name = job.apps.first().map_or("build", |app| &app.name);
        Run::new(self.store.path("logs").join(name).with_extension("log"), self.stop)
    }
}

fn add(results: &mut Results, result: Result<Vec<Outcome>, Failure>) {
    match result {
        Ok(outcomes) => results.0.extend(outcomes),
        Err(failure) => results.1.push(failure),
    }
}
