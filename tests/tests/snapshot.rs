//! Images: with `instances.snapshot = true` an app is initialised once for each generation, and every instance starts
//! from what its memory was then. What cannot live in an image is refused by name, and the app starts without one.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use guesthouse_tests::{Entry, House, Manifest, PATIENCE, SharedHouse, run};
use serde_json::{Value, json};

const SNAPSHOT: &str = "instances = { snapshot = true, isolation = \"request\" }";

/// An app of the guest, with the setting `MARK` and what it is to do while it is initialised.
fn keys(mark: &str, does: &str) -> String {
    format!("{SNAPSHOT}\nsettings = {{ MARK = {mark:?}, DO = {does:?} }}")
}

fn state(house: &House, app: &str) -> Value {
    let answer = house.get(app, "/");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    serde_json::from_str(&answer.text()).expect("JSON")
}

fn is_taken(entry: &Entry) -> bool {
    entry.message().starts_with("image taken")
}

/// How many images were taken so far: the log comes in its order, and so all of it that was written before the line of a
/// request of this app is there when that is.
fn taken(house: &House, app: &str) -> usize {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let path = format!("/mark-{}", ASKED.fetch_add(1, Ordering::Relaxed));
    house.get(app, &path);
    house.log().wait_for("the line of the request", |entry| entry.text("path") == path);
    house.log().matching(is_taken).len()
}

/// Why this app starts without an image, as the log and the status say.
fn refused(house: &House, app: &str) -> String {
    let of_app =
        |entry: &Entry| entry.text("app") == app && entry.message().starts_with("starts without an image");
    house.log().wait_for("why", of_app);
    let lines = house.log().matching(of_app);
    assert_eq!(lines.len(), 1, "it is said once");
    let image = house.api().app(app)["serving"]["image"].clone();
    assert_eq!(image["taken"], false, "{image:#}");
    let why = image["why"].as_str().expect("a reason").to_owned();
    assert!(lines[0].message().contains(&why), "{} says not: {why}", lines[0]);
    why
}

fn assert_starts_from_an_image(guest: &str) {
    let manifest = Manifest::new()
        .app("one", guest, &format!("{}\ngrants.env = {{ MARK = \"of one\" }}", keys("first", "")))
        .app("two", guest, &keys("second", ""))
        .app("none", guest, "settings.MARK = \"none\"");
    let house = House::start(&manifest);
    let mut numbers = BTreeSet::new();
    for _ in 0..5 {
        let state = state(&house, "one");
        assert_eq!(state["initialised"], 1, "once, and not in each instance: {state:#}");
        assert_eq!((&state["mark"], &state["setting"]), (&json!("first"), &json!("first")), "{state:#}");
        assert_eq!(state["served"], 1, "each instance starts from the image itself: {state:#}");
        assert_eq!(state["environment"], "of one", "{state:#}");
        numbers.insert(state["random"].as_str().expect("a number").to_owned());
    }
    assert_eq!(numbers.len(), 5, "random numbers are new in each instance: {numbers:?}");
    let two = state(&house, "two");
    assert_eq!((&two["initialised"], &two["mark"]), (&json!(1), &json!("second")), "{two:#}");
    assert_eq!(two["environment"], Value::Null, "{two:#}");
    let none = state(&house, "none");
    assert_eq!((&none["initialised"], &none["mark"]), (&json!(0), &json!("")), "{none:#}");
    let api = house.api();
    assert_eq!(api.app("one")["serving"]["image"], json!({ "taken": true }));
    assert_eq!(api.app("none")["serving"].get("image"), None);
    assert!(house.stop().status.success());
}

#[test]
fn instances_start_from_an_image() {
    assert_starts_from_an_image("initialised");
}

#[test]
fn instances_start_from_an_image_for_wasi_0_3() {
    assert_starts_from_an_image("initialised-p3");
}

#[test]
fn an_instance_that_is_reused_goes_on_from_the_image() {
    let keys = "instances = { snapshot = true, isolation = \"reuse\" }\nsettings.MARK = \"again\"";
    let house = House::start(&Manifest::new().app("app", "initialised", keys));
    // A request that comes before the instance of the last one is idle again has another.
    let asked = Instant::now();
    loop {
        let state = state(&house, "app");
        assert_eq!(state["initialised"], 1, "{state:#}");
        if state["served"] == 3 {
            break;
        }
        assert!(asked.elapsed() < PATIENCE, "no instance serves three requests: {state:#}");
    }
}

