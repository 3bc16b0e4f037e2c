//! Compiled code is kept on disk: a warm start compiles nothing, and what is damaged is compiled again, never trusted.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use guesthouse_tests::{Entry, House, Manifest};

/// Starts a house with this cache, asks its apps, and gives the lines about compilations.
fn compiled(cache: &Path, manifest: &Manifest, apps: &[&str]) -> Vec<Entry> {
    let house = House::start_with(manifest, 1, |command| {
        command.env("GUESTHOUSE_CACHE_DIR", cache);
    });
    for app in apps {
        house.assert_well(app);
    }
    let stopped = house.stop();
    assert!(stopped.status.success());
    let about = |entry: &Entry| entry.message().contains("compiled");
    stopped.log.into_iter().chain(stopped.errors).filter(about).collect()
}

fn two_apps_of_one_component() -> Manifest {
    Manifest::new()
        .app("one", "echo", "settings.A = 1")
        .app("two", "echo", "settings.A = 2")
        .app("other", "wait", "")
}

/// The files of the cache that hold code.
fn entries(cache: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(cache)
        .expect("the cache")
        .map(|entry| entry.expect("an entry").path())
        .flat_map(|path| if path.is_dir() { entries(&path) } else { vec![path] })
        .filter(|path| fs::metadata(path).expect("a file").len() > 10_000)
        .collect();
    files.sort();
    files
}

#[test]
fn a_component_is_compiled_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let manifest = two_apps_of_one_component();
    let apps = ["one", "two", "other"];
    let cold = compiled(&cache, &manifest, &apps);
    assert_eq!(cold.len(), 2, "one line for each component: {}", shown(&cold));
    assert_eq!(entries(&cache).len(), 2);
    let mode = fs::metadata(&cache).expect("the cache").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{mode:o}");

    let warm = compiled(&cache, &manifest, &apps);
    assert!(warm.is_empty(), "a warm start compiles nothing: {}", shown(&warm));
    let other_name = Manifest::new().app("renamed", "echo", "");
    assert!(compiled(&cache, &other_name, &["renamed"]).is_empty(), "entries go by content, not by name");
    let new = Manifest::new().app("one", "echo", "").app("new", "say", "");
    assert_eq!(compiled(&cache, &new, &["one", "new"]).len(), 1);
}

fn shown(entries: &[Entry]) -> String {
    entries.iter().map(Entry::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_entry_that_is_damaged_under_a_running_house_is_not_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let manifest = Manifest::new().app("asked", "echo", "").app("late", "wait", "");
    let house = House::start_with(&manifest, 1, |command| {
        command.env("GUESTHOUSE_CACHE_DIR", &cache);
    });
    house.assert_well("asked");
    for entry in entries(&cache) {
        let mut bytes = fs::read(&entry).expect("compiled code");
        bytes.reverse();
        // A file of its own: what is loaded is mapped from the old one.
        fs::remove_file(&entry).expect("the old one goes");
        fs::write(&entry, bytes).expect("another takes its place");
    }
    assert_eq!(house.get("late", "/ok").status(), 500);
    let line = house.log().wait_for("the reason", |entry| entry.is_failure("late"));
    assert!(line.message().contains("restart the house"), "{line}");
    house.assert_well("asked");
}

#[test]
fn a_damaged_entry_is_compiled_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let manifest = Manifest::new().app("one", "echo", "");
    assert_eq!(compiled(&cache, &manifest, &["one"]).len(), 1);
    let damages: [fn(&mut Vec<u8>); 6] = [
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes.clear(),
        |bytes| bytes.fill(0),
        |bytes| bytes.push(0),
        // One bit, in the middle and at both ends.
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        },
        |bytes| bytes[100] ^= 0x80,
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let [entry] = &entries(&cache)[..] else { panic!("one entry") };
        let mut bytes = fs::read(entry).expect("the entry");
        damage(&mut bytes);
        fs::remove_file(entry).expect("the old entry goes");
        fs::write(entry, bytes).expect("the damage is done");
        assert_eq!(compiled(&cache, &manifest, &["one"]).len(), 1, "damage number {number}");
        assert!(compiled(&cache, &manifest, &["one"]).is_empty(), "mended after damage number {number}");
    }
}

/// Code that somebody else has put there, of another component, is not run in its place.
#[test]
fn an_entry_of_another_component_is_not_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let first = Manifest::new().app("one", "echo", "");
    compiled(&cache, &first, &["one"]);
    let of_first = entries(&cache).remove(0);
    compiled(&cache, &Manifest::new().app("two", "trap", ""), &["two"]);
    let of_second = entries(&cache).into_iter().find(|path| *path != of_first).expect("a second entry");
    fs::copy(&of_second, &of_first).expect("one in the other's place");
    assert_eq!(compiled(&cache, &first, &["one"]).len(), 1);
}

#[test]
fn the_cache_may_be_lost_at_any_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let manifest = Manifest::new().app("one", "echo", "instances.isolation = \"request\"");
    let house = House::start_with(&manifest, 1, |command| {
        command.env("GUESTHOUSE_CACHE_DIR", &cache);
    });
    house.assert_well("one");
    fs::remove_dir_all(&cache).expect("the cache goes");
    house.assert_well("one");
}

#[test]
fn the_manifest_may_name_the_cache() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = Manifest::new().head("[host]\ncache-dir = \"here\"").app("one", "echo", "");
    let house = House::start_in(folder, &manifest.text(), 1, |command| {
        command.env_remove("GUESTHOUSE_CACHE_DIR");
    });
    house.assert_well("one");
    assert_eq!(entries(&house.folder().join("here")).len(), 1);
}

/// Two houses that start at once with one cold cache do each other no harm.
#[test]
fn a_cache_may_be_shared() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let manifest = two_apps_of_one_component();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| compiled(&cache, &manifest, &["one", "two", "other"]));
        }
    });
    assert!(compiled(&cache, &manifest, &["one"]).is_empty());
    assert_eq!(entries(&cache).len(), 2);
}
