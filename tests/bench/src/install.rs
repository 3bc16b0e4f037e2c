//! The peers, installed once into the cache folder of the project, in exact versions.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::progress;

/// The version of wasmtime that the host is built on, as a program.
pub const WASMTIME_VERSION: &str = "48.0.8";
pub const GUNICORN_VERSION: &str = "27.0.1";

/// Where the peers are.
#[derive(Debug, Clone)]
pub struct Installed {
    pub folder: PathBuf,
}

impl Installed {
    /// In the cache folder of the project.
    pub fn open() -> Result<Installed> {
        let cache = guesthouse::plan::default_cache_dir(&|name| std::env::var(name).ok())
            .context("no place for caches: set GUESTHOUSE_CACHE_DIR or HOME")?;
        let folder = cache.join("bench");
        fs::create_dir_all(&folder).with_context(|| {
            format!(
                "cannot make {}; set GUESTHOUSE_CACHE_DIR to a folder that can be written",
                folder.display()
            )
        })?;
        Ok(Installed { folder })
    }

    /// The `wasmtime` program.
    pub fn wasmtime(&self) -> Result<PathBuf> {
        let root = self.folder.join(format!("wasmtime-{WASMTIME_VERSION}"));
        let binary = root.join("bin/wasmtime");
        if !said_by(Command::new(&binary).arg("--version")).is_ok_and(|said| said.contains(WASMTIME_VERSION))
        {
            progress(&format!("installing wasmtime-cli {WASMTIME_VERSION} (some ten minutes, once)"));
            let mut cargo = Command::new("cargo");
            cargo
                .args(["install", "--locked", &format!("wasmtime-cli@{WASMTIME_VERSION}"), "--root"])
                .arg(&root);
            run(&mut cargo)?;
        }
        Ok(binary)
    }

    /// A virtual environment with gunicorn and what the Django project requires.
    pub fn gunicorn(&self, requirements: &Path) -> Result<PathBuf> {
        let venv = self.folder.join("gunicorn");
        let wanted = format!("gunicorn=={GUNICORN_VERSION}\n{}", fs::read_to_string(requirements)?);
        let stamp = venv.join("installed.txt");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(venv);
        }
        progress(&format!("installing gunicorn {GUNICORN_VERSION} and Django in {}", venv.display()));
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))
            .context("it needs Python with `venv`: apt-get install python3-venv")?;
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check"]);
        pip.arg(format!("gunicorn=={GUNICORN_VERSION}")).arg("-r").arg(requirements);
        run(&mut pip)?;
        fs::write(stamp, wanted)?;
        Ok(venv)
    }

    /// The `wrk` program, from Debian.
    pub fn wrk(&self) -> Result<PathBuf> {
        let wrk = PathBuf::from("wrk");
        if Command::new(&wrk).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            progress("installing wrk with apt-get");
            let mut apt = Command::new("apt-get");
            apt.args(["install", "--yes", "--quiet", "wrk"]).env("DEBIAN_FRONTEND", "noninteractive");
            run(&mut apt).context("install it by hand: sudo apt-get update && sudo apt-get install wrk")?;
        }
        Ok(wrk)
    }
}

/// Runs a program to its end; its standard output goes where progress goes.
///
/// # Errors
///
/// It fails: with the whole command, to be run by hand.
pub fn run(command: &mut Command) -> Result<()> {
    command.env_remove("RUST_BACKTRACE").stdin(Stdio::null()).stdout(std::io::stderr());
    let status = command.status().with_context(|| format!("cannot run {}", shown(command)))?;
    if !status.success() {
        bail!("this command failed ({status}); run it by hand to see why:\n  {}", shown(command));
    }
    Ok(())
}

/// What a program prints on standard output.
///
/// # Errors
///
/// It fails.
pub fn said_by(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{} ended with {}", shown(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
