//! From the text of a manifest to its types, with every problem of syntax and shape reported, and whatever is sound
//! kept, so that the plan can go on and report the rest in the same run.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, Deserializer},
};

use super::{Layer, Manifest, schema, shape};
use crate::report::{Place, Problem, Report, Source};

/// A manifest as far as it could be read.
#[derive(Debug)]
pub struct Parsed {
    pub source: Arc<Source>,
    pub manifest: Manifest,
    /// Whether parts of the text could not be read, so that what seems to be missing may merely be hidden.
    pub broken: bool,
}

/// Reads a manifest; `name` is what its problems call the file.
pub fn parse(name: &str, text: &str, report: &mut Report) -> Parsed {
    let source = Arc::new(Source { name: name.to_owned(), text: text.to_owned(), order: 0 });
    let (mut table, broken) = read(&source, report);
    let schema = schema::value();
    shape::check(&mut table, &schema, &source, &broken, report);
    let manifest = typed(&source, table, report);
    Parsed { source, manifest, broken: !broken.is_empty() }
}

/// Reads a file of settings.
pub(crate) fn parse_settings(source: &Arc<Source>, report: &mut Report) -> Layer {
    let (mut table, broken) = read(source, report);
    let anything = serde_json::json!({ "type": "object", "additionalProperties": true });
    shape::check(&mut table, &anything, source, &broken, report);
    typed(source, table, report)
}

/// The table of a text, and the spans of the lines that hold syntax errors.
fn read<'a>(
    source: &'a Arc<Source>,
    report: &mut Report,
) -> (Spanned<DeTable<'a>>, Vec<std::ops::Range<usize>>) {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let mut broken = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or_default();
        broken.push(line_around(&source.text, &span));
        let place = Place { source: source.clone(), span };
        report.push(Problem::error(error.message()).at(place, ""));
    }
    (table, broken)
}

fn line_around(text: &str, span: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    let start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let end = text.get(span.end..).and_then(|after| after.find('\n')).map_or(text.len(), |at| span.end + at);
    start..end
}

fn typed<T: DeserializeOwned + Default>(
    source: &Arc<Source>,
    table: Spanned<DeTable<'_>>,
    report: &mut Report,
) -> T {
    T::deserialize(Deserializer::from(table)).unwrap_or_else(|error| {
        // The shape has been checked, so this is a difference between the schema and the types: report it, do not panic.
        let place = Place { source: source.clone(), span: error.span().unwrap_or_default() };
        report.push(Problem::error(error.message()).at(place, ""));
        T::default()
    })
}
