//! Secrets as JSON, alike in both worlds.

use serde_json::{Value as Json, json};

use crate::{
    bindings::{
        guesthouse::{secrets::secrets, settings::settings},
        wasi::config::store,
    },
    target::Target,
};

/// Answers `/names`; `/get?name=` with the secret, revealed; `/elsewhere` with all that it finds otherwise. `/trap?name=` and
/// `/panic?name=` end the instance with the secret in its memory;
/// `/hoard?name=` asks for handles without end.
pub fn secrets(target: &Target) -> Json {
    let name = target.get("name").unwrap_or("");
    match target.path.as_str() {
        "/names" => json!(secrets::names()),
        "/get" => match secrets::get(name) {
            Ok(secret) => json!({ "secret": secret.reveal(), "again": secret.reveal() }),
            Err(secrets::Error::NotFound) => json!({ "error": "not-found" }),
        },
        "/elsewhere" => json!({
            "settings": settings::get_json(""),
            "config": store::get_all().unwrap_or_default(),
            "environment": std::env::vars().collect::<Vec<_>>(),
            "arguments": std::env::args().collect::<Vec<_>>(),
        }),
        "/trap" => {
            let _kept = reveal(name);
            core::arch::wasm32::unreachable()
        }
        "/panic" => {
            let kept = reveal(name);
            panic!("with a secret of {} characters", kept.len())
        }
        "/hoard" => {
            let held: Vec<_> = (0..100_000).map(|_| secrets::get(name)).collect();
            json!(held.len())
        }
        other => json!({ "error": format!("no question is at {other}") }),
    }
}

/// The secret of this name.
///
/// # Panics
///
/// Where there is none.
pub fn reveal(name: &str) -> String {
    secrets::get(name).expect("a secret").reveal()
}

/// A handle that is kept, to be found in an image.
pub type Kept = secrets::Secret;

/// A handle to the secret of this name.
///
/// # Panics
///
/// Where there is none.
pub fn handle(name: &str) -> Kept {
    secrets::get(name).expect("a secret")
}

/// The names of all.
pub fn names() -> Vec<String> {
    secrets::names()
}
