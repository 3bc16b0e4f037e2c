//! The components that the tests serve, built by the binary under test itself, once for all tests that run at a time.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::binary::{guesthouse, scratch};

/// The component of a Rust guest, one in `guests/test/src/bin` or an app in a folder of its own; or of one that is
/// written out as `guests/test/NAME.wat`.
///
/// # Panics
///
/// Where the build fails, with what it said; and where there is no such guest.
pub fn component(guest: &str) -> PathBuf {
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/test").join(guest).with_extension("wat");
    if text.is_file() {
        return assemble(&text);
    }
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    built(FOLDER.get_or_init(|| build("guests.toml")), guest)
}

/// The component of a Python guest. The first build takes minutes.
///
/// # Panics
///
/// As [`component`].
pub fn python_component(guest: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    built(FOLDER.get_or_init(|| build("python-guests.toml")), guest)
}

fn built(folder: &Path, guest: &str) -> PathBuf {
    let component = folder.join(guest).with_extension("wasm");
    assert!(component.is_file(), "there is no guest {guest}: {} is missing", component.display());
    component
}

/// Runs `guesthouse build` under a lock that tests in other processes wait for, and gives the folder of components.
fn build(manifest: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lock = File::create(scratch().join(manifest).with_extension("lock")).expect("a lock file");
    lock.lock().expect("the lock of the guests");
    let output = Command::new(guesthouse())
        .args(["build", "-m"])
        .arg(here.join(manifest))
        // What cargo tells a test of the host's own build is not meant for the guests' build.
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("guesthouse build starts");
    assert!(
        output.status.success(),
        "`guesthouse build -m tests/{manifest}` failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    here.join(".guesthouse/components")
}

fn assemble(text: &Path) -> PathBuf {
    let wasm = wat::parse_file(text).unwrap_or_else(|error| panic!("{error}"));
    let component = scratch().join(text.file_name().expect("a name")).with_extension("wasm");
    // Put in place whole, because another test may be reading it.
    let mut file = tempfile::NamedTempFile::new_in(scratch()).expect("a file beside it");
    file.write_all(&wasm).expect("the component is written");
    file.persist(&component).expect("the component is put in place");
    component
}
