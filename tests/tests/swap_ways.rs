//! The ways to change a running house: files that are watched, SIGHUP, `guesthouse reload`, `guesthouse swap`, and the
//! admin interface. Each makes one new generation of what changed, and of nothing else.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use guesthouse_tests::{House, Manifest, Version, component, run};
use rustix::process::Signal;
use serde_json::{Value, json};

const UNWATCHED: &str = "[host]\nwatch = false";

fn manifest(head: &str, code: u64, swap: u64) -> Manifest {
    Manifest::new().head(head).version("shop", code, swap, "").version("other", 1, 0, "")
}

/// The manifest of a house whose app `shop` is the file `shop.wasm` in its folder.
fn of_file(head: &str, folder: &Path, code: u64) -> Manifest {
    let keys = format!("settings.VERSION = {:?}", Version::setting(code, 0));
    Manifest::new().head(head).app_of("shop", &folder.join("shop.wasm"), &keys).version("other", 1, 0, "")
}

/// A house with the file `shop.wasm`, the first version.
fn house_of_file(head: &str) -> House {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(component("version-1"), folder.path().join("shop.wasm")).expect("a component");
    let manifest = of_file(head, folder.path(), 1).text();
    House::start_in(folder, &manifest, 1, |_| {})
}

/// What the app answers, whether or not its setting belongs to its code: in some tests the code alone is swapped.
fn line(house: &House, app: &str) -> String {
    let answer = house.get(app, "/");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.text()
}

fn wait_for_code(house: &House, app: &str, code: u64) -> String {
    let api = house.api();
    api.wait_for_status("the new code", |_| line(house, app).starts_with(&format!("code={code} ")));
    line(house, app)
}

fn assert_others_untouched(house: &House) {
    assert_eq!(house.get("other", "/").version().generation, 1);
}

/// Lines about compilations, up to this moment: the log comes in its order, and so all of it that was written before the
/// line of a request is there when that is.
fn compilations(house: &House) -> usize {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let path = format!("/mark-{}", ASKED.fetch_add(1, Ordering::Relaxed));
    house.get("other", &path);
    house.log().wait_for("the line of the request", |entry| entry.text("path") == path);
    house.log().matching(|entry| entry.message().contains("compil")).len()
}

#[test]
fn a_manifest_that_is_replaced() {
    let house = House::start(&manifest("", 1, 0));
    house.api();
    for swap in 1..=3 {
        house.rewrite(&manifest("", 1 + swap % 2, swap));
        assert_eq!(house.wait_for_swap("shop", swap).generation, 1 + swap);
    }
    assert_others_untouched(&house);
    let status = house.api().status();
    assert_eq!(status["last_reload"]["by"], "watch", "{status:#}");
    assert_eq!(status["last_reload"]["refused"], Value::Null, "{status:#}");
}

/// What is written in place is half there for a while. The house may look at it then, and must not serve it.
#[test]
fn a_manifest_that_is_written_slowly() {
    let house = House::start(&manifest("", 1, 0));
    let api = house.api();
    let text = manifest("", 2, 1).text();
    let mut file = File::create(house.folder().join("guesthouse.toml")).expect("the manifest");
    let bytes = text.as_bytes();
    for piece in bytes.chunks(bytes.len() / 5 + 1) {
        file.write_all(piece).expect("the manifest is written");
        file.sync_all().expect("the manifest is written");
        // Time enough for the house to look at each state of the file.
        for _ in 0..20 {
            let version = house.get("shop", "/").version();
            assert!(matches!(version.swap(), Some(0 | 1)), "{version:?}");
            assert_eq!(api.app("other")["name"], "other");
        }
    }
    drop(file);
    house.wait_for_swap("shop", 1);
    assert_others_untouched(&house);
}

#[test]
fn a_component_that_is_replaced() {
    let house = house_of_file("");
    house.api();
    house.replace("shop.wasm", fs::read(component("version-2")).expect("a component"));
    assert_eq!(wait_for_code(&house, "shop", 2), "code=2 setting=one-0 generation=2\n");
    assert_others_untouched(&house);
}

#[test]
fn a_component_that_is_written_slowly() {
    let house = house_of_file("");
    let api = house.api();
    let bytes = fs::read(component("version-2")).expect("a component");
    let mut file = File::create(house.folder().join("shop.wasm")).expect("the component");
    for piece in bytes.chunks(bytes.len() / 5 + 1) {
        file.write_all(piece).expect("the component is written");
        file.sync_all().expect("the component is written");
        for _ in 0..20 {
            assert!(line(&house, "shop").starts_with("code="));
            assert_eq!(api.app("other")["name"], "other");
        }
    }
    drop(file);
    wait_for_code(&house, "shop", 2);
    assert_others_untouched(&house);
    api.wait_for_app("shop", "the end of the trouble", |app| app["trouble"].is_null());
}

