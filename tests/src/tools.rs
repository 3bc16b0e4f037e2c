//! Independent clients that are installed on the machine.

use std::{env, process::Command};

/// A command of the machine, such as `curl`, by its name and the Debian package that has it.
///
/// # Panics
///
/// Where it is not installed, with what to install.
pub fn tool(name: &str, package: &str) -> Command {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|folder| folder.join(name).is_file());
    assert!(found, "this test needs `{name}`: run `apt-get install {package}`");
    Command::new(name)
}
