//! Checks a parsed text against the schema: unknown and missing keys, types, ranges and fixed values.
//!
//! Everything that is wrong is reported and taken out, so that what is left has the shape that the types want. It
//! understands the keywords that the manifest's own schema uses, and no others (a test of `schema` holds it to that).

use std::{ops::Range, sync::Arc};

use serde_json::Value as Json;
use toml::{
    Spanned,
    de::{DeArray, DeString, DeTable, DeValue},
};

use super::{
    recover::Unread,
    suggest::{Hint, for_key, is_for_later, nearest, resolve},
};
use crate::{
    report::{Place, Problem, Report, Source},
    settings::quoted,
};

/// Takes out of a table all that the schema does not allow, reports it, and notes in `unread` which tables lost keys.
pub(super) fn check(
    table: &mut Spanned<DeTable<'_>>,
    schema: &Json,
    source: &Arc<Source>,
    unread: &mut Unread,
    report: &mut Report,
) {
    let mut checker = Checker { root: schema, source, unread, report, path: Vec::new() };
    let span = table.span();
    checker.table(table.get_mut(), &span, "", schema);
}

/// What becomes of an entry of a table.
enum Entry {
    Sound,
    /// A key of this table, or a misspelt one, with something wrong: it goes, and is not missed.
    Unsound,
    /// No key of this table: it goes.
    Foreign,
}