/// A route's settings are laid over the app's: its instances have an image of their own.
#[test]
fn a_route_with_settings_of_its_own_has_an_image_of_its_own() {
    let routes = "routes = [\"app.test\", { route = \"other.test\", settings = { MARK = \"over\" } }]";
    let manifest = Manifest::new().app("app", "initialised", &format!("{routes}\n{}", keys("under", "")));
    let house = House::start(&manifest);
    for (host, mark) in [("app", "under"), ("other", "over")] {
        let state = state(&house, host);
        assert_eq!(
            (&state["initialised"], &state["mark"], &state["setting"]),
            (&json!(1), &json!(mark), &json!(mark))
        );
    }
}

/// A house with an app for each thing that an image does not allow.
fn house_of_refusals() -> Manifest {
    let mut manifest = Manifest::new().app("no-export", "echo", SNAPSHOT);
    for does in ["refuse", "trap", "exit", "allocate", "connect", "keep", "generation", "say", "store"] {
        manifest = manifest.app(does, "initialised", &keys(does, does));
    }
    // It may take twice what a request may.
    let spin = format!("{}\nlimits = {{ request-ms = 5000, cpu-ms = 5000 }}", keys("spin", "spin"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let dirs = format!("grants.dirs = {{ \"/data\" = {{ path = {folder:?} }} }}");
    manifest
        .app("spin", "initialised", &spin)
        .app("open", "initialised", &format!("{}\n{dirs}", keys("open", "open")))
        .app("open-p3", "initialised-p3", &format!("{}\n{dirs}", keys("open", "open")))
        .app("connect-p3", "initialised-p3", &keys("connect", "connect"))
        .app("say-p3", "initialised-p3", &keys("say", "say"))
        .app("store-p3", "initialised-p3", &keys("store", "store"))
}

static REFUSALS: SharedHouse = SharedHouse::new();

/// It starts without an image, says why, and serves as an app without `snapshot` does.
fn assert_refused(app: &str, why: &str) -> Arc<House> {
    let house = REFUSALS.get(house_of_refusals);
    house.assert_well(app);
    let said = refused(&house, app);
    assert!(said.contains(why), "{app}: {said}");
    if app != "no-export" {
        let state = state(&house, app);
        assert_eq!((&state["initialised"], &state["mark"]), (&json!(0), &json!("")), "{state:#}");
    }
    house
}

#[test]
fn an_app_without_the_export() {
    assert_refused("no-export", "it exports no guesthouse:settings/snapshot@0.1.0");
}

#[test]
fn an_error_of_the_app() {
    assert_refused("refuse", "the database is not there");
}

#[test]
fn a_trap() {
    let why = "it trapped while it was initialised: wasm trap: wasm `unreachable` instruction";
    let house = assert_refused("trap", why);
    house.log().wait_for("what the guest said", |entry| {
        entry.text("app") == "trap" && entry.message().contains("as it was told")
    });
}

#[test]
fn an_exit() {
    assert_refused("exit", "it ended itself with exit status");
}

#[test]
fn an_initialisation_without_end() {
    assert_refused("spin", "it was not initialised within 10 s");
}

#[test]
fn memory_without_end() {
    assert_refused("allocate", "limits.memory-mib = 128");
}

#[test]
fn a_file() {
    assert_refused("open", "it called wasi:filesystem/types open-at while its image was taken");
    assert_refused("open-p3", "it called wasi:filesystem/types open-at while its image was taken");
}

#[test]
fn a_socket() {
    let why = "it called wasi:sockets/tcp-create-socket create-tcp-socket while its image was taken";
    assert_refused("connect", why);
    assert_refused("connect-p3", why);
}

#[test]
fn a_key_value_store() {
    assert_refused("store", "it called wasi:keyvalue/store open while its image was taken");
    assert_refused("store-p3", "it called wasi:keyvalue/store open while its image was taken");
}

#[test]
fn a_handle_that_is_kept() {
    assert_refused("keep", "1 pollable");
}

#[test]
fn the_number_of_the_generation() {
    assert_refused(
        "generation",
        "it called guesthouse:settings/settings generation while its image was taken",
    );
}

/// The C library keeps standard output once it was used: its handles would mean nothing in an instance. What is printed
/// is logged all the same, and an instance prints as ever.
#[test]
fn output() {
    for app in ["say", "say-p3"] {
        let house = assert_refused(app, "2 output stream(s), such as standard output");
        for line in ["initialised with say", "and said so", "served 1", "and said so again"] {
            house.log().wait_for(line, |entry| entry.is_output(app, line));
        }
    }
}

/// A house whose admin state, images and component are its own.
fn house_with_cache(folder: &Path, manifest: &Manifest) -> House {
    fs::write(folder.join("guesthouse.toml"), manifest.text()).expect("the manifest is written");
    House::start_at(folder, 1, |command| {
        command.env("GUESTHOUSE_CACHE_DIR", folder.join("cache"));
    })
}

#[test]
fn an_image_is_kept_like_compiled_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = |mark: &str, env: &str| {
        let keys = format!("{}\ngrants.env = {{ MARK = {env:?} }}", keys(mark, ""));
        Manifest::new().app("one", "initialised", &keys).app("same", "initialised", &keys)
    };
    let start = |mark: &str, env: &str| {
        let house = house_with_cache(folder.path(), &manifest(mark, env));
        assert_eq!(state(&house, "one")["mark"], mark);
        assert_eq!(state(&house, "same")["environment"], env);
        let stopped = house.stop();
        assert!(stopped.status.success());
        stopped.log.into_iter().filter(is_taken).count()
    };
    assert_eq!(start("a", "x"), 1, "two apps that are alike have one image");
    assert_eq!(start("a", "x"), 0, "it is there after a restart");
    assert_eq!(start("b", "x"), 1, "other settings, another image");
    assert_eq!(start("b", "y"), 1, "another environment, another image");
    assert_eq!(start("a", "x"), 0);
    // An image that was damaged is taken anew, and never trusted.
    for entry in fs::read_dir(folder.path().join("cache/compiled")).expect("the cache") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "cwasm") {
            let mut bytes = fs::read(&path).expect("compiled code");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::remove_file(&path).expect("the old file goes");
            fs::write(&path, bytes).expect("the damage is done");
        }
    }
    assert_eq!(start("a", "x"), 1, "a damaged image is taken anew");
}

