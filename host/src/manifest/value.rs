//! Layers of settings as the operator wrote them: free tables of TOML values, each value with its place.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::Located;

/// One layer of settings: a table of free keys and values, in the order of the manifest.
#[derive(Debug, Clone, Default)]
pub struct Layer(pub Vec<(String, Value)>);

/// A TOML value with its place.
pub type Value = Located<Kind>;

#[derive(Debug, Clone)]
pub enum Kind {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    String(String),
    /// A date, a time or both, in RFC 3339 form.
    Datetime(String),
    Array(Vec<Value>),
    Table(Layer),
}

/// The key under which toml hands a date to serde; a test below holds it to that.
const DATETIME_KEY: &str = "$__toml_private_datetime";

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_map(AnyValue)? {
            Kind::Table(layer) => Ok(layer),
            _ => Err(serde::de::Error::custom("expected a table")),
        }
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a TOML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Kind, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = array.next_element()? {
            values.push(value);
        }
        Ok(Kind::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = table.next_key::<String>()? {
            if key == DATETIME_KEY {
                return Ok(Kind::Datetime(table.next_value()?));
            }
            entries.push((key, table.next_value()?));
        }
        Ok(Kind::Table(Layer(entries)))
    }
}

impl JsonSchema for Layer {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Layer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_as_text_and_all_else_as_it_is() {
        let text = "d = 1979-05-27\nt = 07:32:00\ndt = 1979-05-27T07:32:00.5+01:00\nn = [1, 2.5, true, 'x', { y = [] }]";
        let Layer(entries) = toml::from_str(text).unwrap();
        let dates: Vec<_> = entries
            .iter()
            .filter_map(
                |(_, value)| if let Kind::Datetime(text) = &value.value { Some(text.as_str()) } else { None },
            )
            .collect();
        assert_eq!(dates, ["1979-05-27", "07:32:00", "1979-05-27T07:32:00.5+01:00"]);
        let (key, value) = entries.last().unwrap();
        assert_eq!(key, "n");
        assert_eq!(&text[value.span.clone()], "[1, 2.5, true, 'x', { y = [] }]");
        assert!(matches!(&value.value, Kind::Array(values) if values.len() == 5));
    }
}
