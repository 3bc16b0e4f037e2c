//! Fails the build where a test guest is used by no test, or not built for any.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guests = here.join("../guests/test");
    let (tests, manifest) = (here.join("tests"), here.join("guests.toml"));
    for watched in [&guests.join("src/bin"), &guests, &tests, &manifest] {
        println!("cargo::rerun-if-changed={}", watched.display());
    }

    let manifest = fs::read_to_string(&manifest).expect("tests/guests.toml is readable");
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