/// The files of compiled code in the cache of this folder that begin so.
fn compiled(folder: &Path, magic: &[u8]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("cache/compiled")).expect("the cache");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let compiled = paths.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm"));
    compiled.filter(|path| fs::read(path).expect("compiled code").starts_with(magic)).collect()
}

/// What images of a component have in common is a file of its own, like the component's code; each image is the rest.
const WHOLE: &[u8] = b"\x7fELF";
const REST: &[u8] = b"guesthouse delta";

/// Starts a house whose apps have these marks, asks each, and tells how many images were taken for it.
fn taken_for(folder: &Path, marks: &[&str]) -> usize {
    let app = |manifest: Manifest, mark: &&str| manifest.app(mark, "initialised", &keys(mark, ""));
    let house = house_with_cache(folder, &marks.iter().fold(Manifest::new(), app));
    for mark in marks {
        let state = state(&house, mark);
        assert_eq!((&state["initialised"], &state["mark"]), (&json!(1), &json!(mark)), "{state:#}");
    }
    let stopped = house.stop();
    assert!(stopped.status.success());
    stopped.log.into_iter().filter(is_taken).count()
}

/// Replaces the file, which may be mapped, by one with other contents.
fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("compiled code");
    change(&mut bytes);
    fs::remove_file(path).expect("the old file goes");
    fs::write(path, bytes).expect("the new one is there");
}

#[test]
fn images_share_what_they_have_in_common() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    assert_eq!(taken_for(folder, &["a", "b", "c"]), 3);
    assert_eq!((compiled(folder, WHOLE).len(), compiled(folder, REST).len()), (2, 3), "code, base; images");
    let bytes = |path: &PathBuf| fs::metadata(path).expect("a file").len();
    let least = compiled(folder, WHOLE).iter().map(bytes).min().expect("a file");
    for rest in compiled(folder, REST) {
        assert!(bytes(&rest) < least / 2, "{} bytes of an image of some {least}", bytes(&rest));
    }
    assert_eq!(taken_for(folder, &["a", "b", "c"]), 0);
}

#[test]
fn a_damaged_part_of_an_image_is_not_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let flip = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    };
    let marks = ["a", "b"];
    assert_eq!(taken_for(folder, &marks), 2);
    change(&compiled(folder, REST)[0], flip);
    assert_eq!(taken_for(folder, &marks), 1, "the other is sound");
    change(&compiled(folder, REST)[0], |bytes| bytes.truncate(bytes.len() - 1));
    assert_eq!(taken_for(folder, &marks), 1, "the other is sound");
    compiled(folder, WHOLE).iter().for_each(|path| change(path, flip));
    assert_eq!(taken_for(folder, &marks), 2, "without what they have in common neither is");
    compiled(folder, WHOLE).iter().for_each(|path| fs::remove_file(path).expect("it goes"));
    assert_eq!(taken_for(folder, &marks), 2, "without what they have in common neither is");
    assert_eq!(taken_for(folder, &marks), 0);
}

