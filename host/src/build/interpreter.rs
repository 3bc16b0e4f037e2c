//! Finds a Python on this machine with which Python guests can be built, and runs it apart from the operator's packages.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use super::tool::{Run, Tool, ToolError};

/// The oldest that componentize-py runs on.
const VERSION_MIN: (u32, u32) = (3, 10);

/// Variables by which Python or pip would look at the operator's own packages.
const STRAY: &[&str] = &[
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "VIRTUAL_ENV",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_USER",
    "PIP_REQUIRE_VIRTUALENV",
];

/// A Python program, blind to what the operator has installed for others.
pub(super) fn tool<'a>(name: &'a str, program: &Path) -> Tool<'a> {
    Tool::new(name, program).without_env(STRAY).env("PYTHONDONTWRITEBYTECODE", "1")
}

/// A Python on this machine that can make the virtual environment.
pub(super) async fn find(run: &Run) -> Result<PathBuf> {
    const PROBE: &str = "import sys, importlib.util as u\n\
        print(*sys.version_info[:2], int(all(u.find_spec(m) for m in ('venv', 'ensurepip'))))";
    let chosen = std::env::var_os("GUESTHOUSE_PYTHON").map(PathBuf::from);
    let candidates = match &chosen {
        Some(path) => vec![path.clone()],
        None => [
            "python3",
            "python3.14",
            "python3.13",
            "python3.12",
            "python3.11",
            "python3.10",
            "/usr/bin/python3",
        ]
        .map(PathBuf::from)
        .to_vec(),
    };
    let mut found = Vec::new();
    for candidate in candidates {
        let (output, result) = tool("python", &candidate).args(["-c", PROBE]).output(run).await;
        match result {
            Err(ToolError::Stopped) => return Err(ToolError::Stopped.into()),
            // A name that leads to no Python (a version manager's stand-in, for one) is as good as none.
            Err(_) => continue,
            Ok(()) => {}
        }
        match probed(&output) {
            Some(probed) if probed.usable() => return Ok(candidate),
            Some(probed) => found.push((candidate, probed)),
            None => {}
        }
    }
    Err(no_python(&found))
}

/// What a Python said of itself.
#[derive(Debug, PartialEq, Eq)]
struct Probed {
    version: (u32, u32),
    has_venv: bool,
}

impl Probed {
    fn usable(&self) -> bool {
        self.version >= VERSION_MIN && self.has_venv
    }
}

fn probed(output: &[u8]) -> Option<Probed> {
    let mut numbers = std::str::from_utf8(output).ok()?.split_whitespace().map(str::parse);
    let version = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(Probed { version, has_venv: numbers.next()?.ok()? == 1_u32 })
}

fn no_python(found: &[(PathBuf, Probed)]) -> anyhow::Error {
    let (major, minor) = VERSION_MIN;
    let mut text = format!(
        "Python guests are built with Python {major}.{minor} or newer, and none that will do is on PATH"
    );
    for (path, probed) in found {
        let (had_major, had_minor) = probed.version;
        let lack =
            if probed.version < VERSION_MIN { "too old" } else { "without the modules venv and ensurepip" };
        text += &format!("\n  {} is {had_major}.{had_minor}, {lack}", path.display());
    }
    let package = if found.iter().any(|(_, probed)| probed.version >= VERSION_MIN) {
        "python3-venv"
    } else {
        "python3 python3-venv"
    };
    anyhow!(
        "{text}\nhelp: `apt-get install {package}` on Debian and Ubuntu, or name one with GUESTHOUSE_PYTHON=/path/to/python3"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_are_judged_by_what_they_say() {
        assert!(probed(b"3 14 1\n").unwrap().usable());
        assert!(!probed(b"3 9 1\n").unwrap().usable());
        assert!(!probed(b"3 11 0\n").unwrap().usable());
        assert_eq!(probed(b"pyenv: no such version\n"), None);
    }

    #[test]
    fn what_is_lacking_decides_what_to_install() {
        let lacks =
            |version, has_venv| no_python(&[("python3".into(), Probed { version, has_venv })]).to_string();
        assert!(lacks((3, 11), false).contains("`apt-get install python3-venv`"));
        assert!(lacks((3, 9), true).contains("too old"));
        assert!(no_python(&[]).to_string().contains("`apt-get install python3 python3-venv`"));
    }
}
