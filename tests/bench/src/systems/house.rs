//! Guesthouse itself: the release binary with a manifest written for the case.

use std::{
    cell::RefCell,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{START_PATIENCE, Server};
use crate::{progress, report::Row};

/// How long a house may compile.
const COMPILE_PATIENCE: Duration = Duration::from_secs(3600);

/// How the instances of an app live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// A fresh instance for each request.
    Fresh,
    /// The same, from a snapshot image.
    FreshFromImage,
    Reuse,
    ReuseFromImage,
}

/// An app of a house, reached as `NAME.localhost`.
#[derive(Debug, Clone)]
pub struct App {
    pub name: String,
    pub component: PathBuf,
    pub isolation: Isolation,
    /// Names and texts.
    pub settings: Vec<(String, String)>,
}

impl App {
    pub fn new(name: &str, component: &Path, isolation: Isolation) -> App {
        App { name: name.to_owned(), component: component.to_owned(), isolation, settings: Vec::new() }
    }

    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> App {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn host(&self) -> String {
        format!("{}.localhost", self.name)
    }

    fn write(&self, manifest: &mut String) {
        let instances = match self.isolation {
            Isolation::Fresh => "isolation = \"request\"",
            Isolation::FreshFromImage => "isolation = \"request\", snapshot = true",
            Isolation::Reuse => "isolation = \"reuse\"",
            Isolation::ReuseFromImage => "isolation = \"reuse\", snapshot = true",
        };
        let settings: Vec<String> =
            self.settings.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
        // Writing to a string does not fail.
        let _ = write!(
            manifest,
            "[apps.{}]\ncomponent = {:?}\nroutes = [\"{}\"]\ninstances = {{ {instances} }}\nsettings = {{ {} }}\n\n",
            self.name,
            self.component,
            self.host(),
            settings.join(", "),
        );
    }
}

/// A house that is not open yet: it can be opened again and again.
pub struct House {
    binary: PathBuf,
    folder: TempDir,
    /// What it warned of when it was prepared, or that it does without an image.
    warning: RefCell<Option<String>>,
}

impl House {
    /// Writes the manifest.
    pub fn of(binary: &Path, apps: &[App]) -> Result<House> {
        let folder = tempfile::tempdir().context("a folder for the house")?;
        let mut manifest = "[listen]\nhttp = \"127.0.0.1:0\"\n\n".to_owned();
        apps.iter().for_each(|app| app.write(&mut manifest));
        fs::write(folder.path().join("guesthouse.toml"), manifest)?;
        Ok(House { binary: binary.to_owned(), folder, warning: RefCell::default() })
    }

    /// Opens the house once, so that all it needs is compiled and cached from then on, and says how far it is.
    pub fn prepare(&self, what: &str) -> Result<()> {
        let mut compiled = 0;
        let heard = |line: &str| {
            if line.contains("compiled in ") {
                compiled += 1;
                if compiled % 50 == 0 {
                    progress(&format!("compiled {compiled} components of {what}"));
                }
            }
        };
        *self.warning.borrow_mut() = self.serve("info,access=off", COMPILE_PATIENCE, heard)?.stop();
        Ok(())
    }

    /// Opens the house.
    pub fn open(&self) -> Result<Server> {
        self.serve("warn", START_PATIENCE, |_| {})
    }

    /// The row, with the warning that this house printed as it was prepared, if any.
    pub fn noted(&self, row: Row) -> Row {
        match &*self.warning.borrow() {
            Some(warning) => row.note(format!("the house said: {warning}")),
            None => row,
        }
    }

    fn serve(&self, log: &str, patience: Duration, heard: impl FnMut(&str)) -> Result<Server> {
        let mut command = Command::new(&self.binary);
        command.args(["serve", "-m"]).arg(self.folder.path().join("guesthouse.toml"));
        command.env("GUESTHOUSE_LOG", log).env_remove("GUESTHOUSE_STATE_DIR");
        Server::start("guesthouse", command, "listening on http://", patience, heard)
    }
}
