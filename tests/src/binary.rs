//! Where the binary under test is.

use std::{env, path::PathBuf};

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
