//! JavaScript and TypeScript guests: bundled by esbuild, made a component by `jco componentize`, both pinned by a lockfile of
//! ours and installed in the cache. The project's own packages are installed there too, by `npm ci` from its lockfile.
//!
//! Nothing is written into the project, and no script of a package is run: what such scripts compile is native code.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use rust_embed::Embed;
use sha2::{Digest, Sha256};

use super::{
    embedded::{self, Wit},
    inputs::{Inputs, Kind},
    progress::Line,
    store::{Store, check_component},
    tool::{Run, Tool, ToolError},
};
use crate::plan::Js;

/// `package.json` and `package-lock.json` of the tools.
#[derive(Embed)]
#[folder = "tools/js"]
#[include = "*.json"]
struct Tools;

/// Changed when the same sources would give another component for a reason that nothing else shows.
const RECIPE_VERSION: &str = "1";

/// The world of `wit/` that a component is made for.
const WORLD: &str = "app-p2";
/// The oldest that the tools run on.
const NODE_MIN: u32 = 20;

const MANIFEST: &str = "package.json";
const LOCK: &str = "package-lock.json";
/// What other package managers write.
const OTHER_LOCKS: &[&str] = &["yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb"];

/// Variables by which npm or node would look at other packages.
const STRAY: &[&str] = &["NODE_PATH", "NODE_OPTIONS", "npm_config_prefix", "npm_config_global"];

/// Feeds what the component depends on beside the project's files.
pub(super) fn digest_recipe(js: &Js, hasher: &mut Sha256) {
    let entry = js.entry.strip_prefix(&js.root).unwrap_or(&js.entry);
    hasher.update(format!("js {RECIPE_VERSION} {entry:?} "));
    embedded::digest_into::<Tools>(hasher);
    embedded::digest_into::<Wit>(hasher);
}

/// The files that the component is made from. Packages are told by the lockfile, which is one of them.
pub(super) fn inputs(js: &Js) -> Result<Inputs> {
    Inputs::read(Kind::Js, vec![js.root.clone()], [], None)
}

/// Names the component in the cache: the same sources give the same, wherever they lie.
pub(super) fn key(js: &Js, inputs: &Inputs) -> String {
    let mut hasher = Sha256::new();
    digest_recipe(js, &mut hasher);
    inputs.digest_into(&mut hasher);
    hex::encode(hasher.finalize())
}

/// Makes the component as the file `out`, with what is only of use on the way in `scratch`.
pub(super) async fn build(
    js: &Js,
    store: &Store,
    (scratch, out): (&Path, &Path),
    line: &Line<'_>,
    run: &Run,
) -> Result<()> {
    let tools = tools(store, line, run).await?;
    let packages = packages(js, store, line, run).await?;
    let wit = embedded::folder::<Wit>(&store.path("js"), "wit");
    embedded::unpack::<Wit>(&wit)?;
    let bundle = scratch.join("bundle.js");
    line.step("bundling");
    let mut esbuild = node("esbuild", tools.join(".bin/esbuild")).dir(&js.root).arg(&js.entry).args([
        "--bundle",
        "--format=esm",
        "--platform=neutral",
        "--main-fields=module,main",
        "--external:wasi:*",
        "--external:guesthouse:*",
        "--log-level=warning",
        "--color=false",
    ]);
    if let Some(packages) = packages {
        esbuild = esbuild.env("NODE_PATH", packages);
    }
    let mut outfile = OsString::from("--outfile=");
    outfile.push(&bundle);
    let warnings = esbuild.arg(outfile).run(run).await.map_err(mend_bundle)?;
    if !warnings.is_empty() {
        line.note(&warnings);
    }
    line.step("componentizing");
    let jco = node("jco componentize", tools.join(".bin/jco")).dir(scratch).arg("componentize").arg(&bundle);
    let jco = jco.arg("--wit").arg(&wit).args(["--world-name", WORLD]).arg("--out").arg(out);
    jco.run(run).await.map_err(mend_componentize)?;
    check_component(out)?;
    Ok(())
}

/// The folder `node_modules` of the tools.
async fn tools(store: &Store, line: &Line<'_>, run: &Run) -> Result<PathBuf> {
    check_node(run).await?;
    let folder = embedded::folder::<Tools>(&store.path("js"), "tools");
    let modules = folder.join("node_modules");
    let ready = folder.join("ready");
    if !ready.exists() {
        line.step("installing jco and esbuild");
        embedded::unpack::<Tools>(&folder)?;
        npm_install(&folder, run).await.map_err(|error| mend_npm(error, None))?;
        fs::write(&ready, "").with_context(|| format!("cannot write {}", ready.display()))?;
    }
    Ok(modules)
}

async fn check_node(run: &Run) -> Result<()> {
    let help = format!(
        "JavaScript guests are built with Node.js {NODE_MIN} or newer and npm\n\
         help: `apt-get install nodejs npm` on Debian 13 or Ubuntu 24.10 and later; elsewhere https://nodejs.org/en/download"
    );
    let (output, result) = node("node --version", "node").arg("--version").output(run).await;
    match result {
        Ok(()) => {}
        Err(error @ ToolError::Missing { .. }) => bail!("{error}: {help}"),
        Err(error) => return Err(error.into()),
    }
    let said = String::from_utf8_lossy(&output).trim().to_owned();
    let major = said.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE_MIN) {
        bail!("this machine's node is {said}: {help}");
    }
    Ok(())
}

