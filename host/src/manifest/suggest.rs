//! Hints for keys and values that a manifest cannot hold: that their time has not come, where they belong, or the
//! nearest known one.

use serde_json::Value as Json;

/// Keys that are spoken for and that this version does not have yet: the name of the table in the schema, and the key.
const NOT_YET: [(&str, &str); 1] = [("App", "middleware")];

/// What other hosts and servers call things, and what it is here.
const BY_ANOTHER_NAME: [(&str, &str, &str); 16] = [
    ("Listen", "admin-token", "admin-token-file = \"admin.token\""),
    ("App", "domain", "routes = [\"example.com\"]"),
    ("App", "domains", "routes = [\"example.com\"]"),
    ("App", "host", "routes = [\"example.com\"]"),
    ("App", "hosts", "routes = [\"example.com\"]"),
    ("App", "file", "component = \"app.wasm\""),
    ("App", "module", "component = \"app.wasm\""),
    ("App", "wasm", "component = \"app.wasm\""),
    ("App", "config", "settings = { ... }"),
    ("App", "variables", "settings = { ... }"),
    ("App", "memory", "limits = { memory-mib = 128 }"),
    ("App", "timeout", "limits = { request-ms = 30000 }"),
    ("App", "secret", "secrets = { NAME = { file = \"secrets/name\" } }"),
    ("Secret", "environment", "env = \"NAME\""),
    ("Secret", "path", "file = \"PATH\""),
    ("Secret", "value", "file = \"PATH\", and the secret into that file"),
];

pub(super) fn is_for_later(table: &str, key: &str) -> bool {
    NOT_YET.contains(&(table, key))
}

/// What to do about an unknown key.
#[derive(Debug)]
pub(super) enum Hint {
    /// It was meant as another key of the same table.
    Here(String),
    NotHere(String),
}

/// `table` is the name of the table in the schema, `path` how the manifest comes to it.
pub(super) fn for_key(root: &Json, table: &str, path: &[String], known: &[&str], key: &str) -> Hint {
    let key = key.replace('_', "-");
    if known.contains(&&*key) {
        return Hint::Here(format!("write `{key}`"));
    }
    if let Some((.., instead)) = BY_ANOTHER_NAME.iter().find(|(of, name, _)| (*of, *name) == (table, &*key)) {
        return Hint::Here(format!("write `{instead}`"));
    }
    if table == "Secret" && nearest(known.iter().copied(), &key).is_none() {
        // Most likely TOML's own dotted key, which makes tables.
        let help = "write { env = \"NAME\" }, { file = \"PATH\" } or { credential = \"NAME\" }; a name with dots stands in \
                    quotes: \"DATABASES.default.PASSWORD\" = { ... }";
        return Hint::Here(help.into());
    }
    if let Some(place) = elsewhere(root, path, &key) {
        return Hint::NotHere(format!("`{key}` belongs in `[{place}]`"));
    }
    if let Some(near) = nearest(known.iter().copied(), &key) {
        return Hint::Here(format!("did you mean `{near}`?"));
    }
    let known: Vec<_> = known.iter().map(|key| format!("`{key}`")).collect();
    Hint::NotHere(format!("the keys here are {}", known.join(", ")))
}

/// The known word that is most like another, if any is like it at all.
pub(crate) fn nearest<'a>(known: impl Iterator<Item = &'a str>, word: &str) -> Option<&'a str> {
    let distance_max = word.len().max(3) / 3;
    known
        .map(|known| (strsim::osa_distance(known, &word.to_lowercase()), known))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// The table that has a key of this name, the nearest one by its path.
fn elsewhere(root: &Json, path: &[String], key: &str) -> Option<String> {
    let mut places = Vec::new();
    tables_with(root, root, key, &mut Vec::new(), &mut places);
    let shared = |place: &Vec<String>| {
        place.iter().zip(path).take_while(|(there, here)| same_key(there, here)).count()
    };
    let place = places.into_iter().max_by_key(|place| (shared(place), std::cmp::Reverse(place.len())))?;
    // The names that the operator chose stand where the schema has none.
    let named = place.iter().enumerate().map(|(at, there)| match path.get(at) {
        Some(here) if same_key(there, here) => here,
        _ => there,
    });
    Some(named.cloned().collect::<Vec<_>>().join("."))
}

const ANY_NAME: &str = "NAME";

fn same_key(of_schema: &str, key: &str) -> bool {
    of_schema == ANY_NAME || of_schema == key
}

fn tables_with(root: &Json, schema: &Json, key: &str, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let (_, schema) = resolve(root, schema);
    let properties = schema.get("properties").and_then(Json::as_object);
    // The root has a table for each of its keys, so nothing is ever said to belong there.
    if !path.is_empty() && properties.is_some_and(|properties| properties.contains_key(key)) {
        found.push(path.clone());
    }
    let named = properties.into_iter().flatten().map(|(name, schema)| (name.as_str(), schema));
    let free = schema.get("additionalProperties").map(|schema| (ANY_NAME, schema));
    for (name, schema) in named.chain(free) {
        path.push(name.to_owned());
        tables_with(root, schema, key, path, found);
        path.pop();
    }
}

/// Follows a reference: the name of the type that it leads to, and the schema itself.
pub(super) fn resolve<'a>(root: &'a Json, schema: &'a Json) -> (&'a str, &'a Json) {
    let reference = schema.get("$ref").and_then(Json::as_str).and_then(|to| to.strip_prefix("#/$defs/"));
    let target = reference.and_then(|name| Some((name, root.get("$defs")?.get(name)?)));
    target.unwrap_or(("", schema))
}
