//! What a workshop knows of each app: how its sources looked when they were taken up, and what went wrong since.

use std::{collections::BTreeMap, sync::Arc};

use super::looks::{self, Looks};
use crate::{
    build::{self, Outcome, sources::Sources},
    notices::{Board, Notice, Notices, Post},
    plan::{App, Plan, Source},
};

/// One app under work.
#[derive(Debug, Default)]
struct Work {
    source: Option<Source>,
    sources: Sources,
    /// How often its mounted files have changed.
    version: u64,
    not_built: Option<String>,
    not_started: Option<String>,
    notice: Option<Arc<Notice>>,
}

pub(super) struct Bench {
    /// The plan that was taken up last, with all apps.
    pub(super) plan: Plan,
    files: build::sources::Files,
    works: BTreeMap<Arc<str>, Work>,
    /// Why the manifest cannot be taken up.
    bad_manifest: Option<String>,
    notices: u64,
    /// What is to be told when the notices are up.
    lines: Vec<String>,
    say: fn(&str),
}

impl Bench {
    pub(super) fn new(plan: Plan, say: fn(&str)) -> Self {
        Self {
            plan,
            files: BTreeMap::new(),
            works: BTreeMap::new(),
            bad_manifest: None,
            notices: 0,
            lines: Vec::new(),
            say,
        }
    }

    /// Has a line told, once all that it is about can be seen.
    pub(super) fn say(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    pub(super) fn version(&self, app: &str) -> u64 {
        self.works.get(app).map_or(0, |work| work.version)
    }

    /// The plan, and how its files looked when they were taken up.
    pub(super) fn seen(&self) -> (Plan, Looks) {
        let apps = self.works.iter().map(|(name, work)| (name.clone(), work.sources.clone()));
        let looks = Looks { files: self.files.clone(), apps: apps.collect() };
        (self.plan.clone(), looks)
    }

    /// The apps that have to be built.
    pub(super) fn stale(&self, plan: &Plan, looks: &Looks) -> Vec<Arc<str>> {
        let is_stale = |app: &&App| {
            let (Some(source), Some(now)) = (&app.source, looks.apps.get(&app.name)) else { return false };
            self.works.get(&app.name).is_none_or(|work| {
                work.source.as_ref() != Some(source)
                    || work.sources.built != now.built
                    || (work.not_built.is_none() && !app.component.is_file())
                    // What its files name may be what was wrong.
                    || (work.not_built.is_some() && work.sources.mounted != now.mounted)
            })
        };
        plan.apps.iter().filter(is_stale).map(|app| app.name.clone()).collect()
    }

    /// Takes note of how everything looks; returns the apps whose mounted files have changed.
    pub(super) fn take(&mut self, plan: &Plan, looks: &Looks) -> Vec<Arc<str>> {
        self.bad_manifest = None;
        self.files.clone_from(&looks.files);
        self.works.retain(|name, _| plan.apps.iter().any(|app| app.name == *name));
        let mut changed = Vec::new();
        for app in &plan.apps {
            let now = looks.apps.get(&app.name).cloned().unwrap_or_default();
            let work = self.works.entry(app.name.clone()).or_default();
            if work.sources.mounted != now.mounted {
                work.version += 1;
                changed.push(app.name.clone());
            }
            work.sources = now;
            work.source.clone_from(&app.source);
        }
        changed
    }

    /// Takes note of a manifest that cannot be taken up.
    pub(super) fn manifest_failed(&mut self, why: String, looks: Looks) {
        self.bad_manifest = Some(why);
        self.files = looks.files;
        for (name, sources) in looks.apps {
            // What was saved meanwhile is taken up with the next manifest.
            if let Some(work) = self.works.get_mut(&name).filter(|work| work.sources != sources) {
                work.source = None;
                work.version += 1;
                work.sources = sources;
            }
        }
    }

    /// Takes note of what came of a build, and says what is wrong.
    pub(super) fn built(&mut self, apps: &[Arc<str>], result: Result<Vec<Outcome>, build::Error>) {
        let mut failures: BTreeMap<Arc<str>, String> = BTreeMap::new();
        match result {
            Ok(_) => {}
            // The house ends by the same signal.
            Err(build::Error::Interrupted(_)) => return,
            Err(error) => {
                self.say(format!("error: {error}"));
                match error {
                    build::Error::Failed(list) => {
                        let of = |failure: &build::Failure| {
                            let text = failure.to_string();
                            failure.apps.iter().map(|app| (app.clone(), text.clone())).collect::<Vec<_>>()
                        };
                        failures.extend(list.iter().flat_map(of));
                    }
                    other => failures.extend(apps.iter().map(|app| (app.clone(), other.to_string()))),
                }
            }
        }
        for app in apps {
            if let Some(work) = self.works.get_mut(app) {
                work.not_built = failures.remove(app);
            }
        }
    }

    /// Looks again at the sources of apps that a command makes, which may have left something beside them.
    pub(super) fn look_again(&mut self, plan: &Plan, apps: &[Arc<str>]) {
        let commands = plan.apps.iter().filter(|app| matches!(app.source, Some(Source::Command { .. })));
        for app in commands.filter(|app| apps.contains(&app.name)) {
            if let Some(work) = self.works.get_mut(&app.name) {
                work.sources = looks::sources(plan, app);
            }
        }
    }

    /// Takes note of the apps whose new generation could not be started, and why.
    pub(super) fn not_started(&mut self, mut refused: BTreeMap<Arc<str>, String>) {
        for (name, work) in &mut self.works {
            work.not_started = refused.remove(name);
        }
    }

    /// Puts up the notices that hold now.
    pub(super) fn post(&mut self, plan: &Plan, notices: &Notices, is_served: impl Fn(&App) -> bool) {
        let mut apps = Vec::new();
        for app in &plan.apps {
            let Some(work) = self.works.get_mut(&app.name) else {
                apps.push(Post::default());
                continue;
            };
            let why = work.not_built.as_ref().or(work.not_started.as_ref());
            let text = self.bad_manifest.as_ref().or(why);
            if work.notice.as_ref().map(|notice| &notice.text) != text {
                self.notices += 1;
                let number = self.notices;
                let notice =
                    |text: &String| Arc::new(Notice { app: app.name.clone(), text: text.clone(), number });
                work.notice = text.map(notice);
            }
            apps.push(Post { is_served: is_served(app), notice: work.notice.clone() });
        }
        notices.put(Board { routes: plan.routes.clone(), apps });
        for line in self.lines.drain(..) {
            (self.say)(&line);
        }
    }
}
