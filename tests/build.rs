//! Fails the build where a test guest is used by no test, or not built for any.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    // Asked when it runs: a target folder may be shared by clones, and this script not compiled anew in each.
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is"));
    let guests = here.join("../guests/test");
    let tests = here.join("tests");
    for watched in [&guests, &tests, &here.join("guests.toml"), &here.join("python-guests.toml")] {
        println!("cargo::rerun-if-changed={}", watched.display());
    }

    let manifest = read(&here.join("guests.toml"));
    let uses: String = files(&tests, "rs").iter().map(|path| read(path)).collect();
    for guest in files(&guests.join("src/bin"), "rs") {
        let name = guest.file_stem().expect("a name").to_string_lossy().into_owned();
        require(&name, &uses);
        if !manifest.contains(&format!("package = \"{name}\"")) {
            println!(
                "cargo::error=the test guest {name} is not built: add [apps.{name}] with \
                 source = {{ rust = \"../guests/test\", package = \"{name}\" }} to tests/guests.toml"
            );
        }
    }
    let python = read(&here.join("python-guests.toml"));
    for entry in fs::read_dir(here.join("../guests")).expect("guests is readable") {
        let name = entry.expect("an entry of guests").file_name().to_string_lossy().into_owned();
        if name.starts_with("test-python-") && !python.contains(&format!("guests/{name}\"")) {
            println!(
                "cargo::error=the test guest {name} is used by no test: tests/python-guests.toml does not name it"
            );
        }
    }
    for guest in files(&guests, "wat") {
        require(&guest.file_stem().expect("a name").to_string_lossy(), &uses);
    }
}

fn require(guest: &str, uses: &str) {
    if !uses.contains(&format!("\"{guest}\"")) {
        println!(
            "cargo::error=the test guest {guest} is used by no test: a file in tests/tests must name it as \
             \"{guest}\", or its source in guests/test be removed"
        );
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.extension().is_some_and(|own| own == extension))
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
