//! Where the binary under test is.

use std::{env, path::PathBuf, process::Command};

/// The `guesthouse` binary of the profile that this program was built in; or the one that `GUESTHOUSE_BINARY` names.
///
/// # Panics
///
/// Where there is none, with what to run.
pub fn guesthouse() -> PathBuf {
    if let Some(named) = env::var_os("GUESTHOUSE_BINARY") {
        return named.into();
    }
    let binary = profile().join("guesthouse");
    assert!(
        binary.is_file(),
        "there is no binary at {}: run `cargo test --workspace`, or `cargo build` in the same profile first",
        binary.display()
    );
    binary
}

/// Builds the binary, for a program that measures: what it measures is the present source, and not a binary that happens
/// to lie there.
///
/// # Panics
///
/// Where it does not build.
pub fn build_house() {
    if env::var_os("GUESTHOUSE_BINARY").is_some() {
        return;
    }
    let profile = profile();
    let profile = profile.file_name().and_then(|name| name.to_str()).expect("the name of a profile");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--package", "guesthouse"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile == "release" {
        cargo.arg("--release");
    } else {
        eprintln!("this is the profile `{profile}`: for figures, run it with `cargo run --release`");
    }
    eprintln!("building the house and its guests");
    // What cargo tells a program that it runs would make parts of the house another build each time.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            cargo.env_remove(name);
        }
    }
    let status = cargo.status().expect("cargo starts");
    assert!(status.success(), "the house does not build: {status}");
}

/// A folder of the tests' own beside the build's.
pub(crate) fn scratch() -> PathBuf {
    let scratch = profile().parent().expect("a profile lies in the target folder").join("tests");
    std::fs::create_dir_all(&scratch).expect("a folder for the tests");
    scratch
}

/// The folder of the profile: a test is `<target>/<profile>/deps/<test>`, another program `<target>/<profile>/<program>`.
///
/// # Panics
///
/// Where this program lies nowhere.
pub fn profile() -> PathBuf {
    let program = env::current_exe().expect("the path of this program");
    let folder = program.parent().expect("a program lies in a folder");
    if folder.ends_with("deps") { folder.parent().expect("deps lies in a profile") } else { folder }
        .to_owned()
}
