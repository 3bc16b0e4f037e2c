//! What all parts of a plan are made with: the manifest's folder, the environment, and the report that they add to.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::variables::{self, What};
use crate::{
    manifest::{Located, Unread},
    report::{Place, Problem, Report, Source},
};

pub(super) struct Resolver<'a> {
    /// The manifest's text.
    pub(super) manifest: Arc<Source>,
    /// The manifest's folder (absolute).
    pub(super) dir: PathBuf,
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) report: Report,
    /// What of the manifest was not understood, so that what seems to be missing is not worth a word.
    pub(super) unread: Unread,
    /// Whether secrets are read, and not only where they come from.
    pub(super) reads_secrets: bool,
}

impl Resolver<'_> {
    /// A place in the manifest.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        Place { source: self.manifest.clone(), span: span.clone() }
    }

    /// Reports an error at a place in the manifest.
    pub(super) fn error(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let problem = Problem::error(message).at(self.place(span), "").help(help);
        self.report.push(problem);
    }

    /// Reports something at a place in the manifest that makes no plan impossible.
    pub(super) fn warning(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let problem = Problem::warning(message).at(self.place(span), "").help(help);
        self.report.push(problem);
    }

    /// A string of the manifest with its variables replaced; nothing, and a report, where that cannot be done.
    pub(super) fn text(&mut self, text: &Located<String>) -> Option<String> {
        let manifest = self.manifest.clone();
        self.text_of(&manifest, &text.value, &text.span)
    }

    /// The same for a string of any file.
    pub(super) fn text_of(
        &mut self,
        source: &Arc<Source>,
        text: &str,
        span: &Range<usize>,
    ) -> Option<String> {
        let unresolved = match variables::expand(text, self.env) {
            Ok(expanded) => return Some(expanded.into_owned()),
            Err(unresolved) => unresolved,
        };
        for one in unresolved {
            let shown = source.text.get(span.clone()).unwrap_or_default();
            let within = variables::find_in_source(shown, one.nth, one.length);
            let span = within.map_or(span.clone(), |at| span.start + at.start..span.start + at.end);
            let place = Place { source: source.clone(), span };
            let problem = match &one.what {
                What::Unset(name) => Problem::error(format!("the environment variable `{name}` is not set"))
                    .help(format!("set it, or give a default: ${{{name}:-...}}")),
                What::Malformed => Problem::error("`${` begins no variable here")
                    .help("write ${NAME} or ${NAME:-default}, and `$${` where `${` itself is meant"),
            };
            self.report.push(problem.at(place, ""));
        }
        None
    }

    /// A path of the manifest, made absolute.
    pub(super) fn path(&mut self, path: &Located<String>) -> Option<PathBuf> {
        let text = self.text(path)?;
        if text.is_empty() || text.contains('\0') {
            self.error(
                &path.span,
                "this is no path",
                "name a file or a folder, relative to the manifest's folder",
            );
            return None;
        }
        Some(self.absolute(Path::new(&text)))
    }

    /// A path relative to the manifest's folder, without needless `.` in it.
    pub(super) fn absolute(&self, path: &Path) -> PathBuf {
        self.dir.join(path).components().collect()
    }

    /// A path as messages show it: relative to the manifest's folder where it lies below it.
    pub(super) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.dir).unwrap_or(path).display().to_string()
    }
}