/// The cache vouches for both files, but not for them together.
#[test]
fn an_image_is_made_with_no_other_base() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    assert_eq!(taken_for(folder, &["a", "b"]), 2);
    let former: Vec<_> = compiled(folder, WHOLE)
        .into_iter()
        .flat_map(|path| [path.with_extension("mac"), path])
        .map(|path| (fs::read(&path).expect("a file"), path))
        .collect();
    former.iter().for_each(|(_, path)| fs::remove_file(path).expect("it goes"));
    // The first image that is taken is the base of all.
    assert_eq!(taken_for(folder, &["c"]), 1);
    assert_eq!(taken_for(folder, &["c", "a", "b"]), 2, "of another base");
    for (bytes, path) in former {
        fs::write(path, bytes).expect("the former files come back");
    }
    assert_eq!(taken_for(folder, &["c", "a", "b"]), 3, "of the base that was gone");
}

#[test]
fn each_generation_has_its_image() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = Manifest::new().app("app", "initialised", &keys("first", ""));
    let house = house_with_cache(folder.path(), &manifest);
    assert_eq!(state(&house, "app")["mark"], "first");
    // By a swap of settings, by the manifest, and back.
    let swapped = run(folder.path(), &["swap", "app", "--set", "MARK=second"]);
    assert_eq!(swapped.code, Some(0), "{swapped:?}");
    assert_eq!(state(&house, "app")["mark"], "second");
    assert_eq!(taken(&house, "app"), 2);
    let rolled = run(folder.path(), &["rollback", "app"]);
    assert_eq!(rolled.code, Some(0), "{rolled:?}");
    assert_eq!(state(&house, "app")["mark"], "first");
    assert_eq!(taken(&house, "app"), 2, "what was kept is not taken again");
    house.rewrite(&Manifest::new().app("app", "initialised", &keys("third", "")));
    house.api().wait_for_status("the manifest", |_| state(&house, "app")["mark"] == "third");
    assert_eq!(state(&house, "app")["initialised"], 1);
    assert_eq!(taken(&house, "app"), 3);
    assert!(house.stop().status.success());

    // After a restart a kept generation is gone back to with its image.
    let house = House::start_at(folder.path(), 1, |command| {
        command.env("GUESTHOUSE_CACHE_DIR", folder.path().join("cache"));
    });
    assert_eq!(state(&house, "app")["mark"], "third");
    let rolled = run(folder.path(), &["rollback", "app", "--to", "2"]);
    assert_eq!(rolled.code, Some(0), "{rolled:?}");
    let state = state(&house, "app");
    assert_eq!((&state["initialised"], &state["mark"]), (&json!(1), &json!("second")), "{state:#}");
    assert_eq!(house.api().app("app")["serving"]["image"], json!({ "taken": true }));
    assert_eq!(taken(&house, "app"), 0, "all images were there");
}

/// What cannot be initialised with new settings serves all the same, as it would without `snapshot`.
#[test]
fn a_swap_goes_through_without_an_image() {
    let house = House::start(&Manifest::new().app("app", "initialised", &keys("first", "")));
    let swapped = run(house.folder(), &["swap", "app", "--set", "DO=refuse"]);
    assert_eq!(swapped.code, Some(0), "{swapped:?}");
    assert_eq!(state(&house, "app")["initialised"], 0);
    assert!(refused(&house, "app").contains("the database is not there"));
    let status = run(house.folder(), &["status"]);
    assert!(status.stdout.contains("app: generation 2 starts without an image"), "{status:?}");
}

#[test]
fn checking_takes_the_image() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = Manifest::new()
        .head(&format!("[host]\ncache-dir = {:?}", folder.path().join("cache")))
        .app("app", "initialised", &keys("first", ""))
        .app("bad", "initialised", &keys("bad", "refuse"));
    fs::write(folder.path().join("guesthouse.toml"), manifest.text()).expect("the manifest is written");
    let checked = run(folder.path(), &["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.contains("its `initialize` says: the database is not there"), "{checked:?}");
    let house = House::start_at(folder.path(), 1, |_| {});
    assert_eq!(state(&house, "app")["mark"], "first");
    assert_eq!(taken(&house, "app"), 0, "it was taken when the manifest was checked");
}
