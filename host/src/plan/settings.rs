//! The settings of an app from their layers: `[defaults.settings]`, `settings-file`, `settings`; and a route's overlay.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use super::resolve::Resolver;
use crate::{
    manifest::{self, Kind, Layer, Located},
    report::{Place, Problem, Source},
    settings::{Settings, Table, Value, merge},
};

/// Files of settings that have been read, so that what is wrong in one is said once, however many apps name it.
pub(super) type Files = HashMap<PathBuf, Table>;

impl Resolver<'_> {
    /// An app's settings without any route's overlay.
    pub(super) fn settings(&mut self, base: &Table, app: &manifest::App, files: &mut Files) -> Arc<Settings> {
        let mut settings = base.clone();
        if let Some(path) = &app.settings_file {
            merge(&mut settings, &self.settings_file(path, files));
        }
        if let Some(layer) = &app.settings {
            merge(&mut settings, &self.layer(layer));
        }
        Arc::new(Settings::new(settings))
    }

    /// One layer that stands in the manifest, with its variables replaced.
    pub(super) fn layer(&mut self, layer: &Layer) -> Table {
        let manifest = self.manifest.clone();
        self.table(&manifest, layer)
    }

    fn settings_file(&mut self, written: &Located<String>, files: &mut Files) -> Table {
        let Some(path) = self.path(written) else { return Table::new() };
        if let Some(table) = files.get(&path) {
            return table.clone();
        }
        let table = match std::fs::read(&path).map(String::from_utf8) {
            Ok(Ok(text)) => self.read_settings(&path, text, files.len() + 1),
            Ok(Err(error)) => {
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let at = error.utf8_error().valid_up_to();
                let source = Arc::new(Source { name: self.name(&path), text, order: files.len() + 1 });
                let problem = Problem::error("the file is not UTF-8")
                    .at(Place { source, span: at..at + 1 }, "")
                    .also(self.place(&written.span), "named here")
                    .help("save it as UTF-8: TOML knows no other encoding");
                self.report.push(problem);
                Table::new()
            }
            Err(error) => {
                let message = format!("the settings file `{}` cannot be read: {error}", self.shown(&path));
                let help =
                    format!("make it, or name another; relative paths begin at {}", self.dir.display());
                self.error(&written.span, message, help);
                Table::new()
            }
        };
        files.insert(path, table.clone());
        table
    }

    fn read_settings(&mut self, path: &std::path::Path, text: String, order: usize) -> Table {
        let source = Arc::new(Source { name: self.name(path), text, order });
        let layer = manifest::parse_settings(&source, &mut self.report);
        self.table(&source, &layer)
    }

    /// What reports call a file: as the operator would reach it from where the manifest was named.
    fn name(&self, path: &std::path::Path) -> String {
        let beside = std::path::Path::new(&self.manifest.name).parent();
        match (path.strip_prefix(&self.dir), beside) {
            (Ok(below), Some(beside)) => beside.join(below).display().to_string(),
            _ => path.display().to_string(),
        }
    }

    fn table(&mut self, source: &Arc<Source>, layer: &Layer) -> Table {
        layer.0.iter().map(|(key, value)| (key.clone(), self.value(source, value))).collect()
    }

    fn value(&mut self, source: &Arc<Source>, value: &manifest::Value) -> Value {
        match &value.value {
            Kind::Boolean(value) => Value::Boolean(*value),
            Kind::Integer(value) => Value::Integer(*value),
            Kind::Float(value) => Value::Float(*value),
            Kind::String(text) => Value::Text(self.text_of(source, text, &value.span).unwrap_or_default()),
            Kind::Datetime(text) => Value::Text(text.clone()),
            Kind::Array(values) => {
                Value::List(values.iter().map(|value| self.value(source, value)).collect())
            }
            Kind::Table(layer) => Value::Table(self.table(source, layer)),
        }
    }
}