/// A deployment of many tools: a link named `current`, pointed at another folder.
#[test]
fn a_link_that_is_pointed_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    for code in [1, 2] {
        let release = folder.path().join(format!("release-{code}"));
        fs::create_dir(&release).expect("a folder");
        fs::copy(component(&format!("version-{code}")), release.join("shop.wasm")).expect("a component");
    }
    symlink("release-1", folder.path().join("current")).expect("a link");
    let keys = "settings.VERSION = \"one-0\"";
    let manifest = Manifest::new()
        .app_of("shop", &folder.path().join("current/shop.wasm"), keys)
        .version("other", 1, 0, "")
        .text();
    let house = House::start_in(folder, &manifest, 1, |_| {});
    house.api();
    for (release, code) in [("release-2", 2), ("release-1", 1)] {
        symlink(release, house.folder().join("current.new")).expect("a link");
        fs::rename(house.folder().join("current.new"), house.folder().join("current")).expect("a link");
        wait_for_code(&house, "shop", code);
    }
    assert_others_untouched(&house);
}

#[test]
fn a_settings_file_that_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("shop.toml"), "VERSION = \"one-0\"\n").expect("the settings");
    let manifest = Manifest::new().app("shop", "version-1", "settings-file = \"shop.toml\"").text();
    let house = House::start_in(folder, &manifest, 1, |_| {});
    house.api();
    house.replace("shop.toml", "VERSION = \"one-1\"\n");
    assert_eq!(house.wait_for_swap("shop", 1).generation, 2);
}

#[test]
fn a_signal() {
    let house = House::start(&manifest(UNWATCHED, 1, 0));
    let api = house.api();
    house.rewrite(&manifest(UNWATCHED, 2, 1));
    assert_eq!(house.get("shop", "/").version().swap(), Some(0), "nobody has asked for it yet");
    house.signal(Signal::HUP);
    house.wait_for_swap("shop", 1);
    assert_others_untouched(&house);
    let status = api.wait_for_status("the reload", |status| status["last_reload"].is_object());
    assert_eq!(status["last_reload"]["by"], "SIGHUP", "{status:#}");
}

#[test]
fn a_command() {
    let house = House::start(&manifest(UNWATCHED, 1, 0));
    house.api();
    house.rewrite(&manifest(UNWATCHED, 2, 1));
    let outcome = run(house.folder(), &["reload"]);
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.contains("shop"), "what changed is told: {}", outcome.stdout);
    assert!(!outcome.stdout.contains("other"), "and nothing else: {}", outcome.stdout);
    assert_eq!(house.get("shop", "/").version().swap(), Some(1));

    let component = component("version-1");
    let file = component.to_string_lossy();
    let outcome = run(house.folder(), &["swap", "shop", &file, "--set", "VERSION=one-2"]);
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
    let version = house.get("shop", "/").version();
    assert_eq!((version.swap(), version.generation), (Some(2), 3));

    let outcome = run(house.folder(), &["rollback", "shop"]);
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(house.get("shop", "/").version().swap(), Some(1));

    house.replace("guesthouse.toml", "[apps.shop\n");
    let outcome = run(house.folder(), &["reload", "--admin", &format!("unix:{}", admin_socket(&house))]);
    assert_eq!(outcome.code, Some(1), "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stderr.contains("guesthouse.toml:1"), "{}", outcome.stderr);
    assert_eq!(house.get("shop", "/").version().swap(), Some(1));
    assert_others_untouched(&house);
}

fn admin_socket(house: &House) -> String {
    house.folder().join(".guesthouse/admin.sock").to_string_lossy().into_owned()
}

#[test]
fn a_reload_says_what_changed() {
    let house = House::start(&manifest(UNWATCHED, 1, 0));
    let api = house.api();
    let nothing = api.reload().done();
    assert_eq!(changed(&nothing), [""; 0], "{nothing:#}");
    house.rewrite(&manifest(UNWATCHED, 2, 1));
    let reloaded = api.reload().done();
    assert_eq!(changed(&reloaded), ["shop swapped"], "{reloaded:#}");
    let change = &reloaded["changes"][0];
    assert_eq!((&change["from"], &change["to"]), (&json!(1), &json!(2)), "{change:#}");
    let mut differs: Vec<_> = change["differs"].as_array().expect("a list").iter().collect();
    differs.sort_by_key(|differing| differing.to_string());
    assert_eq!(differs, ["component", "settings"], "{change:#}");
    assert_eq!((&reloaded["listeners_added"], &reloaded["listeners_removed"]), (&json!([]), &json!([])));
    house.log().wait_for("the line about the swap", |entry| {
        entry.text("app") == "shop" && entry.text("generation") == "2" && entry.text("action") == "swapped"
    });
}

/// The apps of a `Reloaded` that changed, each with what was done.
fn changed(reloaded: &Value) -> Vec<String> {
    let changes = reloaded["changes"].as_array().expect("a list").iter();
    changes
        .filter(|change| change["action"] != "unchanged")
        .map(|change| format!("{} {}", change["app"], change["action"]).replace('"', ""))
        .collect()
}

