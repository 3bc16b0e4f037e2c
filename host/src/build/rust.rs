//! Rust guests: `cargo build --release --target wasm32-wasip2`, with a target folder in the cache, so that it never
//! waits for a build of the host or for an editor's.
//!
//! What a crate is made from is known only to the compiler, and taken from its dep-info afterwards; cargo itself
//! decides what has to be compiled again.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    Made, debian, depinfo,
    inputs::{Inputs, Kind, sha256_file},
    progress::Line,
    store::{Store, check_component},
    tool::{Run, Tool, ToolError},
};
use crate::plan::Rust;

pub(super) const TARGET: &str = "wasm32-wasip2";

/// Changed when the same sources would give another component for a reason that nothing else shows.
const RECIPE_VERSION: &str = "1";

/// What builds for [`TARGET`].
#[derive(Debug)]
pub(super) struct Toolchain {
    pub(super) cargo: PathBuf,
    pub(super) env: Vec<(&'static str, OsString)>,
    /// Further arguments of `cargo build`.
    pub(super) args: Vec<OsString>,
    /// Other compilers get another folder: they would only throw each other's work away.
    pub(super) target_dir: PathBuf,
}

/// `cargo metadata`, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    crate_types: Vec<String>,
}

/// One line of cargo's standard output with `--message-format=json` ("External tools" in the Cargo book).
#[derive(Debug, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact(Artifact),
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Artifact {
    package_id: String,
    manifest_path: PathBuf,
    target: Target,
    filenames: Vec<PathBuf>,
}

/// Which artifact is meant.
#[derive(Debug)]
struct Choice<'a> {
    package: &'a Package,
    /// The binary or library, where the package has several.
    target: &'a str,
}

/// Feeds what the component depends on beside the files that the compiler reads.
pub(super) fn digest_recipe(rust: &Rust, hasher: &mut Sha256) {
    hasher.update(format!("rust {RECIPE_VERSION} {} {:?} {:?}", debian::is_wanted(), rust.dir, rust.package));
}

/// Builds what `wanted` names of one folder, in one call of cargo. A result for each, in that order.
///
/// # Errors
/// What keeps all of them from being built.
pub(super) async fn build(
    dir: &Path,
    wanted: &[&Rust],
    store: &Store,
    line: &Line<'_>,
    run: &Run,
) -> Result<Vec<Result<Made>>> {
    let toolchain = toolchain(dir, store, line, run).await?;
    let metadata = metadata(dir, &toolchain, run).await?;
    let choices = wanted.iter().map(|rust| {
        let choice = choose(&metadata, rust)?;
        let before = Inputs::read(Kind::Rust, vec![folder_of(choice.package)], [], None)?;
        Ok((choice, before))
    });
    let choices: Vec<Result<(Choice<'_>, Inputs)>> = choices.collect();
    let chosen: Vec<&Choice<'_>> = choices.iter().flatten().map(|(choice, _)| choice).collect();
    let (artifacts, failure) = if chosen.is_empty() {
        (Vec::new(), None)
    } else {
        line.step("compiling");
        cargo_build(dir, &toolchain, &chosen, run).await?
    };
    let made = |choice: &Choice<'_>, before: &Inputs| -> Result<Made> {
        let artifact = artifacts.iter().find_map(|artifact| artifact.component_of(choice));
        let artifact = artifact.ok_or_else(|| no_artifact(failure.as_ref(), choice))?;
        check_component(&artifact)?;
        let extra = further_inputs(dir, &metadata, &artifacts, &artifact)?;
        let inputs = Inputs::read(Kind::Rust, vec![folder_of(choice.package)], extra, Some(before))?;
        let changed = before.first_change(&inputs).map(Path::to_owned);
        Ok(Made { key: sha256_file(&artifact)?, component: artifact, inputs, changed, scratch: None })
    };
    Ok(choices.into_iter().map(|choice| choice.and_then(|(choice, before)| made(&choice, &before))).collect())
}

