//! JavaScript and TypeScript projects: a `package.json`, and the module that it begins with.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Project, Seen};

/// Where the first module is by custom.
const ENTRIES: &[&str] =
    &["src/app", "src/index", "src/main", "src/server", "app", "index", "main", "server"];
const ENDINGS: &[&str] = &["ts", "js", "mts", "mjs"];
/// Frameworks that listen on Node's sockets.
const LISTEN: &[&str] = &["express", "koa", "fastify", "@nestjs/core", "next", "@hapi/hapi"];

pub(super) fn find(seen: &Seen<'_>) -> Result<Project> {
    let path = seen.path("package.json");
    let text = seen.text("package.json").with_context(|| format!("cannot read {}", path.display()))?;
    let package: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    let by_custom =
        ENTRIES.iter().flat_map(|name| ENDINGS.iter().map(move |ending| format!("{name}.{ending}")));
    let named =
        ["module", "main"].into_iter().filter_map(|key| package.get(key)?.as_str().map(str::to_owned));
    // What `main` names is often made by a build, and is the source only where it is there.
    let Some(entry) = by_custom.chain(named).find(|name| seen.has(name)) else {
        bail!(
            "{} has a package.json, but no module to begin with\n\
             help: looked for src/app, src/index, app, index (.ts or .js) and `main` in package.json",
            seen.dir.display()
        );
    };
    let mut project = Project {
        what: "A JavaScript project".into(),
        facts: vec![format!("begins with: {entry}")],
        source: vec![("js", seen.named(&entry))],
        ..Project::default()
    };
    let dependencies = package.get("dependencies").and_then(Value::as_object);
    let has = |name: &str| dependencies.is_some_and(|all| all.contains_key(name));
    if let Some(name) = LISTEN.iter().find(|name| has(name)) {
        project.notes.push(format!(
            "{name} listens on sockets of Node, which a component does not have; Hono answers through wasi:http: \
             `guesthouse new js DIR` shows one"
        ));
    } else if !has("@bytecodealliance/jco-std") && dependencies.is_some() {
        project.notes.push(
            "its first module must answer requests of wasi:http; `guesthouse new js DIR` shows how Hono does, by \
             @bytecodealliance/jco-std"
                .into(),
        );
    }
    if dependencies.is_some_and(|all| !all.is_empty()) && !seen.has("package-lock.json") {
        project
            .notes
            .push("there is no package-lock.json: make one with `npm install`; `npm ci` reads it".into());
    }
    Ok(project)
}