/// The folder `node_modules` with what the project depends on, installed once for each lockfile; none if on nothing.
async fn packages(js: &Js, store: &Store, line: &Line<'_>, run: &Run) -> Result<Option<PathBuf>> {
    let manifest = js.root.join(MANIFEST);
    if !manifest.is_file() {
        return Ok(None);
    }
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let text = read(&manifest)?;
    let package: serde_json::Value =
        serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", manifest.display()))?;
    let dependencies = package.get("dependencies").and_then(serde_json::Value::as_object);
    if dependencies.is_none_or(serde_json::Map::is_empty) {
        return Ok(None);
    }
    let lock = js.root.join(LOCK);
    if !lock.is_file() {
        let other = OTHER_LOCKS.iter().find(|name| js.root.join(name).is_file());
        let other = other.map(|name| format!(" ({name} is another tool's)")).unwrap_or_default();
        bail!(
            "{} names packages, but there is no {LOCK} beside it{other}\n\
             help: `npm install --package-lock-only` in {} makes it; keep it with the sources",
            manifest.display(),
            js.root.display()
        );
    }
    let locked = read(&lock)?;
    let mut hasher = Sha256::new();
    for part in [&text, &locked] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let all = store.path("js").join("packages");
    let folder = all.join(hex::encode(hasher.finalize()));
    let modules = folder.join("node_modules");
    if folder.is_dir() {
        return Ok(Some(modules));
    }
    line.step(&format!("installing what {LOCK} names"));
    let scratch = store.scratch()?;
    let unfinished = scratch.path().join("packages");
    let copied = fs::create_dir_all(&unfinished)
        .and_then(|()| fs::write(unfinished.join(MANIFEST), &text))
        .and_then(|()| fs::write(unfinished.join(LOCK), &locked));
    copied.with_context(|| format!("cannot write {}", unfinished.display()))?;
    npm_ci(&unfinished, run).await.map_err(|error| mend_npm(error, Some(&lock)))?;
    let keep = fs::create_dir_all(&all).and_then(|()| fs::rename(&unfinished, &folder));
    keep.with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(Some(modules))
}

/// What a lockfile names, and nothing else.
async fn npm_ci(folder: &Path, run: &Run) -> Result<String, ToolError> {
    npm("npm ci", folder).arg("ci").run(run).await
}

/// The tools. Their lockfile cannot name all packages for platforms other than the one it was made on, which `npm ci` would
/// refuse; what it names is installed as it says.
async fn npm_install(folder: &Path, run: &Run) -> Result<String, ToolError> {
    npm("npm install", folder).args(["install", "--no-save"]).run(run).await
}

fn npm<'a>(name: &'a str, folder: &Path) -> Tool<'a> {
    node(name, "npm").dir(folder).args([
        "--omit=dev",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ])
}

fn node<'a>(name: &'a str, program: impl AsRef<std::ffi::OsStr>) -> Tool<'a> {
    Tool::new(name, program).without_env(STRAY).env("NO_COLOR", "1").env("NO_UPDATE_NOTIFIER", "1")
}

fn mend_npm(error: ToolError, lock: Option<&Path>) -> anyhow::Error {
    let text = error.excerpt();
    let help = if ["ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "network"]
        .iter()
        .any(|sign| text.contains(sign))
    {
        "the package registry could not be reached; npm's own settings (registry, proxy, cafile) are respected".to_owned()
    } else if let (true, Some(lock)) = (text.contains("can only install packages when"), lock) {
        format!(
            "{} does not go with {MANIFEST}: `npm install --package-lock-only` sets it right",
            lock.display()
        )
    } else if let ToolError::Missing { .. } = error {
        "`apt-get install npm` on Debian and Ubuntu".to_owned()
    } else {
        String::new()
    };
    with_help(error, &help)
}

fn mend_bundle(error: ToolError) -> anyhow::Error {
    let help = if error.excerpt().contains("\"node:") || error.excerpt().contains("built into node") {
        "modules of Node (`node:…`, `fs`, `http`) are not there in a component"
    } else if error.excerpt().contains("Could not resolve") {
        "a package must be among the dependencies of package.json and in package-lock.json"
    } else {
        ""
    };
    with_help(error, help)
}

fn mend_componentize(error: ToolError) -> anyhow::Error {
    let help = if error.excerpt().contains("incomingHandler") || error.excerpt().contains("incoming-handler")
    {
        "the first module must export `incomingHandler`; with Hono, \
         `export { incomingHandler } from \"@bytecodealliance/jco-std/wasi/0.2.x/http/adapters/hono/server\"`"
    } else {
        ""
    };
    with_help(error, help)
}

fn with_help(error: ToolError, help: &str) -> anyhow::Error {
    // Kept as it is: who called must know that it was told to stop.
    if help.is_empty() || matches!(error, ToolError::Stopped) {
        error.into()
    } else {
        anyhow!("{error}\nhelp: {help}")
    }
}
