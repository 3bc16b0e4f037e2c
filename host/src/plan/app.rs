//! `[apps.NAME]`: one app, resolved.

use std::{path::PathBuf, sync::Arc};

use super::{App, Source, Wasi, limits::Layered, resolve::Resolver, routes::Placed, settings::Files};
use crate::{
    manifest::{self, Located},
    report::Problem,
    settings::Table,
};

/// What all apps share while they are resolved.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) defaults: &'a manifest::Defaults,
    pub(super) settings: Table,
    pub(super) files: Files,
    pub(super) placed: Vec<Placed>,
}

impl Resolver<'_> {
    pub(super) fn app(
        &mut self,
        index: usize,
        name: &Located<String>,
        written: &Located<manifest::App>,
        shared: &mut Shared<'_>,
    ) -> App {
        self.check_app_name(name);
        let table = &written.value;
        let key: Arc<str> = name.value.as_str().into();
        let source = self.source(written);
        let component = self.component(name, written, source.is_some());
        let named = table.component.as_ref().map(|component| &component.span);
        let built = table.source.as_ref().map(|source| &source.span);
        let place = self.place(named.or(built).unwrap_or(&name.span));
        let settings = self.settings(&shared.settings, table, &mut shared.files);
        let routes = match &table.routes {
            Some(routes) => self.routes((index, &key, &settings), routes, &mut shared.placed),
            None => Vec::new(),
        };
        let secrets = self.secrets(table, &settings, &routes);
        let limits = Layered { own: table.limits.as_ref(), base: shared.defaults.limits.as_ref() };
        self.check_limits(&limits);
        let instances = Layered { own: table.instances.as_ref(), base: shared.defaults.instances.as_ref() };
        self.check_instances(&instances);
        self.check_concurrency(table, source.as_ref());
        let base = shared.defaults.generations.as_ref();
        let generations = Layered { own: table.generations.as_ref(), base };
        self.check_generations(&generations);
        App {
            name: key,
            component,
            place,
            source,
            routes,
            settings,
            secrets,
            instances: instances.instances(),
            limits: limits.limits(),
            grants: self.grants(&name.value, table.grants.as_ref()),
            statics: Arc::new(self.statics(table.statics.as_ref())),
            probe: table.probe.as_ref().map(|probe| self.probe(probe)),
            generations: generations.generations(),
        }
    }

    /// The component file (absolute). That it is not there is an error, unless it is yet to be built.
    fn component(
        &mut self,
        name: &Located<String>,
        written: &Located<manifest::App>,
        has_source: bool,
    ) -> PathBuf {
        let table = &written.value;
        let path = match &table.component {
            Some(component) if is_reference(&component.value) => {
                let message = "components from a registry are not in this version yet";
                self.error(&component.span, message, "fetch the component and name its file");
                return PathBuf::new();
            }
            Some(component) => self.path(component),
            None if has_source => {
                Some(self.dir.join(".guesthouse/components").join(format!("{}.wasm", name.value)))
            }
            // What is wrong with the source has been said.
            None if self.unread.hides(&written.span) || table.source.is_some() => None,
            None => {
                let message = format!("the app `{}` has neither a component nor a source", name.value);
                self.error(
                    &name.span,
                    message,
                    "add `component = \"app.wasm\"`, or `source = { ... }` to have it built",
                );
                None
            }
        };
        let Some(path) = path else { return PathBuf::new() };
        if !path.is_file() {
            self.no_component(&path, name, table);
        }
        path
    }

    fn no_component(&mut self, path: &std::path::Path, name: &Located<String>, table: &manifest::App) {
        let shown = self.shown(path);
        let span = table.component.as_ref().map(|component| &component.span);
        if let Some(source) = &table.source {
            let place = self.place(span.unwrap_or(&source.span));
            let problem =
                Problem::note(format!("the component of the app `{}` is not built yet", name.value))
                    .at(place, "")
                    .help(format!("build it: guesthouse build {}", name.value));
            self.report.push(problem);
        } else if let Some(span) = span {
            let what = if path.exists() { "is no file" } else { "does not exist" };
            let message = format!("the component `{shown}` {what}");
            let help = format!("name the .wasm file; relative paths begin at {}", self.dir.display());
            self.error(span, message, help);
        }
    }

    fn check_concurrency(&mut self, table: &manifest::App, source: Option<&Source>) {
        let concurrency = table.instances.as_ref().and_then(|table| table.value.concurrency.as_ref());
        let Some(concurrency) = concurrency.filter(|concurrency| concurrency.value > 1) else { return };
        if let Some(Source::Python(python)) = source
            && python.wasi == Wasi::P2
        {
            self.warning(
                &concurrency.span,
                "`concurrency` does nothing here: an instance of WASI 0.2 serves one request at a time",
                "remove it, or build for WASI 0.3: source = { ..., wasi = \"0.3\" }",
            );
        }
    }
}

/// Whether a component is named by an OCI reference.
fn is_reference(component: &str) -> bool {
    component.starts_with("oci:") || component.contains("@sha256:")
}
