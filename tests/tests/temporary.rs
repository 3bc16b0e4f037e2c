//! Folders for temporary files: empty for each instance, nobody else's, and gone with it.

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use guesthouse_tests::{House, Manifest, PATIENCE, Request, python_component};
use rustix::process::Signal;
use tempfile::TempDir;

const GRANT: &str = "grants.dirs.\"/tmp\" = { temporary = true }";

/// A house whose own temporary files lie in this folder.
fn start(folder: &Path, manifest: &Manifest) -> House {
    House::start_with(manifest, 1, |command| {
        command.env("TMPDIR", folder);
    })
}

/// What is in the folders that instances have at the moment.
fn held(folder: &Path) -> usize {
    fs::read_dir(folder)
        .expect("the folder")
        .flatten()
        .filter_map(|root| fs::read_dir(root.path()).ok())
        .map(|instances| instances.count())
        .sum()
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
    }
}

#[test]
fn each_instance_begins_with_an_empty_folder_that_goes_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let reused = format!("{GRANT}\ninstances.isolation = \"reuse\"");
    let house =
        start(folder.path(), &Manifest::new().app("files", "files", GRANT).app("reused", "files", &reused));
    let ask = |app: &str, question: &str| house.get(app, question).text();

    for _ in 0..3 {
        assert_eq!(ask("files", "/list?path=/tmp"), "", "nothing of another request is there");
        assert_eq!(ask("files", "/write?path=/tmp/note&text=hello"), "written");
    }
    wait_until("folders go with their instances", || held(folder.path()) <= 1);

    assert_eq!(ask("reused", "/write?path=/tmp/note&text=hello"), "written");
    assert_eq!(ask("reused", "/read?path=/tmp/note"), "hello", "the instance is the same");
    assert_eq!(ask("files", "/list?path=/tmp"), "", "and its folder nobody else's");
    assert!(ask("files", "/write?path=/tmp/../note&text=x").starts_with("refused: "));

    assert!(house.stop().status.success());
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing is left behind");
}

#[test]
fn what_they_hold_has_the_limit_of_folders() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = format!("{GRANT}\nlimits = {{ dirs-mib = 1, cpu-ms = 60000 }}");
    let house = start(folder.path(), &Manifest::new().app("files", "files", &keys));
    for _ in 0..2 {
        wait_until("what has gone with its instance is counted no more", || {
            let filled = house.get("files", "/fill?path=/tmp/big").text();
            let written = filled.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0);
            assert!(written <= 1 << 20, "{filled}");
            written > 0
        });
    }
    assert!(house.api().app("files")["serving"]["causes"]["dirs-limit"].as_u64() > Some(0));
}

#[test]
fn what_a_killed_house_leaves_goes_with_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest =
        Manifest::new().app("files", "files", &format!("{GRANT}\ninstances.isolation = \"reuse\""));
    let house = start(folder.path(), &manifest);
    assert_eq!(house.get("files", "/write?path=/tmp/note&text=hello").text(), "written");
    house.signal(Signal::KILL);
    house.wait();
    assert_eq!(held(folder.path()), 1, "there is something to remove");
    let root = fs::read_dir(folder.path()).expect("the folder").flatten().next().expect("an entry").path();

    let then = SystemTime::now() - Duration::from_secs(600);
    File::open(&root).and_then(|root| root.set_modified(then)).expect("it can be made older");
    let next = start(folder.path(), &manifest);
    assert_eq!(next.get("files", "/list?path=/tmp").text(), "");
    assert!(!root.exists());
}

#[test]
fn django_takes_uploads_that_are_larger_than_it_keeps_in_memory() {
    let site = tempfile::tempdir().expect("a folder");
    fs::create_dir(site.path().join("data")).expect("the folder for what is kept");
    let temporary = tempfile::tempdir().expect("a folder");
    for (isolation, snapshot) in [("reuse", false), ("request", true)] {
        let keys = format!(
            "instances = {{ isolation = \"{isolation}\", snapshot = {snapshot} }}\n\
             grants.dirs = {{ \"/data\" = {{ path = {:?}, write = true }}, \"/tmp\" = {{ temporary = true }} }}",
            site.path().join("data")
        );
        let house = House::start_in(
            TempDir::new().expect("a folder for the house"),
            &Manifest::new().app_of("data", &python_component("data"), &keys).text(),
            1,
            |command| {
                command.env("TMPDIR", temporary.path());
            },
        );
        let large: Vec<u8> =
            (0..9_000_000_u32).map(|number| number.wrapping_mul(2_654_435_761) as u8).collect();
        for (name, content) in [("large.bin", &large[..]), ("small.bin", &large[..1000])] {
            let mut body = format!(
                "--frontier\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
            .into_bytes();
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n--frontier--\r\n");
            let request = Request::post("data.test", "/upload", body)
                .header("content-type", "multipart/form-data; boundary=frontier");
            let answer = house.send(&request);
            assert_eq!(answer.status(), 200, "{isolation}: {}", answer.text());
            let told = answer.json();
            let kept = site.path().join("data/media").join(told["name"].as_str().expect("a name"));
            assert_eq!(fs::read(&kept).expect("the file is kept"), content, "{}", kept.display());
            let in_between = told["where"].as_str().is_some_and(|path| path.starts_with("/tmp/"));
            assert_eq!(in_between, content.len() > 1000, "{told}");
            assert_eq!(told["left"], serde_json::json!([]), "{told}");
        }
        wait_until("folders go with their instances", || held(temporary.path()) <= 1);
        assert!(house.stop().status.success());
        assert_eq!(fs::read_dir(temporary.path()).expect("the folder").count(), 0);
    }
}