#[test]
fn settings_alone_compile_nothing() {
    let cache = tempfile::tempdir().expect("a folder");
    let house = House::start_with(&manifest(UNWATCHED, 1, 0), 1, |command| {
        command.env("GUESTHOUSE_CACHE_DIR", cache.path());
    });
    let api = house.api();
    let before = compilations(&house);
    assert!(before > 0, "the first start compiles");

    let change = api.swap("shop", &json!({ "settings": { "VERSION": "one-1" } })).action("swapped");
    assert_eq!(change["differs"], json!(["settings"]), "{change:#}");
    assert_eq!(change["took_ms"]["compile"], Value::Null, "{change:#}");
    assert_eq!(house.get("shop", "/").version().swap(), Some(1));
    house.rewrite(&manifest(UNWATCHED, 1, 2));
    let reloaded = api.reload().done();
    assert_eq!(changed(&reloaded), ["shop swapped"], "{reloaded:#}");
    assert_eq!(house.get("shop", "/").version().swap(), Some(2));
    assert_eq!(compilations(&house), before);

    let bytes = fs::read(component("version-2")).expect("a component");
    let change = api.swap_bytes("shop", bytes, "").action("swapped");
    assert!(change["took_ms"]["compile"].is_number(), "{change:#}");
    assert!(compilations(&house) > before, "another component is compiled");
}

#[test]
fn settings_are_laid_over_the_present_ones() {
    let keys = "settings = { A = { x = 1, y = 2 }, B = [1, 2], C = \"c\" }";
    let house = House::start(&Manifest::new().head(UNWATCHED).app("tell", "settings", keys));
    let api = house.api();
    let settings = json!({ "A": { "y": 3 }, "B": [3], "D": true });
    let change = api.swap("tell", &json!({ "settings": settings })).action("swapped");
    assert_eq!((&change["from"], &change["to"]), (&json!(1), &json!(2)));
    let told = house.get("tell", "/json").json();
    let told: Value = serde_json::from_str(told.as_str().expect("a text")).expect("JSON");
    assert_eq!(told, json!({ "A": { "x": 1, "y": 3 }, "B": [3], "C": "c", "D": true }));
    assert_eq!(house.get("tell", "/generation").json(), 2);
    assert_eq!(api.app("tell")["differs_from_manifest"], true);
}

/// Two that change different things at the same time: what one was told is done, the other does not undo.
#[test]
fn two_at_once_lose_neither() {
    let house =
        House::start(&Manifest::new().head(UNWATCHED).app("tell", "settings", "settings = { A = 0, B = 0 }"));
    let api = house.api();
    let mut wanted = json!({ "A": 0, "B": 0 });
    for number in 1..=10 {
        let replies = thread::scope(|scope| {
            let swaps = ["A", "B"].map(|key| {
                let api = &api;
                scope.spawn(move || (key, api.swap("tell", &json!({ "settings": { key: number } }))))
            });
            swaps.map(|swap| swap.join().expect("a swap"))
        });
        for (key, reply) in replies {
            // A house may say that it was too late; it may not say that it is done, and lose it.
            if reply.status == 200 {
                wanted[key] = json!(number);
            } else {
                reply.refused(409, "conflict");
            }
        }
        let told = house.get("tell", "/json").json();
        let told: Value = serde_json::from_str(told.as_str().expect("a text")).expect("JSON");
        assert_eq!(told, wanted);
    }
}

#[test]
fn a_swap_to_what_serves_changes_nothing() {
    let house = House::start(&manifest(UNWATCHED, 1, 0));
    let api = house.api();
    let bytes = fs::read(component("version-1")).expect("a component");
    api.swap_bytes("shop", bytes, "").action("unchanged");
    api.swap("shop", &json!({ "settings": { "VERSION": "one-0" } })).action("unchanged");
    assert_eq!(house.get("shop", "/").version().generation, 1);
}

#[test]
fn requests_that_make_no_sense() {
    let house = House::start(&manifest(UNWATCHED, 1, 0));
    let api = house.api();
    let unknown = format!("sha256:{}", "0".repeat(64));
    api.swap("nobody", &json!({ "settings": {} })).refused(404, "not-found");
    api.swap("shop", &json!({ "component": unknown })).refused(404, "not-found");
    api.swap("shop", &json!({ "component": "latest" })).refused(400, "bad-request");
    api.swap("shop", &json!({ "settigns": {} })).refused(400, "bad-request");
    api.swap_bytes("shop", Vec::new(), "").refused(400, "bad-request");
    api.rollback("shop", None).refused(409, "conflict");
    api.rollback("shop", Some(7)).refused(404, "not-found");
    api.promote("shop").refused(409, "conflict");
    api.abort("shop").refused(409, "conflict");
    assert_eq!(house.get("shop", "/").version().generation, 1);
}
