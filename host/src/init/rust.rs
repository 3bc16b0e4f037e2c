//! Rust projects: a Cargo package, or a workspace of which a package is named later.

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use super::{Project, Seen};

/// Crates by which a program answers `wasi:http`.
const SPEAK_HTTP: &[&str] =
    &["wstd", "wasip2", "wasip3", "wasi", "wit-bindgen", "spin-sdk", "waki", "wasi-http-client"];
/// Crates for servers that listen on sockets themselves.
const LISTEN: &[&str] = &["axum", "actix-web", "rocket", "warp", "poem", "salvo", "tide"];

pub(super) fn find(seen: &Seen<'_>) -> Result<Project> {
    let path = seen.path("Cargo.toml");
    let text = seen.text("Cargo.toml").with_context(|| format!("cannot read {}", path.display()))?;
    let table: Table = text.parse().with_context(|| format!("{} is no TOML", path.display()))?;
    let Some(name) = table.get("package").and_then(|package| package.get("name")).and_then(Value::as_str)
    else {
        bail!(
            "{} is a workspace without a package of its own\nhelp: name the folder of one of its packages",
            path.display()
        );
    };
    let mut project = Project {
        what: "A Rust package".into(),
        facts: vec![format!("package: {name}")],
        source: vec![("rust", seen.named(""))],
        ..Project::default()
    };
    let dependencies = table.get("dependencies").and_then(Value::as_table);
    let has = |names: &[&str]| {
        dependencies
            .and_then(|all| names.iter().find(|name| all.contains_key(**name)).map(|name| (*name).to_owned()))
    };
    if has(SPEAK_HTTP).is_none() {
        let listens = has(LISTEN)
            .map(|name| format!("{name} listens on sockets of its own, which a component does not: "))
            .unwrap_or_default();
        project.notes.push(format!(
            "{listens}an app answers through wasi:http, with the crate wstd for instance; `guesthouse new rust DIR` shows one"
        ));
    }
    Ok(project)
}
