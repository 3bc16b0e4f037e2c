//! The settings of one app: one immutable tree of TOML values, and the ways in which a guest reads it.
//!
//! `guesthouse:settings` (wit/settings.wit) reads single values by dotted path and subtrees as JSON;
//! `wasi:config/store` reads the same tree as flat text. Both are answered from the one tree without copying it. Nothing
//! here knows of files, layers' places or environment variables: the plan resolves those first.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

mod path;

use path::Segments;

/// A table in the order of the manifest.
pub type Table = toml::map::Map<String, Value>;

/// One setting, with the type that TOML gave it. Dates and times are [`Value::Text`] in RFC 3339 form.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Table(Table),
}

/// A value within the tree, borrowed: what a path leads to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(&'a str),
    List(&'a [Value]),
    Table(&'a Table),
}

/// All settings of an app, or of an app as one of its routes sees it. Never changes once made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    root: Table,
}

impl Settings {
    pub fn new(root: Table) -> Self {
        Self { root }
    }

    /// The settings with another layer laid over them: tables merge key by key, anything else is replaced.
    #[must_use]
    pub fn overlaid(&self, over: &Table) -> Self {
        let mut root = self.root.clone();
        merge(&mut root, over);
        Self { root }
    }

    /// The table of all settings.
    pub fn root(&self) -> &Table {
        &self.root
    }

    /// The value at a dotted path (the syntax of wit/settings.wit), or `None` where nothing is set or the path is not
    /// well formed. The empty path is the table of all settings.
    pub fn get(&self, path: &str) -> Option<ValueRef<'_>> {
        let root = ValueRef::Table(&self.root);
        if path.is_empty() {
            return Some(root);
        }
        Segments::new(path).try_fold(root, |at, segment| at.child(&segment.ok()?))
    }

    /// The subtree at `path` as JSON text (RFC 8259); infinite and not-a-number floats become texts.
    pub fn get_json(&self, path: &str) -> Option<String> {
        self.get(path).map(ValueRef::to_json)
    }

    /// The value at `name` as `wasi:config/store` shows it: booleans `true` and `false`, numbers in decimal, lists as
    /// JSON text. A table has no text: its leaves do.
    ///
    /// A guest that was built for another host may use names that are no dotted paths (`db:url`, `a/b`): a name that
    /// finds nothing as a path is looked up once more as a plain key of the root.
    pub fn get_text(&self, name: &str) -> Option<String> {
        let plain_key = || self.root.get(name).map(Value::view);
        self.get(name).and_then(ValueRef::to_text).or_else(|| plain_key().and_then(ValueRef::to_text))
    }

    /// Every leaf under its dotted path, in the order of the manifest, as [`Settings::get_text`] gives it. Lists are
    /// leaves; an empty table has none.
    pub fn to_flat(&self) -> Vec<(String, String)> {
        let mut flat = Vec::new();
        flatten(&self.root, &mut String::new(), &mut flat);
        flat
    }
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.root)
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = serde_json::Map::deserialize(deserializer)?;
        table_from_json(&json).map(Self::new).map_err(D::Error::custom)
    }
}

/// A table of settings from a JSON object (RFC 8259).
///
/// # Errors
/// Names the first value that no setting can have: null, or a whole number that 64 bits do not hold.
pub fn table_from_json(json: &serde_json::Map<String, serde_json::Value>) -> Result<Table, String> {
    let entry = |(key, value)| match value_from_json(value) {
        Ok(value) => Ok((String::clone(key), value)),
        Err(problem) => Err(format!("`{key}`: {problem}")),
    };
    json.iter().map(entry).collect()
}

fn value_from_json(json: &serde_json::Value) -> Result<Value, String> {
    use serde_json::Value as Json;
    Ok(match json {
        Json::Null => return Err("null is no setting: TOML has no such value".into()),
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::Integer(integer),
            (None, Some(float)) if !number.is_u64() => Value::Float(float),
            _ => return Err(format!("{number} is more than an integer of 64 bits holds")),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(values) => Value::List(values.iter().map(value_from_json).collect::<Result<_, _>>()?),
        Json::Object(object) => Value::Table(table_from_json(object)?),
    })
}