struct Checker<'a> {
    root: &'a Json,
    source: &'a Arc<Source>,
    unread: &'a mut Unread,
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
            match self.entry(key, value, name, schema) {
                Entry::Sound => {}
                Entry::Unsound => {
                    self.unread.hide(span);
                    unsound.push(key.get_ref().clone());
                }
                Entry::Foreign => unsound.push(key.get_ref().clone()),
            }
            self.path.pop();
        }
        self.missing(table, span, schema);
        for key in unsound {
            table.remove(&*key);
        }
    }

    fn entry(
        &mut self,
        key: &Spanned<DeString<'_>>,
        value: &mut Spanned<DeValue<'_>>,
        table: &str,
        schema: &'a Json,
    ) -> Entry {
        let properties = schema.get("properties").and_then(Json::as_object);
        let known = properties.and_then(|properties| properties.get(&**key.get_ref()));
        match known.or_else(|| schema.get("additionalProperties")) {
            Some(Json::Bool(false)) => {
                let known = properties.into_iter().flatten().map(|(key, _)| key.as_str());
                self.unknown_key(key.get_ref(), &key.span(), table, &known.collect::<Vec<_>>())
            }
            Some(schema) if !self.value(value, schema) => Entry::Unsound,
            _ => Entry::Sound,
        }
    }

    fn unknown_key(&mut self, key: &str, span: &Range<usize>, table: &str, known: &[&str]) -> Entry {
        let path = self.path.get(..self.path.len().saturating_sub(1)).unwrap_or_default();
        let within = if path.is_empty() { String::new() } else { format!(" in `{}`", path.join(".")) };
        if is_for_later(table, key) {
            let message = format!("`{key}`{within} is not in this version yet");
            self.problem(span, "", message, Some(format!("remove `{key}`")));
            // A kind of source that is not there yet is a source all the same.
            return if table == "Source" { Entry::Unsound } else { Entry::Foreign };
        }
        let hint = for_key(self.root, table, path, known, key);
        let message = format!("unknown key `{key}`{within}");
        let (help, entry) = match hint {
            Hint::Here(help) => (help, Entry::Unsound),
            Hint::NotHere(help) => (help, Entry::Foreign),
        };
        self.problem(span, "unknown key", message, Some(help));
        entry
    }

    fn missing(&mut self, table: &DeTable<'_>, span: &Range<usize>, schema: &'a Json) {
        if self.unread.hides(span) {
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
        let fits = |schema: &Json| wanted_type(schema).is_none_or(|wanted| wanted == kind);
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
                self.array(array, &span, schema);
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

    fn array(&mut self, array: &mut DeArray<'_>, span: &Range<usize>, schema: &'a Json) {
        let Some(items) = schema.get("items") else { return self.free_array(array) };
        let mut sound = DeArray::new();
        for (at, value) in array.iter_mut().enumerate() {
            let name = self.path.pop().unwrap_or_default();
            self.path.push(format!("{name}[{at}]"));
            if self.value(value, items) {
                sound.push(value.clone());
            } else {
                self.unread.hide(span);
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
        let known: Vec<&str> = fixed_values(schema).collect();
        if known.is_empty() || known.contains(&text) {
            return true;
        }
        let listed: Vec<String> = known.iter().copied().map(in_quotes).collect();
        let help = match nearest(known.iter().copied(), text) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write {}", listed.join(" or ")),
        };
        let message = format!("`{}` must be {}", self.path.join("."), listed.join(" or "));
        self.problem(span, "unknown value", message, Some(help));
        false
    }

    fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, choices: &[(&str, &Json)]) {
        let path = self.path.join(".");
        if let [("Secret", _)] = choices {
            let help = "say where it comes from: a file that only its owner can read, { file = \"secrets/name\" }, or \
                        { env = \"NAME\" } or { credential = \"NAME\" }";
            let message = format!("`{path}`: a secret never stands in a manifest");
            return self.problem(&value.span(), "", message, Some(help.into()));
        }
        let fixed: Vec<String> =
            choices.iter().flat_map(|(_, schema)| fixed_values(schema)).map(in_quotes).collect();
        let wanted: Vec<&str> = choices.iter().filter_map(|(_, schema)| wanted_type(schema)).collect();
        let text = self.source.text.get(value.span()).unwrap_or_default();
        let (named, help) = if fixed.is_empty() {
            let named = wanted.iter().map(|wanted| with_article(wanted).to_owned()).collect();
            (named, mend_type(&path, text, value.get_ref(), choices))
        } else {
            let help = format!("write {}", fixed.join(" or "));
            (fixed, Some(help))
        };
        let message = format!("`{path}` must be {}", named.join(" or "));
        let found = with_article(json_type(value.get_ref()));
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

/// The strings of which a value must be one; none where it is free.
fn fixed_values(schema: &Json) -> impl Iterator<Item = &str> {
    let choices = schema.get("oneOf").and_then(Json::as_array).into_iter().flatten();
    choices.filter_map(|choice| choice.get("const")?.as_str())
}

fn in_quotes(text: &str) -> String {
    format!("\"{text}\"")
}

/// The type that a schema wants, be it by itself or by its fixed values, which are of one type.
fn wanted_type(schema: &Json) -> Option<&str> {
    let of_fixed_values = || schema.get("oneOf")?.as_array()?.first()?.get("type");
    schema.get("type").or_else(of_fixed_values).and_then(Json::as_str)
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
fn mend_type(path: &str, text: &str, value: &DeValue<'_>, choices: &[(&str, &Json)]) -> Option<String> {
    let [(_, schema), ..] = choices else { return None };
    let wanted = wanted_type(schema)?;
    let short = text.len() <= 60 && !text.contains('\n');
    match (wanted, value) {
        ("integer", DeValue::String(inner)) if inner.parse::<i64>().is_ok() => {
            Some(format!("remove the quotes: {inner}"))
        }
        ("boolean", DeValue::String(inner)) if matches!(&**inner, "true" | "false") => {
            Some(format!("remove the quotes: {inner}"))
        }
        ("array", DeValue::String(_)) if short => Some(format!("put it in brackets: [{text}]")),
        ("string", DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_))
            if short =>
        {
            Some(format!("put it in quotes: \"{text}\""))
        }
        ("object", DeValue::String(_)) if schema.pointer("/properties/path").is_some() && short => {
            Some(format!("write {{ path = {text} }}"))
        }
        ("object", _) => {
            Some(format!("write [{path}] on a line of its own and its keys below, or {{ key = value }}"))
        }
        _ => None,
    }
}
