//! Settings and header fields as JSON, alike in both worlds.

use serde_json::{Value as Json, json};

use crate::{
    bindings::{
        guesthouse::settings::settings::{self, Value},
        wasi::config::store,
    },
    target::Target,
};

/// Answers a question about the settings: `/get?path=`, `/json?path=`, `/generation`, `/config?key=`, `/config-all`.
pub fn settings(target: &Target) -> Json {
    match target.path.as_str() {
        "/get" => {
            settings::get(target.get("path").unwrap_or("")).map_or(Json::Null, |value| described(&value))
        }
        "/json" => json!(settings::get_json(target.get("path").unwrap_or(""))),
        "/generation" => json!(settings::generation()),
        "/config" => match store::get(target.get("key").unwrap_or("")) {
            Ok(value) => json!(value),
            Err(error) => json!({ "error": format!("{error:?}") }),
        },
        "/config-all" => match store::get_all() {
            Ok(pairs) => json!(pairs),
            Err(error) => json!({ "error": format!("{error:?}") }),
        },
        other => json!({ "error": format!("no question is at {other}") }),
    }
}

fn described(value: &Value) -> Json {
    match value {
        Value::Boolean(value) => json!({ "boolean": value }),
        Value::Integer(value) => json!({ "integer": value }),
        Value::Float(value) => json!({ "float": format!("{value:?}") }),
        Value::Text(value) => json!({ "text": value }),
        Value::List(length) => json!({ "list": length }),
        Value::Table(keys) => json!({ "table": keys }),
    }
}

/// Header fields as a list of pairs, in their order.
pub fn fields(entries: &[(String, Vec<u8>)]) -> Json {
    entries.iter().map(|(name, value)| json!([name, String::from_utf8_lossy(value)])).collect()
}

/// The environment, arguments and open directories that the guest has been granted, and the nanoseconds that its clocks
/// tell apart.
pub fn grants() -> Json {
    let environment: Vec<_> = wasip2::cli::environment::get_environment();
    let directories: Vec<_> =
        wasip2::filesystem::preopens::get_directories().into_iter().map(|(_, path)| path).collect();
    json!({
        "environment": environment,
        "arguments": wasip2::cli::environment::get_arguments(),
        "directories": directories,
        "working-directory": wasip2::cli::environment::initial_cwd(),
        "clocks": [
            wasip2::clocks::monotonic_clock::resolution(),
            wasip2::clocks::monotonic_clock::now() % 1_000,
            u64::from(wasip2::clocks::wall_clock::resolution().nanoseconds),
            u64::from(wasip2::clocks::wall_clock::now().nanoseconds % 1_000),
        ],
    })
}
