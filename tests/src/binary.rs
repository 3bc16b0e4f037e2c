//! Where the binary under test is.

use std::{env, path::PathBuf};

/// The `guesthouse` binary of the profile that the tests were built in; or the one that `GUESTHOUSE_BINARY` names.
///
/// # Panics
///
/// Where there is none, with what to run.
pub fn guesthouse() -> PathBuf {
    if let Some(named) = env::var_os("GUESTHOUSE_BINARY") {
        return named.into();
    }
    // <target>/<profile>/deps/<test>
    let test = env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("a test lies in <target>/<profile>/deps");
    let binary = profile.join("guesthouse");
    assert!(
        binary.is_file(),
        "there is no binary at {}: run `cargo test --workspace`, or `cargo build` in the same profile first",
        binary.display()
    );
    binary
}

/// A folder of the tests' own beside the build's.
pub(crate) fn scratch() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    let target = test.ancestors().nth(3).expect("a test lies in <target>/<profile>/deps");
    let scratch = target.join("tests");
    std::fs::create_dir_all(&scratch).expect("a folder for the tests");
    scratch
}
