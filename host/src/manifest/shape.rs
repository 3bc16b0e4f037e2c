//! Checks a parsed text against the schema: unknown and missing keys, types, ranges and fixed values.
//!
//! Everything that is wrong is reported and taken out, so that what is left has the shape that the types want. It
//! understands the keywords that the manifest's own schema uses, and no others (a test of `schema` holds it to that).

use std::{ops::Range, sync::Arc};

use serde_json::Value as Json;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::suggest::{for_key, is_for_later, nearest, resolve};
use crate::{
    report::{Place, Problem, Report, Source},
    settings::quoted,
};

/// Takes out of a table all that the schema does not allow, and reports it. What stands on one of the `broken` lines is
/// taken out without a word: it has been reported already, and what was made of it says little.
pub(super) fn check(
    table: &mut Spanned<DeTable<'_>>,
    schema: &Json,
    source: &Arc<Source>,
    broken: &[Range<usize>],
    report: &mut Report,
) {
    let mut checker = Checker { root: schema, source, broken, report, path: Vec::new() };
    let span = table.span();
    checker.table(table.get_mut(), &span, "", schema);
}

struct Checker<'a> {
    root: &'a Json,
    source: &'a Arc<Source>,
    broken: &'a [Range<usize>],
    report: &'a mut Report,
    /// The keys that lead to the value at hand, as they would stand in a header.
    path: Vec<String>,
}

impl<'a> Checker<'a> {
    fn problem(&mut self, span: &Range<usize>, label: &str, message: String, help: Option<String>) {
        let place = Place { source: self.source.clone(), span: span.clone() };
        let problem = Problem::error(message).at(place, label);
        self.report.push(match help {
            Some(help) => problem.help(help),
            None => problem,
        });
    }

    fn table(&mut self, table: &mut DeTable<'_>, span: &Range<usize>, name: &str, schema: &'a Json) {
        let mut unsound = Vec::new();
        for (key, value) in table.iter_mut() {
            self.path.push(quoted(key.get_ref()).into_owned());
            if self.is_broken(&key.span())
                || self.is_broken(&value.span())
                || !self.entry(key, value, name, schema)
            {
                unsound.push(key.get_ref().clone());
            }
            self.path.pop();
        }
        self.missing(table, span, schema);
        for key in unsound {
            table.remove(&*key);
        }
    }

    fn is_broken(&self, span: &Range<usize>) -> bool {
        self.broken.iter().any(|line| span.start <= line.end && line.start <= span.end)
    }

    /// Whether an entry of a table may stay.
    fn entry(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &mut Spanned<DeValue<'_>>,
        table: &str,
        schema: &'a Json,
    ) -> bool {
        let properties = schema.get("properties").and_then(Json::as_object);
        if let Some(schema) = properties.and_then(|properties| properties.get(&**key.get_ref())) {
            return self.value(value, schema);
        }
        match schema.get("additionalProperties") {
            Some(Json::Bool(false)) => {
                let known = properties.into_iter().flatten().map(|(key, _)| key.as_str());
                self.unknown_key(key.get_ref(), &key.span(), table, &known.collect::<Vec<_>>());
                false
            }
            Some(schema) => self.value(value, schema),
            None => true,
        }
    }

    fn unknown_key(&mut self, key: &str, span: &Range<usize>, table: &str, known: &[&str]) {
        let path = self.path.get(..self.path.len().saturating_sub(1)).unwrap_or_default();
        let within = if path.is_empty() { String::new() } else { format!(" in `{}`", path.join(".")) };
        if is_for_later(table, key) {
            let message = format!("`{key}`{within} is not in this version yet");
            return self.problem(span, "", message, Some(format!("remove `{key}`")));
        }
        let help = for_key(self.root, table, path, known, key);
        self.problem(span, "unknown key", format!("unknown key `{key}`{within}"), Some(help));
    }

    fn missing(&mut self, table: &DeTable<'_>, span: &Range<usize>, schema: &'a Json) {
        if !self.broken.is_empty() {
            // It may well be there, on a line that could not be read.
            return;
        }
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        for key in required.filter_map(Json::as_str).filter(|key| !table.contains_key(*key)) {
            let help = match key {
                "apps" => "an app is a table of its own:\n[apps.hello]\ncomponent = \"hello.wasm\"\nroutes = [\"*\"]".into(),
                "routes" => "say which requests it answers: routes = [\"example.com\"], or [\"*\"] for all".into(),
                key => format!("add `{key} = ...`"),
            };
            let message = match self.path.as_slice() {
                [] => format!("the manifest has no `{key}`"),
                path => format!("`{}` has no `{key}`", path.join(".")),
            };
            self.problem(span, "", message, Some(help));
        }
    }

    /// Whether a value may stay.
    fn value(&mut self, value: &mut Spanned<DeValue<'_>>, schema: &'a Json) -> bool {
        let choices = alternatives(self.root, schema);
        let kind = json_type(value.get_ref());
        let fits =
            |schema: &Json| schema.get("type").and_then(Json::as_str).is_none_or(|wanted| wanted == kind);
        let Some((name, schema)) = choices.iter().copied().find(|(_, schema)| fits(schema)) else {
            self.wrong_type(value, &choices);
            return false;
        };
        let span = value.span();
        match value.get_mut() {
            DeValue::Table(table) => {
                self.table(table, &span, name, schema);
                true
            }
            DeValue::Array(array) => {
                self.array(array, schema);
                true
            }
            DeValue::Integer(integer) => {
                let number = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
                self.integer(number, &span, schema)
            }
            DeValue::Float(float) => self.float(float.as_str(), &span),
            DeValue::String(text) => self.fixed_value(text, &span, schema),
            DeValue::Boolean(_) | DeValue::Datetime(_) => true,
        }
    }

