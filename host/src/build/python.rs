//! Python guests: componentize-py, pinned, in a private virtual environment; the project's requirements in a folder of
//! their own; then `guests/python/build.py`, which knows WSGI, Django and what has to be captured.
//!
//! Nothing is installed outside the cache, and no virtual environment of the operator's is read.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};

use super::{
    embedded::{self, PythonLibrary, Wit},
    inputs::{Inputs, Kind},
    interpreter::{self, tool},
    progress::Line,
    store::{Store, check_component},
    tool::{Run, Tool, ToolError},
};
use crate::plan::{Python, Wasi};

/// Carries CPython 3.14, compiled to WebAssembly.
const COMPONENTIZE: &str = "componentize-py==0.25.1";
const GUEST_PYTHON: &str = "3.14";

/// Time zones, for projects that do not bring their own: a guest has no zone files of an operating system.
const ZONES: &str = "tzdata==2026.6";

/// Changed when the same sources would give another component for a reason that nothing else shows.
const RECIPE_VERSION: &str = "1";

/// What the requirements are installed with. `--ignore-requires-python`: `pip install` compares a package's
/// Requires-Python with the Python that runs pip, in spite of `--python-version`. No `--platform`: packages with an
/// optional native part (MarkupSafe) exist only as platform wheels, and `build.py` leaves the native part out.
/// `--no-compile`: byte code of this Python is of no use to that of the guest.
const PIP_INSTALL: &[&str] = &[
    "--no-compile",
    "--python-version",
    GUEST_PYTHON,
    "--implementation",
    "cp",
    "--ignore-requires-python",
    "--only-binary=:all:",
];