/// What compiles for [`TARGET`] in this folder, installed if it has to be.
async fn toolchain(dir: &Path, store: &Store, line: &Line<'_>, run: &Run) -> Result<Toolchain> {
    if debian::is_wanted() {
        return debian::toolchain(store, line, run).await;
    }
    let rustup = Toolchain {
        cargo: PathBuf::from("cargo"),
        env: Vec::new(),
        args: Vec::new(),
        target_dir: store.path("rust").join("target"),
    };
    if has_target(dir, run).await? {
        return Ok(rustup);
    }
    line.step(&format!("rustup target add {TARGET}"));
    let add =
        Tool::new("rustup target add", "rustup").args(["target", "add", TARGET]).dir(dir).run(run).await;
    match add {
        Ok(_) if has_target(dir, run).await? => Ok(rustup),
        Err(ToolError::Stopped) => Err(ToolError::Stopped.into()),
        Ok(_) | Err(_) => debian::toolchain(store, line, run).await.with_context(|| {
            format!(
                "the target {TARGET} is not installed, and `rustup target add {TARGET}` does not bring it"
            )
        }),
    }
}

/// Whether the standard library for [`TARGET`] is there, for the compiler that this folder asks for.
async fn has_target(dir: &Path, run: &Run) -> Result<bool> {
    let tool = Tool::new("rustc --print target-libdir", "rustc").args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ]);
    let (output, result) = tool.dir(dir).output(run).await;
    match result {
        Ok(()) => {
            let library = PathBuf::from(String::from_utf8_lossy(&output).trim());
            let files = std::fs::read_dir(library).into_iter().flatten().flatten();
            Ok(files.map(|file| file.file_name()).any(|name| name.to_string_lossy().starts_with("libstd-")))
        }
        Err(error @ ToolError::Missing { .. }) => Err(anyhow!(
            "{error}: Rust guests are compiled with cargo and rustc\n\
             help: install Rust from https://rustup.rs, or set GUESTHOUSE_RUST_WASM=debian to use Debian's packages"
        )),
        Err(ToolError::Failed { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn metadata(dir: &Path, toolchain: &Toolchain, run: &Run) -> Result<Metadata> {
    let tool =
        toolchain.cargo("cargo metadata", dir).args(["metadata", "--no-deps", "--format-version", "1"]);
    let (output, result) = tool.output(run).await;
    result?;
    serde_json::from_slice(&output).context("`cargo metadata` printed something else than it should")
}

async fn cargo_build(
    dir: &Path,
    toolchain: &Toolchain,
    chosen: &[&Choice<'_>],
    run: &Run,
) -> Result<(Vec<Artifact>, Option<ToolError>)> {
    let mut tool = toolchain
        .cargo("cargo build", dir)
        .args([
            "build",
            "--release",
            "--keep-going",
            "--target",
            TARGET,
            "--message-format=json-render-diagnostics",
        ])
        .arg("--target-dir")
        .arg(&toolchain.target_dir)
        .args(&toolchain.args);
    let mut names: Vec<&str> = chosen.iter().map(|choice| choice.package.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        tool = tool.args(["-p", name]);
    }
    let (output, result) = tool.output(run).await;
    if let Err(ToolError::Stopped) = result {
        return Err(ToolError::Stopped.into());
    }
    // Lines that are no messages come from build scripts and procedural macros.
    let messages = String::from_utf8_lossy(&output).lines().map(serde_json::from_str).collect::<Vec<_>>();
    let artifacts = messages.into_iter().flatten().filter_map(|message| match message {
        Message::CompilerArtifact(artifact) => Some(artifact),
        Message::Other => None,
    });
    Ok((artifacts.collect(), result.err()))
}

impl Toolchain {
    fn cargo<'a>(&self, name: &'a str, dir: &Path) -> Tool<'a> {
        let tool = Tool::new(name, &self.cargo).dir(dir);
        self.env.iter().fold(tool, |tool, (key, value)| tool.env(key, value))
    }
}

impl Target {
    /// Whether it becomes a component: binaries do, and libraries for foreign callers.
    fn is_component(&self) -> bool {
        self.kind.iter().any(|kind| kind == "bin") || self.crate_types.iter().any(|kind| kind == "cdylib")
    }
}

impl Artifact {
    fn component_of(&self, choice: &Choice<'_>) -> Option<PathBuf> {
        let is_it = self.package_id == choice.package.id
            && self.target.name == choice.target
            && self.target.is_component();
        self.filenames
            .iter()
            .find(|name| is_it && name.extension().is_some_and(|kind| kind == "wasm"))
            .cloned()
    }
}

/// Finds the package or artifact that the manifest means.
fn choose<'a>(metadata: &'a Metadata, rust: &Rust) -> Result<Choice<'a>> {
    let dir = rust.dir.display();
    let with_components: Vec<&Package> =
        metadata.packages.iter().filter(|package| package.targets.iter().any(Target::is_component)).collect();
    let package = match &rust.package {
        Some(name) => metadata.packages.iter().find(|package| package.name == *name),
        None => {
            let here = rust.dir.join("Cargo.toml");
            let here = here.canonicalize().unwrap_or(here);
            let own = metadata.packages.iter().find(|package| package.manifest_path == here);
            own.or(match with_components.as_slice() {
                [only] => Some(*only),
                _ => None,
            })
        }
    };
    if let Some(package) = package {
        return only_target(package, &rust.dir);
    }
    let named = rust.package.as_deref().and_then(|name| {
        let is_it = |target: &&Target| target.name == name && target.is_component();
        with_components.iter().find_map(|package| Some((package, package.targets.iter().find(is_it)?)))
    });
    if let Some((package, target)) = named {
        return Ok(Choice { package, target: &target.name });
    }
    let names: Vec<&str> = with_components.iter().map(|package| package.name.as_str()).collect();
    Err(match &rust.package {
        Some(name) => anyhow!("{dir} has no package and no binary `{name}`\nhelp: it has {}", list(&names)),
        None => {
            anyhow!("{dir} has several packages\nhelp: name one with `package = \"…\"`: {}", list(&names))
        }
    })
}

