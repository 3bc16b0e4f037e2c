//! What was done is there after a restart, whether the house ended by itself or was killed at any moment.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use guesthouse_tests::{Connection, House, Manifest, Request, Version, component, kill_while_swapping};
use serde_json::{Value, json};
use tempfile::TempDir;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest =
        Manifest::new().head("[host]\nwatch = false").version("shop", 1, 0, "").version("other", 1, 0, "");
    write(folder.path(), &manifest);
    folder
}

fn write(folder: &Path, manifest: &Manifest) {
    fs::write(folder.join("guesthouse.toml"), manifest.text()).expect("the manifest is written");
}

fn start(folder: &TempDir) -> House {
    House::start_at(folder.path(), 1, |_| {})
}

/// Swaps to the second version with the setting of this swap.
fn swap(house: &House, swap: u64) -> Value {
    let api = house.api();
    let digest = api.upload(&component("version-2"));
    let settings = json!({ "VERSION": Version::setting(2, swap) });
    api.swap("shop", &json!({ "component": digest, "settings": settings })).action("swapped")
}

/// Ends the house in both ways.
fn end(house: House, kindly: bool) {
    if kindly {
        assert!(house.stop().status.success());
    } else {
        drop(house);
    }
}

#[test]
fn a_swap_is_there_after_a_restart() {
    for kindly in [true, false] {
        let folder = folder();
        let house = start(&folder);
        swap(&house, 1);
        let before = house.get("shop", "/").version();
        assert_eq!((before.swap(), before.generation), (Some(1), 2));
        end(house, kindly);

        let house = start(&folder);
        assert_eq!(house.get("shop", "/").version(), before);
        assert_eq!(house.get("other", "/").version().generation, 1);
        let app = house.api().app("shop");
        assert_eq!(app["differs_from_manifest"], true, "{app:#}");
        // The numbers go on.
        let change = swap(&house, 2);
        assert_eq!((&change["from"], &change["to"]), (&json!(2), &json!(3)), "{change:#}");
        // The component does not have to be where it was, for the house has its own.
        end(house, kindly);
        assert_eq!(start(&folder).get("shop", "/").version().swap(), Some(2));
    }
}

#[test]
fn a_rollback_is_there_after_a_restart() {
    let folder = folder();
    let house = start(&folder);
    swap(&house, 1);
    swap(&house, 2);
    house.api().rollback("shop", Some(2)).action("rolled-back");
    let before = house.get("shop", "/").version();
    end(house, false);

    let house = start(&folder);
    assert_eq!(house.get("shop", "/").version(), before);
    assert_eq!(swap(&house, 3)["to"], 4, "the numbers go on from the highest");
}

/// The addresses that are led to the canary.
fn led(house: &House) -> BTreeSet<u8> {
    (1..=40)
        .filter(|&last| {
            let source = IpAddr::V4(Ipv4Addr::new(127, 0, 8, last));
            let mut connection = Connection::tcp_from(source, house.address());
            connection.send(Request::get("shop.test", "/").bytes());
            connection.response("GET").version().code == 2
        })
        .collect()
}

#[test]
fn a_canary_is_there_after_a_restart() {
    let folder = folder();
    let house = start(&folder);
    let api = house.api();
    let digest = api.upload(&component("version-2"));
    let settings = json!({ "VERSION": Version::setting(2, 1) });
    let request = json!({ "component": digest, "settings": settings, "canary": { "percent": 50.0 } });
    api.swap("shop", &request).action("canary-begun");
    let before = led(&house);
    assert!(!before.is_empty() && before.len() < 40, "{before:?}");
    end(house, false);

    let house = start(&folder);
    assert_eq!(led(&house), before, "the same clients are led to the same generation");
    let api = house.api();
    let app = api.app("shop");
    assert_eq!(app["canary"]["generation"]["number"], 2, "{app:#}");
    assert_eq!(app["canary"]["share"]["percent"], 50.0, "{app:#}");
    api.promote("shop").action("promoted");
    end(house, false);

    let house = start(&folder);
    assert_eq!(house.get("shop", "/").version().generation, 2);
    assert_eq!(house.api().app("shop")["canary"], Value::Null);
}