/// Feeds what the component depends on beside the project's files and requirements.
pub(super) fn digest_recipe(python: &Python, hasher: &mut Sha256) {
    let wasi = wasi_version(python.wasi);
    let files = if python.mounted { "mounted" } else { "captured" };
    for part in ["python", RECIPE_VERSION, COMPONENTIZE, ZONES, wasi, files, &python.wsgi]
        .into_iter()
        .chain(python.include.iter().map(String::as_str))
    {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    embedded::digest_into::<PythonLibrary>(hasher);
    embedded::digest_into::<Wit>(hasher);
}

/// The files that the component is made from: the requirements files, and the project unless it is mounted. Of that, a
/// component only knows which libraries it names, and others are loaded when they are wanted.
pub(super) fn inputs(python: &Python) -> Result<Inputs> {
    let trees = if python.mounted { Vec::new() } else { vec![python.dir.clone()] };
    Inputs::read(Kind::Python, trees, requirement_files(python.requirements.as_deref())?, None)
}

/// Names the component in the cache: the same sources give the same, wherever they lie.
pub(super) fn key(python: &Python, inputs: &Inputs) -> String {
    let mut hasher = Sha256::new();
    digest_recipe(python, &mut hasher);
    inputs.digest_into(&mut hasher);
    hex::encode(hasher.finalize())
}

/// A job that is ready to be built.
#[derive(Debug)]
pub(super) struct Prepared {
    interpreter: PathBuf,
    site: Option<PathBuf>,
    library: PathBuf,
    wit: PathBuf,
}

/// Makes what builds may share: the virtual environment, the installed requirements, the unpacked library.
pub(super) async fn prepare(python: &Python, store: &Store, line: &Line<'_>, run: &Run) -> Result<Prepared> {
    let interpreter = environment(store, line, run).await?;
    let site = match &python.requirements {
        Some(file) => Some(requirements(file, &interpreter, store, line, run).await?),
        None => None,
    };
    let library = embedded::folder::<PythonLibrary>(&store.path("python"), "library");
    embedded::unpack::<PythonLibrary>(&library)?;
    let wit = embedded::folder::<Wit>(&store.path("python"), "wit");
    embedded::unpack::<Wit>(&wit)?;
    Ok(Prepared { interpreter, site, library, wit })
}

/// Makes the component as the file `out`.
pub(super) async fn build(
    python: &Python,
    with: &Prepared,
    out: &Path,
    line: &Line<'_>,
    run: &Run,
) -> Result<()> {
    line.step("componentizing");
    let mut tool = tool("build.py", &with.interpreter)
        .arg(with.library.join("build.py"))
        .arg("--wit")
        .arg(&with.wit)
        .arg("--project")
        .arg(&python.dir)
        .args(["--wsgi", &python.wsgi, "--wasi", wasi_version(python.wasi)]);
    if let Some(site) = &with.site {
        tool = tool.arg("--site").arg(site);
    }
    if python.mounted {
        tool = tool.arg("--mounted");
    }
    for module in &python.include {
        tool = tool.args(["--include", module]);
    }
    let warnings = tool.arg("--out").arg(out).run(run).await?;
    if !warnings.is_empty() {
        line.note(&warnings);
    }
    check_component(out)?;
    Ok(())
}

/// The virtual environment's interpreter, with componentize-py installed.
async fn environment(store: &Store, line: &Line<'_>, run: &Run) -> Result<PathBuf> {
    let folder = store.path("python").join(COMPONENTIZE.replace("==", "-"));
    let interpreter = folder.join("bin/python");
    let ready = folder.join("ready");
    // `exists` follows the link to the Python that it was made with, which may have been removed since.
    let wanted = format!("{COMPONENTIZE} {ZONES}");
    if interpreter.exists() && fs::read_to_string(&ready).is_ok_and(|had| had == wanted) {
        return Ok(interpreter);
    }
    line.step(&format!("installing {wanted}"));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let python = interpreter::find(run).await?;
    let make = tool("python -m venv", &python).args(["-m", "venv"]).arg(&folder).run(run).await;
    make.map_err(|error| mend_venv(error, &python))?;
    let install = pip("pip install", &interpreter).args([COMPONENTIZE, ZONES]).run(run).await;
    install.map_err(|error| mend_pip(error, None))?;
    fs::write(&ready, wanted).with_context(|| format!("cannot write {}", ready.display()))?;
    Ok(interpreter)
}

/// Installs a requirements file into a folder of the cache, once for each content.
async fn requirements(
    file: &Path,
    python: &Path,
    store: &Store,
    line: &Line<'_>,
    run: &Run,
) -> Result<PathBuf> {
    let mut hasher = Sha256::new();
    hasher.update(COMPONENTIZE);
    for part in PIP_INSTALL {
        hasher.update(part);
    }
    for path in requirement_files(Some(file))? {
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    let sites = store.path("python").join("sites");
    let site = sites.join(hex::encode(hasher.finalize()));
    if site.is_dir() {
        return Ok(site);
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    line.step(&format!("installing what {name} names"));
    let scratch = store.scratch()?;
    let unfinished = scratch.path().join("site");
    let install =
        pip("pip install", python).args(PIP_INSTALL).arg("--target").arg(&unfinished).arg("-r").arg(file);
    install.run(run).await.map_err(|error| mend_pip(error, Some(file)))?;
    // A file that names nothing makes pip install nothing, not even the folder.
    let keep = fs::create_dir_all(&unfinished)
        .and_then(|()| fs::create_dir_all(&sites))
        .and_then(|()| fs::rename(&unfinished, &site));
    keep.with_context(|| format!("cannot make {}", site.display()))?;
    Ok(site)
}

/// A requirements file with those that it includes by `-r` and `-c` lines.
pub(super) fn requirement_files(file: Option<&Path>) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut open: Vec<PathBuf> = file.map(Path::to_owned).into_iter().collect();
    while let Some(path) = open.pop() {
        let unreadable = || format!("cannot read the requirements {}", path.display());
        // By its one true name: files may include each other in a circle.
        let path = path.canonicalize().with_context(unreadable)?;
        if found.contains(&path) {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(unreadable)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        open.extend(text.lines().filter_map(included_file).map(|name| folder.join(name)));
        found.insert(path);
    }
    Ok(found)
}

/// The file that a line of a requirements file includes (pip documentation, "Requirements File Format").
fn included_file(line: &str) -> Option<&str> {
    const OPTIONS: &[&str] = &["--requirement", "--constraint", "-r", "-c"];
    let line = line.split(" #").next().unwrap_or_default().trim();
    let rest = OPTIONS.iter().find_map(|option| line.strip_prefix(option))?;
    let name = rest.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
    // From an address: pip knows how to get it, and its name stands in the file that was read.
    (!name.is_empty() && !name.contains("://")).then_some(name)
}

fn mend_venv(error: ToolError, python: &Path) -> anyhow::Error {
    let help = if error.excerpt().contains("ensurepip") {
        "\nhelp: `apt-get install python3-venv` on Debian and Ubuntu".to_owned()
    } else {
        format!(
            "\nhelp: {} made no virtual environment; name another Python with GUESTHOUSE_PYTHON",
            python.display()
        )
    };
    with_help(error, &help)
}

fn mend_pip(error: ToolError, requirements: Option<&Path>) -> anyhow::Error {
    let text = error.excerpt().to_owned();
    let unreachable = ["Connection", "name resolution", "ReadTimeout", "ProxyError", "SSLError"];
    let asked_in =
        requirements.map_or_else(|| "the package index".to_owned(), |file| file.display().to_string());
    let help = if unreachable.iter().any(|sign| text.contains(sign)) {
        "\nhelp: the package index could not be reached; pip's own settings (PIP_INDEX_URL, PIP_PROXY, PIP_CERT) are respected".to_owned()
    } else if let Some(known) = known_in_vain(&text) {
        known
    } else if text.contains("No matching distribution found") || text.contains("Could not find a version") {
        format!(
            "\nhelp: no wheel of it fits a guest: check name and version in {asked_in}. One that has source archives \
             alone, and no native code, is built if a line there says `--no-binary NAME`; native code cannot be built \
             for Python {GUEST_PYTHON} in WebAssembly"
        )
    } else if text.contains("ResolutionImpossible") || text.contains("conflicting dependencies") {
        format!("\nhelp: the versions in {asked_in} contradict each other")
    } else {
        String::new()
    };
    with_help(error, &help)
}

/// What is known of the requirement that pip found no wheel of: the same as the builder says of those that it did find.
fn known_in_vain(output: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Known {
        why: String,
        instead: String,
    }
    let (_, rest) = output.split_once("No matching distribution found for ")?;
    let ends = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let name = rest.split(ends).next()?;
    let file = PythonLibrary::get("builder/packages.json")?;
    let mut known: std::collections::HashMap<String, Known> = serde_json::from_slice(&file.data).ok()?;
    let Known { why, instead } = known.remove(&name.to_ascii_lowercase().replace(['_', '.'], "-"))?;
    Some(format!("\nhelp: the requirement `{name}` does not work in a guest: {why}; instead: {instead}"))
}

fn with_help(error: ToolError, help: &str) -> anyhow::Error {
    // Kept as it is: who called must know that it was told to stop.
    if help.is_empty() || matches!(error, ToolError::Stopped) {
        error.into()
    } else {
        anyhow!("{error}{help}")
    }
}

fn pip<'a>(name: &'a str, python: &Path) -> Tool<'a> {
    tool(name, python).args([
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
    ])
}

fn wasi_version(wasi: Wasi) -> &'static str {
    match wasi {
        Wasi::P2 => "0.2",
        Wasi::P3 => "0.3",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn included_requirements_are_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("a.txt"),
            "-r sub/b.txt\nDjango==5.2.6\n--constraint=c.txt # why\n-r https://x/y.txt\n",
        )
        .unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/b.txt"), "-r ../a.txt\nsqlparse==0.5.3\n").unwrap();
        fs::write(dir.path().join("c.txt"), "").unwrap();
        let found = requirement_files(Some(&dir.path().join("a.txt"))).unwrap();
        let root = dir.path().canonicalize().unwrap();
        assert_eq!(found, ["a.txt", "c.txt", "sub/b.txt"].map(|name| root.join(name)).into());
    }

    #[test]
    fn what_is_known_of_a_requirement_without_a_wheel_is_said() {
        let of = |name| known_in_vain(&format!("ERROR: No matching distribution found for {name}"));
        let said = of("mysqlclient==2.3.1").unwrap();
        assert!(said.contains("`mysqlclient` does not work") && said.ends_with("instead: PyMySQL"), "{said}");
        assert_eq!((of("nothing-known<2"), known_in_vain("other")), (None, None));
    }

    #[test]
    fn a_requirements_file_that_is_not_there_is_named() {
        let error = requirement_files(Some(Path::new("/nowhere/r.txt"))).unwrap_err();
        assert!(error.to_string().contains("/nowhere/r.txt"));
    }
}
