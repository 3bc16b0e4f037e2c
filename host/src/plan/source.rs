//! `source` of an app: how its component is built.

use super::{Js, Python, Rust, Source, Wasi, resolve::Resolver};
use crate::{
    manifest::{self, Located},
    report::Problem,
};

/// The keys of which a source has one, and the others that go with each.
const KINDS: [(&str, &[&str]); 4] = [
    ("python", &["wsgi", "requirements", "include", "wasi"]),
    ("rust", &["package"]),
    ("js", &[]),
    ("command", &[]),
];

impl Resolver<'_> {
    pub(super) fn source(&mut self, app: &Located<manifest::App>) -> Option<Source> {
        let Located { value: app, span: app_span } = app;
        let source = app.source.as_ref()?;
        self.check_kind(source)?;
        let table = &source.value;
        if let Some(dir) = &table.python {
            return self.python(dir, source).map(Source::Python);
        }
        if let Some(dir) = &table.rust {
            return self.rust(dir, table).map(Source::Rust);
        }
        if let Some(entry) = &table.js {
            return self.js(entry).map(Source::Js);
        }
        let command = table.command.as_ref()?;
        if command.value.trim().is_empty() {
            self.error(&command.span, "the command is empty", "write the command that makes the component");
        }
        if app.component.is_none() && !self.unread.hides(app_span) {
            let help = "add `component = \"...\"`, the file that the command makes";
            self.error(&source.span, "a command does not say which file it makes", help);
        }
        Some(Source::Command { command: command.value.clone() })
    }

    /// Checks that a source is of one kind, with no key of another.
    fn check_kind(&mut self, source: &Located<manifest::Source>) -> Option<()> {
        let spans = spans(&source.value);
        let span_of = |key: &str| spans.iter().find(|(name, _)| *name == key).map(|(_, span)| span.clone());
        let kinds: Vec<_> =
            KINDS.iter().filter_map(|(kind, keys)| Some((*kind, *keys, span_of(kind)?))).collect();
        match kinds.as_slice() {
            [] if self.unread.hides(&source.span) => return None,
            [] => {
                let help = "name one: python = \"DIR\", rust = \"DIR\", js = \"FILE\" or command = \"...\"";
                self.error(&source.span, "the source is of no kind", help);
                return None;
            }
            [(kind, keys, _)] => {
                for (key, span) in &spans {
                    if key != kind && !keys.contains(key) {
                        let message = format!("`{key}` does not go with a source by `{kind}`");
                        self.error(span, message, format!("remove `{key}`"));
                    }
                }
            }
            [(first, _, first_span), (second, _, second_span), ..] => {
                let problem = Problem::error(format!("the source is of two kinds, `{first}` and `{second}`"))
                    .at(self.place(second_span), "")
                    .also(self.place(first_span), "")
                    .help("keep one of them");
                self.report.push(problem);
                return None;
            }
        }
        Some(())
    }

    fn python(&mut self, dir: &Located<String>, source: &Located<manifest::Source>) -> Option<Python> {
        let table = &source.value;
        match &table.wsgi {
            Some(wsgi) => self.check_wsgi(wsgi),
            None if self.unread.hides(&source.span) => {}
            None => self.error(
                &source.span,
                "a Python source names its WSGI application",
                "add `wsgi = \"module:object\"`, such as mysite.wsgi:application",
            ),
        }
        let include = table.include.iter().flat_map(|include| &include.value);
        let include: Vec<String> = include
            .map(|module| {
                self.check_module(module);
                module.value.clone()
            })
            .collect();
        let path = self.path(dir)?;
        if !self.check_dir(&path, dir) {
            return None;
        }
        let requirements = table.requirements.as_ref().and_then(|written| {
            let file = path.join(self.text(written)?);
            if !file.is_file() {
                let message = format!("the requirements file `{}` does not exist", self.shown(&file));
                self.error(
                    &written.span,
                    message,
                    format!("make it, or name another; relative paths begin at {}", path.display()),
                );
            }
            Some(file)
        });
        Some(Python {
            dir: path,
            wsgi: table.wsgi.as_ref().map(|wsgi| wsgi.value.clone()).unwrap_or_default(),
            requirements,
            include,
            wasi: match table.wasi.as_ref().map(|wasi| wasi.value) {
                Some(manifest::Wasi::P3) => Wasi::P3,
                Some(manifest::Wasi::P2) | None => Wasi::P2,
            },
            mounted: false,
        })
    }

    fn rust(&mut self, dir: &Located<String>, table: &manifest::Source) -> Option<Rust> {
        let path = self.path(dir)?;
        if !self.check_dir(&path, dir) {
            return None;
        }
        if !path.join("Cargo.toml").is_file() {
            let message = format!("the folder `{}` has no Cargo.toml", self.shown(&path));
            self.error(&dir.span, message, "name the folder of a Cargo package or workspace");
        }
        Some(Rust { dir: path, package: table.package.as_ref().map(|package| package.value.clone()) })
    }
}

impl Resolver<'_> {
    fn js(&mut self, written: &Located<String>) -> Option<Js> {
        let entry = self.path(written)?;
        if !entry.is_file() {
            let what = if entry.exists() { "is no file" } else { "does not exist" };
            let message = format!("the module `{}` {what}", self.shown(&entry));
            let help = "name the module that the app begins with, such as src/app.ts";
            self.error(&written.span, message, help);
            return None;
        }
        let folder = entry.parent()?.to_owned();
        // Not above the manifest: what is there belongs to others.
        let above = folder.ancestors().take_while(|above| above.starts_with(&self.dir));
        let root = above.into_iter().find(|above| above.join("package.json").is_file());
        let root = root.unwrap_or(&folder).to_owned();
        Some(Js { entry, root })
    }
}

/// The keys that a source has, in the order of the manifest's types, with the places of their values.
fn spans(source: &manifest::Source) -> Vec<(&'static str, std::ops::Range<usize>)> {
    fn span<T>(
        name: &'static str,
        value: &Option<Located<T>>,
    ) -> Option<(&'static str, std::ops::Range<usize>)> {
        value.as_ref().map(|value| (name, value.span.clone()))
    }
    let manifest::Source { python, wsgi, requirements, include, wasi, rust, package, js, command } = source;
    let all = [
        span("python", python),
        span("wsgi", wsgi),
        span("requirements", requirements),
        span("include", include),
        span("wasi", wasi),
        span("rust", rust),
        span("package", package),
        span("js", js),
        span("command", command),
    ];
    all.into_iter().flatten().collect()
}
