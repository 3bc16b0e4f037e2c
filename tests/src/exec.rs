//! `guesthouse exec`: commands of apps, with the compile cache of the houses.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{Outcome, binary::guesthouse, house::cache};

/// Runs a command of an app of the manifest in a folder, with what it reads from standard input.
///
/// # Panics
///
/// When it cannot be started.
pub fn exec_with(folder: &Path, app: &str, arguments: &[&str], input: &str) -> Outcome {
    let mut command = Command::new(guesthouse());
    let command = command
        .args(["exec", app, "--"])
        .args(arguments)
        .current_dir(folder)
        .env("GUESTHOUSE_CACHE_DIR", cache())
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("guesthouse starts");
    // One that reads nothing may have ended.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("its end");
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The same, which must succeed: what it printed.
///
/// # Panics
///
/// Where it fails.
pub fn exec(folder: &Path, app: &str, arguments: &[&str]) -> String {
    let outcome = exec_with(folder, app, arguments, "");
    assert_eq!(outcome.code, Some(0), "{arguments:?}: {}{}", outcome.stdout, outcome.stderr);
    outcome.stdout
}

/// Runs a command at a terminal, by Python's `pty`. In the dialogue stand what is awaited on the screen, and what is typed
/// then, or nothing for Ctrl-C. The answer has `screen`, `status`, and for each typing in `echoed` whether it was shown.
///
/// # Panics
///
/// Where what is awaited does not come.
pub fn exec_at_terminal(
    folder: &Path,
    app: &str,
    arguments: &[&str],
    dialogue: &[(&str, Option<&str>)],
) -> Value {
    let binary = guesthouse();
    let binary = binary.to_str().expect("a path");
    let command = [&[binary, "exec", app, "--"], arguments].concat();
    let output = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/terminal.py"))
        .arg(json!({ "command": command, "dialogue": dialogue }).to_string())
        .current_dir(folder)
        .env("GUESTHOUSE_CACHE_DIR", cache())
        .output()
        .expect("python3 starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
