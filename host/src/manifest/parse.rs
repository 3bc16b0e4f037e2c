//! From the text of a manifest to its types, with every problem of syntax and shape reported, and whatever is sound
//! kept, so that the plan can go on and report the rest in the same run.

use std::{ops::Range, sync::Arc};

use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::{
    Spanned,
    de::{DeTable, Deserializer},
};

use super::{
    Layer, Manifest,
    mask::masked,
    recover::{Unread, blank_unreadable, first_of_duplicates},
    schema, shape,
};
use crate::report::{Place, Problem, Report, Source};

/// A manifest as far as it could be read.
#[derive(Debug)]
pub struct Parsed {
    /// With what may be a secret masked.
    pub source: Arc<Source>,
    pub manifest: Manifest,
    /// What of the text was not understood.
    pub unread: Unread,
}

/// Reads a manifest; `name` is what its problems call the file.
pub fn parse(name: &str, text: &str, report: &mut Report) -> Parsed {
    let source = Arc::new(Source { name: name.to_owned(), text: masked(text), order: 0 });
    let (manifest, unread) = read(&source, text, &schema::value(), report);
    Parsed { source, manifest, unread }
}

/// Reads a file of settings.
pub(crate) fn parse_settings(source: &Arc<Source>, report: &mut Report) -> Layer {
    let anything = serde_json::json!({ "type": "object", "additionalProperties": true });
    read(source, &source.text, &anything, report).0
}

const UNREADABLE: &str = "the manifest cannot be read";

fn read<T: DeserializeOwned + Default>(
    source: &Arc<Source>,
    text: &str,
    schema: &Json,
    report: &mut Report,
) -> (T, Unread) {
    let place = |span: &Range<usize>| Place { source: source.clone(), span: span.clone() };
    let (text, errors, mut unread) = blank_unreadable(text);
    for error in errors {
        let problem = Problem::error(error.message).at(place(&error.span), "");
        report.push(match error.help {
            Some(help) => problem.help(help),
            None => problem,
        });
    }
    // What is left to be said of this text is that keys stand twice.
    let (mut table, errors) = DeTable::parse_recoverable(&text);
    for error in errors {
        let span = error.span().unwrap_or_default();
        let key = text.get(span.clone()).unwrap_or_default();
        let mut problem = Problem::error(format!("{} `{key}`", error.message())).at(place(&span), "");
        if let Some(first) = first_of_duplicates(&text, &span) {
            problem = problem.also(place(&first), "first here");
        }
        report.push(problem.help("remove one of them"));
    }
    shape::check(&mut table, schema, source, &mut unread, report);
    (typed(source, table, report), unread)
}

fn typed<T: DeserializeOwned + Default>(
    source: &Arc<Source>,
    table: Spanned<DeTable<'_>>,
    report: &mut Report,
) -> T {
    T::deserialize(Deserializer::from(table)).unwrap_or_else(|error| {
        // The shape has been checked, so the schema and the types differ, which a test below says they do not.
        let place = Place { source: source.clone(), span: error.span().unwrap_or_default() };
        report.push(Problem::error(format!("{UNREADABLE}: {}", error.message())).at(place, ""));
        T::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value of each type that TOML has.
    const VALUES: [&str; 11] = [
        "true",
        "7",
        "-1",
        "9223372036854775808",
        "1.5",
        "\"text\"",
        "1979-05-27",
        "[]",
        "['x']",
        "[1, {}]",
        "{ key = 1 }",
    ];

    /// Every key that the schema names, with a name made up where the operator chooses one.
    fn paths(schema: &Json, root: &Json, path: &str, found: &mut Vec<String>) {
        let reference = schema.get("$ref").and_then(Json::as_str).and_then(|to| to.strip_prefix("#/$defs/"));
        let schema = reference.map_or(schema, |name| &root["$defs"][name]);
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        for (key, schema) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            found.push(below(key));
            paths(schema, root, &below(key), found);
        }
        if let Some(schema) = schema.get("additionalProperties").filter(|schema| schema.is_object()) {
            found.push(below("name"));
            paths(schema, root, &below("name"), found);
        }
    }

    #[test]
    fn whatever_fits_the_schema_fits_the_types() {
        let schema = schema::value();
        let mut keys = Vec::new();
        paths(&schema, &schema, "", &mut keys);
        assert!(keys.contains(&"apps.name.limits.memory-mib".to_owned()), "{keys:?}");
        assert!(keys.contains(&"apps.name.grants.dirs.name.path".to_owned()), "{keys:?}");
        keys.push(
            "apps.name.routes = [{ route = 'x', strip-prefix = true, headers = { X = 'y' }, settings".into(),
        );
        for key in keys {
            for value in VALUES {
                let close = if key.contains('[') { " }]" } else { "" };
                let text = format!("{key} = {value}{close}\n");
                let mut report = Report::default();
                parse("x.toml", &text, &mut report);
                let unreadable =
                    report.problems().iter().find(|problem| problem.message().starts_with(UNREADABLE));
                assert!(unreadable.is_none(), "{text}{report}");
            }
        }
    }
}
