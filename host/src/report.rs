//! Problems of a manifest and how they are shown: in the manner of rustc, with the file, the line and a caret.
//!
//! A [`Report`] holds all problems of one run. Whether it is coloured is the caller's choice: this module knows neither
//! terminals nor the environment.

use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

use annotate_snippets::{AnnotationKind, Group, Renderer, Snippet, normalize_untrusted_str};

/// A text that problems point into: the manifest, or a file that it names.
#[derive(Debug)]
pub struct Source {
    /// As the operator would name the file.
    pub name: String,
    pub text: String,
    /// Where its problems stand in a report: the manifest first, other files in the order of reading.
    pub order: usize,
}

/// A span of a text, in bytes.
#[derive(Debug, Clone)]
pub struct Place {
    pub source: Arc<Source>,
    pub span: Range<usize>,
}

/// A place and what is to be said of it there; nothing where the message says it all.
#[derive(Debug, Clone)]
struct Mark {
    place: Place,
    label: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The manifest cannot be used.
    Error,
    /// The manifest can be used, but hardly says what was meant.
    Warning,
    /// Something is left to do before all of the manifest works.
    Note,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    level: Level,
    message: String,
    mark: Option<Mark>,
    also: Vec<Mark>,
    help: Option<String>,
}

impl Problem {
    pub fn new(level: Level, message: impl Into<String>) -> Self {
        Self { level, message: message.into(), mark: None, also: Vec::new(), help: None }
    }

    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Level::Error, message)
    }

    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Level::Warning, message)
    }

    pub fn note(message: impl Into<String>) -> Self {
        Self::new(Level::Note, message)
    }

    /// Where it is, and what is to be said there (may be empty).
    #[must_use]
    pub fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.mark = Some(Mark { place, label: label.into() });
        self
    }

    /// A further place that has to do with it, in the same file or another.
    #[must_use]
    pub fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.also.push(Mark { place, label: label.into() });
        self
    }

    /// How to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn level(&self) -> Level {
        self.level
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    /// Problems without a place come first, then by file and by place in it.
    fn order(&self) -> (usize, usize, usize) {
        self.mark.as_ref().map_or((0, 0, 0), |Mark { place, .. }| {
            (place.source.order + 1, place.span.start, place.span.end)
        })
    }

    fn group(&self) -> Group<'_> {
        let level = match self.level {
            Level::Error => annotate_snippets::Level::ERROR,
            Level::Warning => annotate_snippets::Level::WARNING,
            Level::Note => annotate_snippets::Level::NOTE,
        };
        let mut group = Group::with_title(level.primary_title(&*self.message));
        for snippet in self.snippets() {
            group = group.element(snippet);
        }
        match &self.help {
            Some(help) => {
                group.element(annotate_snippets::Level::HELP.message(normalize_untrusted_str(help)))
            }
            None => group,
        }
    }

    /// One snippet per file, that of the primary place first.
    fn snippets(&self) -> Vec<Snippet<'_, annotate_snippets::Annotation<'_>>> {
        let Some(mark) = &self.mark else { return Vec::new() };
        let mut files: Vec<&Arc<Source>> = vec![&mark.place.source];
        for mark in &self.also {
            if !files.iter().any(|file| Arc::ptr_eq(file, &mark.place.source)) {
                files.push(&mark.place.source);
            }
        }
        let annotations = |file: &Arc<Source>| {
            let primary = (AnnotationKind::Primary, mark);
            let context = self.also.iter().map(|mark| (AnnotationKind::Context, mark));
            std::iter::once(primary)
                .chain(context)
                .filter(|(_, mark)| Arc::ptr_eq(file, &mark.place.source))
                .map(|(kind, mark)| kind.span(mark.place.shown()).label(mark.label()))
                .collect::<Vec<_>>()
        };
        files
            .into_iter()
            .map(|file| {
                Snippet::source(without_passwords(&file.text))
                    .path(&*file.name)
                    .annotations(annotations(file))
            })
            .collect()
    }
}

impl Mark {
    fn label(&self) -> Option<&str> {
        (!self.label.is_empty()).then_some(&*self.label)
    }
}

impl Place {
    /// The span, cut to its first line and to the text: a caret under twenty lines helps nobody.
    fn shown(&self) -> Range<usize> {
        let text = &self.source.text;
        let mut start = self.span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let span = text.get(start..self.span.end.min(text.len())).unwrap_or_default();
        let line = span.lines().next().unwrap_or_default();
        start..start + line.trim_end().len()
    }
}

/// A text in which passwords in URLs (`scheme://user:password@host`, `?pass=password`) are stars, as many as they have
/// bytes: places stay as they are. Where a variable stands for the password there is nothing to hide.
fn without_passwords(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    let mut hide = |from: usize, password: &str| {
        if !password.contains("${") {
            shown.to_mut().replace_range(from..from + password.len(), &"*".repeat(password.len()));
        }
    };
    for (at, _) in text.match_indices("://") {
        let from = at + 3;
        let url =
            text.get(from..).and_then(|rest| rest.split(['"', '\'', '\n', '\r']).next()).unwrap_or_default();
        if let Some((user, _)) = url.rsplit_once('@')
            && let Some((name, password)) = user.split_once(':')
        {
            hide(from + name.len() + 1, password);
        }
        for mark in ["?pass=", "&pass="] {
            let Some((before, password)) = url.split_once(mark) else { continue };
            let password = password.split('&').next().unwrap_or_default();
            hide(from + before.len() + mark.len(), password);
        }
    }
    shown
}

/// How many problems are shown at once: nobody reads on beyond.
const SHOWN_MAX: usize = 100;

/// All problems of one run, sorted by place.
#[derive(Debug, Clone, Default)]
pub struct Report {
    problems: Vec<Problem>,
}

impl Report {
    pub fn push(&mut self, problem: Problem) {
        let order = problem.order();
        let at = self.problems.partition_point(|other| other.order() <= order);
        self.problems.insert(at, problem);
    }

    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.level == Level::Error)
    }

    /// The problems of at least this weight: with [`Level::Warning`], errors and warnings.
    #[must_use]
    pub fn at_least(mut self, level: Level) -> Self {
        self.problems.retain(|problem| problem.level <= level);
        self
    }

    /// The problems as text for people, one after the other with a blank line between; ends with a line feed unless
    /// empty. Of very many, the first are shown and the rest counted.
    pub fn render(&self, coloured: bool) -> String {
        let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
        let shown = self.problems.iter().take(SHOWN_MAX);
        let shown = shown.map(|problem| renderer.render(&[problem.group()]) + "\n");
        let left = self.problems.len().saturating_sub(SHOWN_MAX);
        let rest = (left > 0).then(|| format!("... and {left} more\n"));
        shown.chain(rest).collect::<Vec<_>>().join("\n")
    }

    /// How many errors and warnings there are, for a closing line: `2 errors, 1 warning`.
    pub fn count(&self) -> String {
        let count = |level, one: &str| {
            let number = self.problems.iter().filter(|problem| problem.level == level).count();
            match number {
                0 => None,
                1 => Some(format!("1 {one}")),
                _ => Some(format!("{number} {one}s")),
            }
        };
        let counts =
            [count(Level::Error, "error"), count(Level::Warning, "warning"), count(Level::Note, "note")];
        counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Without colours.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}