/// The manifest has the last word on what it says anew.
#[test]
fn a_manifest_that_says_otherwise_afterwards() {
    let folder = folder();
    let house = start(&folder);
    let settings = json!({ "VERSION": Version::setting(1, 1) });
    house.api().swap("shop", &json!({ "settings": settings })).action("swapped");
    let manifest =
        Manifest::new().head("[host]\nwatch = false").version("shop", 2, 7, "").version("other", 1, 0, "");
    write(folder.path(), &manifest);
    house.api().reload().done();
    let version = house.get("shop", "/").version();
    assert_eq!((version.swap(), version.generation), (Some(7), 3));
    assert_eq!(house.api().app("shop")["differs_from_manifest"], false);
    end(house, false);
    assert_eq!(start(&folder).get("shop", "/").version(), version);
}

/// A component that was swapped in stands when the manifest says anew what settings there are, and of the component what
/// it said before.
#[test]
fn a_manifest_that_says_something_new_of_another_part() {
    let folder = folder();
    let house = start(&folder);
    swap(&house, 1);
    let manifest =
        Manifest::new().head("[host]\nwatch = false").version("shop", 1, 7, "").version("other", 1, 0, "");
    write(folder.path(), &manifest);
    let reloaded = house.api().reload().done();
    assert_eq!(reloaded["changes"][0]["differs"], json!(["settings"]), "{reloaded:#}");
    assert_eq!(house.get("shop", "/").text(), "code=2 setting=one-7 generation=3\n");
}

/// A swap stands when the manifest is read again and says of the app what it said before.
#[test]
fn a_manifest_that_says_nothing_new_of_the_app() {
    let folder = folder();
    let house = start(&folder);
    swap(&house, 1);
    house.api().reload().done();
    assert_eq!(house.get("shop", "/").version().swap(), Some(1));
    let manifest =
        Manifest::new().head("[host]\nwatch = false").version("shop", 1, 0, "").version("other", 1, 5, "");
    write(folder.path(), &manifest);
    house.api().reload().done();
    assert_eq!(house.get("other", "/").version().swap(), Some(5));
    assert_eq!(house.get("shop", "/").version().swap(), Some(1));
}

/// What a damaged state folder says is not served: the house says so and serves the manifest, or says so and ends.
#[test]
fn a_state_that_was_damaged() {
    let folder = folder();
    let house = start(&folder);
    swap(&house, 1);
    end(house, true);
    let state = Path::new(".guesthouse/state");
    let damages: [fn(&mut Vec<u8>); 3] =
        [|bytes| bytes.truncate(bytes.len() / 2), |bytes| bytes.clear(), |bytes| bytes.fill(0)];
    for name in small_files(&folder.path().join(state)) {
        for damage in damages {
            let copy = tempfile::tempdir().expect("a folder");
            fs::copy(folder.path().join("guesthouse.toml"), copy.path().join("guesthouse.toml"))
                .expect("a copy");
            copy_all(&folder.path().join(state), &copy.path().join(state));
            let file = copy.path().join(state).join(&name);
            let mut bytes = fs::read(&file).expect("a file of the state");
            damage(&mut bytes);
            fs::write(&file, bytes).expect("the damage");
            let answered = std::panic::catch_unwind(|| start(&copy).get("shop", "/").version());
            if let Ok(version) = answered {
                assert!(matches!(version.swap(), Some(0 | 1)), "{name:?}: {version:?}");
            }
        }
    }
}

#[test]
fn a_component_that_is_lost() {
    let folder = folder();
    let house = start(&folder);
    swap(&house, 1);
    end(house, true);
    fs::remove_dir_all(folder.path().join(".guesthouse/state/components"))
        .expect("the components are removed");
    let cache = tempfile::tempdir().expect("a folder");
    let house = House::start_at(folder.path(), 1, |command| {
        command.env("GUESTHOUSE_CACHE_DIR", cache.path());
    });
    let version = house.get("shop", "/").version();
    assert_eq!((version.swap(), version.generation), (Some(0), 3), "the manifest's is served");
    house.log().wait_for("why", |entry| entry.text("app") == "shop" && entry.message().contains("given up"));
}

/// The names of the files that say what is current, as against the components.
fn small_files(folder: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.expect("an entry of the state"))
        .filter(|entry| {
            entry.metadata().is_ok_and(|about| about.is_file() && (1..20_000).contains(&about.len()))
        })
        .map(|entry| entry.file_name())
        .collect()
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_all(&source, &copy);
        } else if source.is_file() {
            fs::copy(source, copy).expect("a copy");
        }
    }
}

/// `cargo run --release -p guesthouse-tests --bin swap -- --kills N` does it more often.
#[test]
fn a_house_that_is_killed_while_it_is_swapped() {
    let killed = kill_while_swapping(100, 3);
    println!("{killed:?}");
    assert_eq!(killed.kills, 100);
    assert!(killed.acknowledged >= 100, "{killed:?}");
}
