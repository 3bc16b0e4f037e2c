//! The unit tests of the guest-side Python library, in the machine's own Python.

use std::path::Path;

use guesthouse_tests::tool;

#[test]
fn the_library_passes_its_unit_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/python");
    let output = tool("python3", "python3")
        .args(["-B", "-m", "unittest", "discover", "-s", "tests", "-t", "."])
        .current_dir(folder)
        .output()
        .expect("python3 starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // unittest is content with finding none.
    assert!(!said.contains("Ran 0 tests"), "{said}");
}
