//! The OpenAPI 3.1 document, made from the table of endpoints and the types of their bodies.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    endpoints::{Content, ENDPOINTS, Endpoint},
    refused,
};
use crate::{
    manifest::OneLine,
    reload::change::{Reason, Refusal},
};

pub(super) fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12().with_transform(OneLine);
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in ENDPOINTS {
        let operation = operation(endpoint, &mut schemas);
        let item = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Value::Object(item) = item {
            item.insert(endpoint.verb.key().to_owned(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Guesthouse admin interface",
            "description": "A running house: its state, its generations, and all changes of it. A change is made whole or \
                            not at all; a swap is answered once it is published.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The Unix socket or the address of `[listen] admin`" }],
        "security": [{}, { "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The content of `[listen] admin-token-file`. Needed on TCP, and wherever a file is named.",
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "parameters": parameters(endpoint, schemas),
    });
    let Value::Object(fields) = &mut operation else { return operation };
    if !endpoint.takes.is_empty() {
        let content: Map<_, _> = endpoint.takes.iter().map(|content| media(content, schemas)).collect();
        fields
            .insert("requestBody".to_owned(), json!({ "required": !endpoint.optional, "content": content }));
    }
    fields.insert("responses".to_owned(), responses(endpoint, schemas));
    operation
}

fn parameters(endpoint: &Endpoint, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let in_path = [
        ("{app}", "app", "The name of an app."),
        ("{digest}", "digest", "`sha256:` and 64 hexadecimal digits."),
    ];
    let mut parameters: Vec<Value> = in_path
        .iter()
        .filter(|(part, ..)| endpoint.path.contains(part))
        .map(|(_, name, description)| {
            let schema = json!({ "type": "string" });
            json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
        })
        .collect();
    for parameter in endpoint.query {
        let schema = (parameter.schema)(schemas);
        parameters.push(json!({
            "name": parameter.name, "in": "query", "description": parameter.description, "schema": schema
        }));
    }
    parameters
}

fn media(content: &Content, schemas: &mut SchemaGenerator) -> (String, Value) {
    (content.media.to_owned(), json!({ "schema": (content.schema)(schemas) }))
}

fn responses(endpoint: &Endpoint, schemas: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    let done = match &endpoint.answer {
        Some(answer) => {
            let content: Map<_, _> = [media(answer, schemas)].into_iter().collect();
            json!({ "description": answer.description, "content": content })
        }
        None => json!({ "description": "It is under way." }),
    };
    responses.insert(endpoint.status.to_string(), done);
    let refusal = json!({ "application/json": { "schema": schemas.subschema_for::<Refusal>() } });
    for &reason in endpoint.refusals {
        let why = match reason {
            Reason::BadRequest => "The request makes no sense.",
            Reason::NotFound => "There is no such app, generation or component.",
            Reason::Conflict => "The state of the house does not allow it.",
            Reason::TooLarge => "The body is too large.",
            Reason::Unfit => "What was to serve is not fit to; the old serves on.",
            Reason::NotSaved => "The state folder could not be written; the old serves on.",
        };
        let key = refused::status(reason).as_str().to_owned();
        responses.insert(key, json!({ "description": why, "content": refusal }));
    }
    responses
        .insert("default".to_owned(), json!({ "description": "Any other refusal.", "content": refusal }));
    Value::Object(responses)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    found.insert(reference.clone());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn references_lead_somewhere_and_every_schema_is_used() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for reference in &found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(found.contains(&format!("#/components/schemas/{name}")), "{name}");
        }
        assert!(!document.to_string().contains("\\n"), "descriptions are in one line");
    }

    #[test]
    fn every_operation_is_told_apart_and_described() {
        let mut ids = BTreeSet::new();
        let mut endpoints = BTreeSet::new();
        for endpoint in ENDPOINTS {
            assert!(ids.insert(endpoint.id), "{}", endpoint.id);
            assert!(endpoints.insert((endpoint.path, endpoint.verb.key())), "{}", endpoint.path);
            assert!(!endpoint.summary.is_empty() && !endpoint.summary.ends_with('.'), "{}", endpoint.summary);
        }
        let document = document();
        let swap = &document["paths"]["/v1/apps/{app}/swap"]["post"];
        assert_eq!(
            swap["requestBody"]["content"]["application/json"]["schema"],
            json!({ "$ref": "#/components/schemas/SwapRequest" })
        );
        assert_eq!(swap["parameters"][0]["in"], "path");
        for status in ["200", "400", "404", "409", "413", "422", "507", "default"] {
            assert!(swap["responses"][status]["description"].is_string(), "{status}");
        }
        assert_eq!(document["components"]["schemas"]["SwapRequest"]["additionalProperties"], false);
    }
}
