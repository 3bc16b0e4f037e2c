//! Settings on the command line: `--settings FILE.toml` and `--set KEY=VALUE`, as the JSON that the house takes.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

/// One `--set`: a table with one value somewhere below.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting(Map<String, Value>);

/// Reads `KEY=VALUE`.
pub(super) fn parse_setting(text: &str) -> Result<Setting, String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as site.title=Shop")?;
    let value = match value.trim().parse::<toml::Value>() {
        Ok(value) => json(value),
        Err(_) => Value::String(value.to_owned()),
    };
    let wrong = || format!("`{key}` is no key of settings: write a name, or names with dots between them");
    if key.contains(['\n', '\r', '=', '#', '[']) {
        return Err(wrong());
    }
    // The key as TOML reads it, quoted parts included.
    let mut names = toml::from_str::<toml::Table>(&format!("{key} = 0")).map_err(|_| wrong())?;
    let mut path = Vec::new();
    while let Some((name, below)) = names.into_iter().next() {
        path.push(name);
        names = match below {
            toml::Value::Table(below) => below,
            _ => toml::Table::new(),
        };
    }
    let nested = path
        .into_iter()
        .rev()
        .fold(value, |value, name| Value::Object([(name, value)].into_iter().collect()));
    match nested {
        Value::Object(setting) => Ok(Setting(setting)),
        _ => Err(wrong()),
    }
}

/// What a file and single settings come to, later ones over earlier ones; nothing where there are none.
pub(super) fn settings(file: Option<&Path>, set: Vec<Setting>) -> Result<Option<Map<String, Value>>> {
    let mut all = file.map(read).transpose()?;
    for Setting(setting) in set {
        merge(all.get_or_insert_default(), setting);
    }
    Ok(all)
}

fn read(file: &Path) -> Result<Map<String, Value>> {
    let context = || format!("reading the settings {}", file.display());
    let text = std::fs::read_to_string(file).with_context(context)?;
    let table: toml::Table = toml::from_str(&text).with_context(context)?;
    Ok(table.into_iter().map(|(key, value)| (key, json(value))).collect())
}

/// Tables merge, anything else is replaced, as between the layers of a manifest.
fn merge(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// A TOML value as settings hold it: dates and times, and floats that JSON has not, are texts.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .map_or_else(|| Value::String(number.to_string()), Value::Number),
        toml::Value::Boolean(boolean) => Value::Bool(boolean),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(list) => list.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(text: &str) -> Value {
        parse_setting(text).map_or_else(Value::String, |Setting(setting)| Value::Object(setting))
    }

    #[test]
    fn a_value_is_toml_where_it_is_and_a_text_otherwise() {
        for (text, value) in [
            ("a=5", json!({ "a": 5 })),
            ("a = 5", json!({ "a": 5 })),
            ("a=-1.5", json!({ "a": -1.5 })),
            ("a=true", json!({ "a": true })),
            ("a=\"5\"", json!({ "a": "5" })),
            ("a=['x', 2]", json!({ "a": ["x", 2] })),
            ("a={ b = 1 }", json!({ "a": { "b": 1 } })),
            ("a=2026-01-02", json!({ "a": "2026-01-02" })),
            ("a=inf", json!({ "a": "inf" })),
            ("a=hello world", json!({ "a": "hello world" })),
            ("a=", json!({ "a": "" })),
            ("a=x=y", json!({ "a": "x=y" })),
            ("a=1\nb = 2", json!({ "a": "1\nb = 2" })),
            ("a=1 # one", json!({ "a": "1 # one" })),
            ("a=https://x.test/?q=1", json!({ "a": "https://x.test/?q=1" })),
            ("site.title=Shop", json!({ "site": { "title": "Shop" } })),
            ("site.\"a.b\".c=1", json!({ "site": { "a.b": { "c": 1 } } })),
        ] {
            assert_eq!(set(text), value, "{text}");
        }
        for text in ["a", "=1", "a..b=1", "a b=1", "a.=1", "a\nb=1", "[a]=1"] {
            assert!(parse_setting(text).is_err(), "{text}");
        }
    }

    #[test]
    fn later_settings_lie_over_earlier_ones() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, "at = 2026-01-02T03:04:05Z\n[site]\ntitle = \"Shop\"\ntags = [1, 2]\n")
            .unwrap();
        let set = ["site.title=Mall", "site.tags=[3]", "n=1", "n=2"];
        let set = set.into_iter().map(|text| parse_setting(text).unwrap()).collect();
        let all = settings(Some(&file), set).unwrap().map(Value::Object);
        let wanted =
            json!({ "at": "2026-01-02T03:04:05Z", "site": { "title": "Mall", "tags": [3] }, "n": 2 });
        assert_eq!(all, Some(wanted));
        assert_eq!(settings(None, Vec::new()).unwrap(), None);
        std::fs::write(&file, "a = \n").unwrap();
        let error = format!("{:#}", settings(Some(&file), Vec::new()).unwrap_err());
        assert!(error.contains("settings.toml") && error.contains("line 1"), "{error}");
    }
}
