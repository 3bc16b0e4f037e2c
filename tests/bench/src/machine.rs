//! Where and of what a result is: the machine, the date, the commit, the versions.

use std::{ffi::OsStr, fs, path::Path, process::Command, thread};

use anyhow::{Context, Result};
use serde::Serialize;
use time::{OffsetDateTime, macros::format_description};

use crate::install::{GUNICORN_VERSION, WASMTIME_VERSION, said_by};

#[derive(Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: f64,
    pub kernel: String,
}

#[derive(Debug, Serialize)]
pub struct Run {
    /// UTC.
    pub date: String,
    pub commit: String,
    /// Whether there were changes beside the commit.
    pub changed: bool,
    pub machine: Machine,
    /// Names and versions.
    pub versions: Vec<(String, String)>,
}

#[expect(clippy::disallowed_methods, reason = "no thread of the benchmark keeps to a core")]
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

impl Machine {
    fn this() -> Result<Machine> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo")?;
        let meminfo = fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_default()
        };
        let memory_kib: f64 = field(&meminfo, "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0.0);
        Ok(Machine {
            processor: field(&cpuinfo, "model name"),
            cores: cores(),
            memory_gib: memory_kib / 1024.0 / 1024.0,
            kernel: said_by(Command::new("uname").arg("-sr"))?,
        })
    }
}

impl Run {
    /// `requirements` are those of the Django project.
    pub fn now(house: &Path, requirements: &str) -> Result<Run> {
        let here = env!("CARGO_MANIFEST_DIR");
        let git = |arguments: &[&str]| said_by(Command::new("git").args(["-C", here]).args(arguments));
        let version = |program: &OsStr| version(program).unwrap_or_else(|| "unknown".to_owned());
        let django = requirements.lines().find_map(|line| line.strip_prefix("Django==")).unwrap_or("unknown");
        let versions = [
            ("guesthouse", version(house.as_os_str())),
            ("wasmtime serve", WASMTIME_VERSION.to_owned()),
            ("hyper", locked("hyper")),
            ("gunicorn", GUNICORN_VERSION.to_owned()),
            ("Django", django.to_owned()),
            ("Python", version("python3".as_ref())),
            ("wrk", version("wrk".as_ref())),
            ("rustc", version("rustc".as_ref())),
        ];
        let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
        Ok(Run {
            date: OffsetDateTime::now_utc().format(&format)?,
            commit: git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|_| "unknown".to_owned()),
            changed: git(&["status", "--porcelain"]).is_ok_and(|changes| !changes.is_empty()),
            machine: Machine::this()?,
            versions: versions.map(|(name, version)| (name.to_owned(), version)).into(),
        })
    }
}

/// What a program says of its version: the first word with a digit.
fn version(program: &OsStr) -> Option<String> {
    // wrk says it with an exit status of 1.
    let output = Command::new(program).arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.split_whitespace().find(|word| word.contains(|c: char| c.is_ascii_digit())).map(str::to_owned)
}

/// The version of a crate that this program was built with.
fn locked(name: &str) -> String {
    let lock = include_str!("../../../Cargo.lock");
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("\nname = \"{name}\"\n")));
    let version = entry.and_then(|entry| entry.lines().find_map(|line| line.strip_prefix("version = ")));
    version.map_or_else(|| "unknown".to_owned(), |version| version.trim_matches('"').to_owned())
}