    fn array(&mut self, array: &mut DeArray<'_>, schema: &'a Json) {
        let Some(items) = schema.get("items") else { return self.free_array(array) };
        let mut sound = DeArray::new();
        for (at, value) in array.iter_mut().enumerate() {
            let name = self.path.pop().unwrap_or_default();
            self.path.push(format!("{name}[{at}]"));
            if !self.is_broken(&value.span()) && self.value(value, items) {
                sound.push(value.clone());
            }
            self.path.pop();
            self.path.push(name);
        }
        *array = sound;
    }

    /// An array within settings, whose elements may be anything.
    fn free_array(&mut self, array: &mut DeArray<'_>) {
        const ANYTHING: &Json = &Json::Bool(true);
        for value in array.iter_mut() {
            if !self.value(value, ANYTHING) {
                *value = Spanned::new(value.span(), DeValue::Boolean(false));
            }
        }
    }

    fn integer(&mut self, number: Option<i128>, span: &Range<usize>, schema: &Json) -> bool {
        let bound = |keyword| schema.get(keyword).and_then(Json::as_i64);
        let least = bound("minimum").unwrap_or(i64::MIN);
        let most = bound("maximum").unwrap_or(i64::MAX);
        if number.is_some_and(|number| (i128::from(least)..=i128::from(most)).contains(&number)) {
            return true;
        }
        let message = if schema.get("maximum").is_none() {
            format!("`{}` does not fit in 64 bits", self.path.join("."))
        } else {
            format!("`{}` must be from {least} to {most}", self.path.join("."))
        };
        self.problem(span, "out of range", message, None);
        false
    }

    fn float(&mut self, text: &str, span: &Range<usize>) -> bool {
        let overflows = text.parse().is_ok_and(f64::is_infinite) && !text.contains("inf");
        if overflows {
            let message = format!("`{}` does not fit in a 64-bit float", self.path.join("."));
            self.problem(span, "out of range", message, Some("write `inf` for infinity".into()));
        }
        !overflows
    }

    /// A string that must be one of a few, where the schema says so.
    fn fixed_value(&mut self, text: &str, span: &Range<usize>, schema: &'a Json) -> bool {
        let Some(choices) = schema.get("oneOf").and_then(Json::as_array) else { return true };
        let known: Vec<&str> = choices.iter().filter_map(|choice| choice.get("const")?.as_str()).collect();
        if known.contains(&text) {
            return true;
        }
        let listed: Vec<String> = known.iter().map(|known| format!("\"{known}\"")).collect();
        let help = match nearest(known.iter().copied(), text) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write {}", listed.join(" or ")),
        };
        let message = format!("`{}` must be {}", self.path.join("."), listed.join(" or "));
        self.problem(span, "unknown value", message, Some(help));
        false
    }

    fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, choices: &[(&str, &Json)]) {
        let wanted: Vec<&str> =
            choices.iter().filter_map(|(_, schema)| schema.get("type")?.as_str()).collect();
        let named: Vec<&str> = wanted.iter().map(|wanted| with_article(wanted)).collect();
        let found = with_article(json_type(value.get_ref()));
        let message = format!("`{}` must be {}", self.path.join("."), named.join(" or "));
        let help =
            mend_type(self.source.text.get(value.span()).unwrap_or_default(), value.get_ref(), &wanted);
        self.problem(&value.span(), &format!("this is {found}"), message, help);
    }
}

/// The schemas of which a value must fit one, with the names of their types.
fn alternatives<'a>(root: &'a Json, schema: &'a Json) -> Vec<(&'a str, &'a Json)> {
    let (name, schema) = resolve(root, schema);
    match schema.get("anyOf").and_then(Json::as_array) {
        Some(choices) => choices.iter().map(|choice| resolve(root, choice)).collect(),
        None => vec![(name, schema)],
    }
}

fn json_type(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "float",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "date-time",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    }
}

fn with_article(json_type: &str) -> &'static str {
    match json_type {
        "string" => "a string",
        "integer" => "an integer",
        "float" => "a float",
        "boolean" => "a boolean",
        "date-time" => "a date or time",
        "array" => "an array",
        _ => "a table",
    }
}

/// How to write what was probably meant, where that can be told.
fn mend_type(text: &str, value: &DeValue<'_>, wanted: &[&str]) -> Option<String> {
    let short = text.len() <= 60 && !text.contains('\n');
    match value {
        DeValue::String(inner) if wanted == ["integer"] && inner.parse::<i64>().is_ok() => {
            Some(format!("remove the quotes: {inner}"))
        }
        DeValue::String(inner) if wanted == ["boolean"] && matches!(&**inner, "true" | "false") => {
            Some(format!("remove the quotes: {inner}"))
        }
        DeValue::String(_) | DeValue::Table(_) if wanted == ["array"] && short && !text.starts_with('[') => {
            Some(format!("put it in brackets: [{text}]"))
        }
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_)
            if wanted.contains(&"string") && short =>
        {
            Some(format!("put it in quotes: \"{text}\""))
        }
        _ => None,
    }
}