impl Value {
    /// The value, borrowed.
    pub fn view(&self) -> ValueRef<'_> {
        match self {
            Value::Boolean(value) => ValueRef::Boolean(*value),
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Float(value) => ValueRef::Float(*value),
            Value::Text(value) => ValueRef::Text(value),
            Value::List(list) => ValueRef::List(list),
            Value::Table(table) => ValueRef::Table(table),
        }
    }
}

impl<'a> ValueRef<'a> {
    /// An element of a list or an entry of a table.
    fn child(self, segment: &str) -> Option<ValueRef<'a>> {
        match self {
            ValueRef::Table(table) => table.get(segment),
            ValueRef::List(list) => list.get(index(segment)?),
            _ => None,
        }
        .map(Value::view)
    }

    /// The value as JSON text.
    pub fn to_json(self) -> String {
        // Serialising this type into memory cannot fail: its keys are strings and its `Serialize` makes no errors.
        serde_json::to_string(&self).unwrap_or_default()
    }

    /// The value as flat text; nothing for a table.
    pub fn to_text(self) -> Option<String> {
        match self {
            ValueRef::Boolean(value) => Some(value.to_string()),
            ValueRef::Integer(value) => Some(value.to_string()),
            ValueRef::Float(value) => Some(float_text(value)),
            ValueRef::Text(value) => Some(value.to_owned()),
            ValueRef::List(_) => Some(self.to_json()),
            ValueRef::Table(_) => None,
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.view().serialize(serializer)
    }
}

impl Serialize for ValueRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            ValueRef::Boolean(value) => serializer.serialize_bool(value),
            ValueRef::Integer(value) => serializer.serialize_i64(value),
            ValueRef::Float(value) if value.is_finite() => serializer.serialize_f64(value),
            ValueRef::Float(value) => serializer.serialize_str(&float_text(value)),
            ValueRef::Text(value) => serializer.serialize_str(value),
            ValueRef::List(list) => serializer.collect_seq(list),
            ValueRef::Table(table) => serializer.collect_map(table),
        }
    }
}

/// Lays one layer over another.
pub fn merge(under: &mut Table, over: &Table) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (Some(under), value) => *under = value.clone(),
            (None, value) => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// A float in the shortest decimal form that reads back as the same number, as TOML writes it.
fn float_text(value: f64) -> String {
    if value.is_nan() { "nan".into() } else { format!("{value:?}") }
}

/// An index of a list, in decimal without sign or leading zeros, so that each element has one name only.
fn index(segment: &str) -> Option<usize> {
    let digits = segment.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (segment.len() > 1 && segment.starts_with('0')) {
        return None;
    }
    segment.parse().ok()
}

fn flatten(table: &Table, prefix: &mut String, flat: &mut Vec<(String, String)>) {
    let length = prefix.len();
    for (key, value) in table {
        if length > 0 {
            prefix.push('.');
        }
        prefix.push_str(&quoted(key));
        match value {
            Value::Table(table) => flatten(table, prefix, flat),
            leaf => flat.extend(leaf.view().to_text().map(|text| (prefix.clone(), text))),
        }
        prefix.truncate(length);
    }
}

/// A key as one segment of a dotted path: bare where TOML allows it, else as a basic string.
pub fn quoted(key: &str) -> Cow<'_, str> {
    if !key.is_empty() && key.bytes().all(path::is_bare) {
        return Cow::Borrowed(key);
    }
    let mut text = String::with_capacity(key.len() + 2);
    text.push('"');
    for character in key.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            control if control.is_control() => text.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => text.push(other),
        }
    }
    text.push('"');
    Cow::Owned(text)
}

#[cfg(test)]
mod tests;
