//! A state folder that cannot be written to: what would not survive a restart is refused, and the old generation serves
//! on. These tests mount, and so run as root.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
};

use guesthouse_tests::{Admin, Floor, House, Load, Manifest, component, read_only, small_disk};
use serde_json::json;

fn house(state: &Path) -> House {
    let head = format!("[host]\nwatch = false\nstate-dir = {state:?}");
    House::start(&Manifest::new().head(&head).version("shop", 1, 0, "").version("other", 1, 0, ""))
}

/// A folder with an empty folder `state` in it, whose name messages must say.
fn state_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("state")).expect("a folder");
    folder
}

fn loaded(house: &House) -> Load {
    let clients = ["shop", "other"]
        .map(|app| guesthouse_tests::Client::new(&format!("{app}.test"), "/").checked(Floor::new().check()));
    Load::start(house.address(), &clients)
}

/// Nothing can be saved: each change says so, and none is made.
fn assert_refuses(house: &House, api: &Admin) {
    let bytes = fs::read(component("version-2")).expect("a component");
    let message = api.try_upload(bytes.clone()).expect("an answer").refused(507, "not-saved");
    assert_tells_why(&message);
    let message = api.swap_bytes("shop", bytes, "").refused(507, "not-saved");
    assert_tells_why(&message);
    let message = api.swap("shop", &json!({ "settings": { "VERSION": "one-1" } })).refused(507, "not-saved");
    assert_tells_why(&message);
    let version = house.get("shop", "/").version();
    assert_eq!((version.swap(), version.generation), (Some(0), 1));
    assert_eq!(api.serving("shop"), 1);
}

fn assert_tells_why(message: &str) {
    assert!(message.contains("/state"), "what could not be written, in {message}");
    let lower = message.to_lowercase();
    assert!(lower.contains("no space left") || lower.contains("read-only"), "why, in {message}");
}

fn assert_swaps(house: &House, api: &Admin) {
    let digest = api.upload(&component("version-2"));
    let request = json!({ "component": digest, "settings": { "VERSION": "two-2" } });
    let change = api.swap("shop", &request).action("swapped");
    assert_eq!(change["to"], house.get("shop", "/").version().generation, "{change:#}");
    assert_eq!(house.get("shop", "/").version().swap(), Some(2));
}

#[test]
fn a_disk_that_is_full() {
    let folder = state_folder();
    let state = folder.path().join("state");
    let _disk = small_disk(&state, 1024);
    let house = house(&state);
    let api = house.api();
    let load = loaded(&house);
    let filling = state.join("filling");
    fill(&filling);
    assert_refuses(&house, &api);
    // An upload that is larger than the disk, of which some would fit.
    fs::remove_file(&filling).expect("the filling goes");
    let large = vec![0; 2 << 20];
    let message = api.try_upload(large).expect("an answer").refused(507, "not-saved");
    assert_tells_why(&message);
    load.wait_for_answers(20);
    load.stop().assert_nothing_lost();
    // What was begun has left nothing behind: there is space again.
    assert_swaps(&house, &api);
    drop(house);
}

fn fill(path: &Path) {
    let mut file = File::create(path).expect("a file on the disk");
    for piece in [64 * 1024, 1024, 1] {
        loop {
            match file.write_all(&vec![b'x'; piece]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_folder_that_can_only_be_read() {
    let folder = state_folder();
    let state = folder.path().join("state");
    let house = house(&state);
    let api = house.api();
    let load = loaded(&house);
    let mounted = read_only(&state);
    assert_refuses(&house, &api);
    load.wait_for_answers(20);
    load.stop().assert_nothing_lost();
    drop(mounted);
    assert_swaps(&house, &api);
}

/// Going back has nothing to write but what serves; where even that cannot be written it is refused as well.
#[test]
fn going_back_is_saved_too() {
    let folder = state_folder();
    let state = folder.path().join("state");
    let house = house(&state);
    let api = house.api();
    assert_swaps(&house, &api);
    let mounted = read_only(&state);
    assert_tells_why(&api.rollback("shop", None).refused(507, "not-saved"));
    assert_eq!(house.get("shop", "/").version().swap(), Some(2));
    drop(mounted);
    api.rollback("shop", None).action("rolled-back");
    assert_eq!(house.get("shop", "/").version().swap(), Some(0));
}