fn only_target<'a>(package: &'a Package, dir: &Path) -> Result<Choice<'a>> {
    let dir = dir.display();
    let targets: Vec<&Target> = package.targets.iter().filter(|target| target.is_component()).collect();
    let names = || list(&targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>());
    match targets.as_slice() {
        [only] => Ok(Choice { package, target: &only.name }),
        [] => Err(anyhow!(
            "package `{}` in {dir} makes no component\n\
             help: give it a `src/main.rs`, or `crate-type = [\"cdylib\"]` under `[lib]`",
            package.name
        )),
        // The binary that is named like its package is the one that is meant by that name.
        several => several.iter().find(|target| target.name == package.name).map_or_else(
            || Err(anyhow!("package `{}` in {dir} makes several components\nhelp: name one with `package = \"…\"`: {}", package.name, names())),
            |target| Ok(Choice { package, target: &target.name }),
        ),
    }
}

fn no_artifact(failure: Option<&ToolError>, choice: &Choice<'_>) -> anyhow::Error {
    match failure {
        Some(error) => anyhow!("{error}"),
        None => anyhow!(
            "cargo ended well, but made no component of `{}` in package `{}`",
            choice.target,
            choice.package.name
        ),
    }
}

/// What the component was made from beside the package's folder: other crates in local folders, files that macros and
/// `include_str!` read, what configures cargo and the toolchain.
fn further_inputs(
    dir: &Path,
    metadata: &Metadata,
    artifacts: &[Artifact],
    artifact: &Path,
) -> Result<Vec<PathBuf>> {
    let info = artifact.with_extension("d");
    let text = std::fs::read_to_string(&info).with_context(|| format!("cannot read {}", info.display()))?;
    let mut files = depinfo::sources(&text);
    files.extend(["Cargo.toml", "Cargo.lock"].map(|name| metadata.workspace_root.join(name)));
    files.extend(
        artifacts
            .iter()
            .filter(|artifact| artifact.is_local())
            .map(|artifact| artifact.manifest_path.clone()),
    );
    for folder in dir.ancestors() {
        let names = [".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain"];
        files.extend(names.map(|name| folder.join(name)));
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let home_of =
        |variable, default| std::env::var_os(variable).map_or_else(|| home.join(default), PathBuf::from);
    files.extend(["config.toml", "config"].map(|name| home_of("CARGO_HOME", ".cargo").join(name)));
    // Written whenever rustup changes the default toolchain, or what it consists of.
    let rustup = home_of("RUSTUP_HOME", ".rustup");
    files.push(rustup.join("settings.toml"));
    let hashes = std::fs::read_dir(rustup.join("update-hashes")).into_iter().flatten().flatten();
    files.extend(hashes.map(|entry| entry.path()));
    Ok(files)
}

impl Artifact {
    /// Whether the crate comes from a folder of this machine, not from a registry ("Package ID Specifications").
    fn is_local(&self) -> bool {
        self.package_id.starts_with("path+")
    }
}

fn folder_of(package: &Package) -> PathBuf {
    package.manifest_path.parent().unwrap_or(Path::new("/")).to_owned()
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
