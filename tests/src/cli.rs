//! Runs of the binary that end by themselves.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::binary::guesthouse;

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// None where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `guesthouse` with arguments in a folder.
///
/// # Panics
///
/// When it cannot be started.
pub fn run(folder: &Path, arguments: &[&str]) -> Outcome {
    let output = Command::new(guesthouse())
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .expect("guesthouse starts");
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
