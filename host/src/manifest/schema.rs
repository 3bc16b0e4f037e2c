//! The JSON Schema of manifests (draft 2020-12), made from the manifest's types.

use schemars::{
    Schema,
    generate::SchemaSettings,
    transform::{Transform, transform_subschemas},
};
use serde_json::Value;

use super::Manifest;

/// The schema as JSON text, for editors and for `guesthouse schema`.
pub fn schema() -> String {
    // Printing JSON values into memory cannot fail.
    serde_json::to_string_pretty(&value()).unwrap_or_default() + "\n"
}

/// The schema as the checks read it.
pub(super) fn value() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(WithoutNull).with_transform(OneLine);
    settings.into_generator().into_root_schema_for::<Manifest>().to_value()
}

/// TOML has no null: a key is there or it is not. So the null that stands for an absent `Option` goes.
#[derive(Debug, Clone)]
struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".into(), only);
            }
        }
        let null = serde_json::json!({ "type": "null" });
        if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
            choices.retain(|choice| *choice != null);
            if let [Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                schema.remove("anyOf");
                // What is said of the key goes before what is said of its type.
                for (keyword, value) in only {
                    if schema.get(&keyword).is_none() {
                        schema.insert(keyword, value);
                    }
                }
            }
        }
        if schema.get("default") == Some(&Value::Null) {
            schema.remove("default");
        }
        transform_subschemas(self, schema);
    }
}

/// Doc comments are broken into lines for the source's sake; what reads the schema breaks lines itself.
#[derive(Debug, Clone)]
pub(crate) struct OneLine;

impl Transform for OneLine {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::String(description)) = schema.get_mut("description") {
            *description = description.replace('\n', " ");
        }
        transform_subschemas(self, schema);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `shape` understands. Another keyword would be promised to editors and not held by the host.
    const KEYWORDS: [&str; 17] = [
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "format",
        "items",
        "maximum",
        "minimum",
        "oneOf",
        "properties",
        "required",
        "title",
        "type",
    ];

    #[test]
    fn every_keyword_is_one_that_the_checks_know() {
        fn check(schema: &Value) {
            let Value::Object(schema) = schema else { return };
            for (keyword, value) in schema {
                assert!(KEYWORDS.contains(&keyword.as_str()), "{keyword} in {schema:?}");
                assert!(value != "null", "TOML has no null: {schema:?}");
                match (keyword.as_str(), value) {
                    ("properties" | "$defs", Value::Object(named)) => named.values().for_each(check),
                    ("anyOf" | "oneOf", Value::Array(choices)) => choices.iter().for_each(check),
                    ("items" | "additionalProperties", value) => check(value),
                    _ => {}
                }
            }
        }
        check(&value());
    }

    #[test]
    fn every_key_has_a_description_and_every_table_is_closed() {
        let value = value();
        let defs = value["$defs"].as_object().unwrap();
        for (name, table) in defs.iter().chain([(&"Manifest".to_owned(), &value)]) {
            let Some(properties) = table.get("properties") else { continue };
            assert_eq!(table["additionalProperties"], false, "{name}");
            for (key, schema) in properties.as_object().unwrap() {
                assert!(schema.get("description").is_some(), "{name}.{key}");
            }
        }
        assert_eq!(value["required"], serde_json::json!(["apps"]));
        assert_eq!(defs["Limits"]["properties"]["memory-mib"]["default"], 128);
        assert_eq!(defs["Limits"]["properties"]["memory-mib"]["minimum"], 1);
    }
}
