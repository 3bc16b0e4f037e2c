//! What is not fit to serve is refused with a message that says what is wrong and how to mend it. It changes nothing:
//! the old generation serves on, and no request is lost by the attempt.

use std::{fs, path::Path, time::Duration};

use guesthouse_tests::{Admin, Client, Floor, House, Load, Manifest, Reply, component};
use serde_json::Value;

/// A bad component, and words of which the message must have all.
struct Bad {
    name: &'static str,
    bytes: Vec<u8>,
    words: &'static [&'static str],
}

fn of(guest: &str) -> Vec<u8> {
    fs::read(component(guest)).expect("a component")
}

/// An app with one memory more than a component may have.
fn seventeen_memories() -> Vec<u8> {
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/test/small.wat");
    let text = fs::read_to_string(small).expect("a component as text");
    let more = "(core instance (instantiate $more)) ".repeat(16);
    let text = text.replacen("(component", &format!("(component (core module $more (memory 1)) {more}"), 1);
    wat::parse_str(text).expect("a component")
}

fn bad_components() -> Vec<Bad> {
    let half = of("version-2");
    let half = half[..half.len() / 2].to_vec();
    let bad = |name, bytes, words| Bad { name, bytes, words };
    vec![
        bad("not wasm", b"<!doctype html><title>404</title>".to_vec(), &["component"]),
        bad("half-written", half, &["component"]),
        bad("a core module", of("core-module"), &["core", "component"]),
        bad("another world", of("no-handler"), &["wasi:http"]),
        bad("an import of nobody's", of("wants-the-unknown"), &["nowhere:none/thing"]),
        bad("too many memories", seventeen_memories(), &["17 memories", "16"]),
        bad("traps when instantiated", of("starts-by-trapping"), &["unreachable"]),
        bad("spins when instantiated", of("starts-by-spinning"), &["cpu-ms"]),
        bad("fails its probe", of("unwell"), &["/healthz", "503", "200"]),
        bad("traps in its probe", of("trap"), &["/healthz"]),
        bad("never answers its probe", of("wait"), &["/healthz", "within"]),
    ]
}

/// The load is to be there, and not to take the processors from the compilations.
const PACE: Duration = Duration::from_millis(4);

const KEYS: &str = "limits.cpu-ms = 300\nprobe = { path = \"/healthz\", within-ms = 300 }";

fn manifest(shop: &Path) -> Manifest {
    let keys = format!("{KEYS}\nsettings.VERSION = \"one-0\"");
    Manifest::new().head("[host]\nwatch = false").app_of("shop", shop, &keys).version("other", 1, 0, "")
}

/// A house whose app `shop` is the file `shop.wasm` in its folder, under load.
fn loaded_house() -> (House, Load) {
    let folder = tempfile::tempdir().expect("a folder");
    let shop = folder.path().join("shop.wasm");
    fs::write(&shop, of("version-1")).expect("a component");
    let house = House::start_in(folder, &manifest(&shop).text(), 1, |_| {});
    let check = Floor::new().check();
    let clients = ["shop", "other"]
        .map(|app| Client::new(&format!("{app}.test"), "/").checked(check.clone()).paced(PACE));
    let fresh = clients.clone().map(Client::fresh);
    let load = Load::start(house.address(), &[clients, fresh].concat());
    (house, load)
}

fn assert_says(message: &str, bad: &str, words: &[&str]) {
    let lower = message.to_lowercase();
    for word in words {
        assert!(lower.contains(&word.to_lowercase()), "{bad}: {word:?} in the message:\n{message}");
    }
}

fn assert_unchanged(house: &House, api: &Admin, bad: &str) {
    for app in ["shop", "other"] {
        let version = house.get(app, "/").version();
        assert_eq!((version.code, version.generation), (1, 1), "{bad}: {version:?}");
    }
    assert_eq!(api.serving("shop"), 1, "{bad}");
}

#[test]
fn a_component_through_the_admin_interface() {
    let (house, load) = loaded_house();
    let api = house.api();
    for Bad { name, bytes, words } in bad_components() {
        let message = api.swap_bytes("shop", bytes, "").unfit();
        assert_says(&message, name, words);
        assert_unchanged(&house, &api, name);
        let trouble = api.app("shop")["trouble"]["message"].clone();
        assert_says(trouble.as_str().unwrap_or_default(), name, words);
        load.wait_for_answers(10);
    }
    assert_eq!(api.app("other")["trouble"], Value::Null);
    house.log().wait_for("the error line", |entry| {
        entry.text("app") == "shop" && entry.text("level").eq_ignore_ascii_case("error")
    });
    // The load wants settings that belong to the code, and a component alone brings none.
    load.stop().assert_nothing_lost();
    api.swap_bytes("shop", of("version-2"), "").action("swapped");
    assert_eq!(api.app("shop")["trouble"], Value::Null, "a swap that succeeds ends the trouble");
}

/// Two may bring the same one at a time; what one of them no longer wants is there for the other.
#[test]
fn a_component_that_two_bring() {
    let (house, load) = loaded_house();
    let api = house.api();
    let digest = api.upload(&component("starts-by-trapping"));
    api.swap_bytes("shop", of("starts-by-trapping"), "").unfit();
    let request = serde_json::json!({ "component": digest });
    api.swap("other", &request).unfit();
    api.swap("other", &request).refused(404, "not-found");
    load.stop().assert_nothing_lost();
}

#[test]
fn a_component_by_file() {
    let (house, load) = loaded_house();
    let api = house.api();
    let mut all = bad_components();
    all.push(Bad { name: "nothing at all", bytes: Vec::new(), words: &["component"] });
    for Bad { name, bytes, words } in all {
        house.replace("shop.wasm", bytes);
        let message = refusal(&api.reload(), "shop");
        assert_says(&message, name, words);
        assert_unchanged(&house, &api, name);
        let trouble = api.app("shop")["trouble"]["message"].clone();
        assert_says(trouble.as_str().unwrap_or_default(), name, words);
        load.wait_for_answers(10);
    }
    fs::remove_file(house.folder().join("shop.wasm")).expect("the component goes");
    assert_says(&refusal(&api.reload(), "shop"), "not there", &["shop.wasm"]);
    assert_unchanged(&house, &api, "not there");
    house.replace("shop.wasm", of("version-1"));
    api.reload().done();
    assert_unchanged(&house, &api, "mended");
    let status = api.status();
    assert_eq!(status["last_reload"]["refused"], Value::Null, "{status:#}");
    load.stop().assert_nothing_lost();
}

/// Why a reload changed nothing of an app: the whole reload was refused, or this app alone.
fn refusal(reply: &Reply, app: &str) -> String {
    if reply.status == 422 {
        return reply.clone().unfit();
    }
    let reloaded = reply.clone().done();
    let changes = reloaded["changes"].as_array().expect("a list");
    let refused = changes.iter().find(|change| change["app"] == app && change["action"] == "refused");
    let refused = refused.unwrap_or_else(|| panic!("{app} is not refused: {reloaded:#}"));
    refused["why"].as_str().expect("why it was refused").to_owned()
}

#[test]
fn a_manifest() {
    let (house, load) = loaded_house();
    let api = house.api();
    let shop = house.folder().join("shop.wasm");
    let good = manifest(&shop);
    fs::write(house.folder().join("bad.toml"), "DEBUG = tru\n").expect("the settings");
    let settings_file = manifest(&shop).app("third", "hello-rust", "settings-file = \"bad.toml\"");
    let taken_route = manifest(&shop).app("third", "hello-rust", "routes = [\"other.test\"]");
    let missing = manifest(&shop).app_of("third", &house.folder().join("third.wasm"), "");
    let bad_component = manifest(&shop).app("third", "no-handler", "");
    let text = good.text();
    let cases = [
        ("settings that do not parse", settings_file.text(), &["bad.toml:1", "DEBUG"][..]),
        ("a route that is taken", taken_route.text(), &["other.test", "third", "guesthouse.toml:"]),
        ("a component that is not there", missing.text(), &["third.wasm"]),
        ("no component of an app that is new", bad_component.text(), &["third", "wasi:http"]),
        (
            "a key that nobody knows",
            text.replace("watch = ", "wacht = "),
            &["wacht", "watch", "guesthouse.toml:"],
        ),
        ("half of it", text[..text.len() / 2 + 3].to_owned(), &["guesthouse.toml:"]),
        ("nothing", String::new(), &["guesthouse.toml"]),
        ("an address of nobody's", text.replace("127.0.0.1:0", "192.0.2.1:0"), &["192.0.2.1"]),
    ];
    for (name, text, words) in cases {
        house.replace("guesthouse.toml", text);
        let message = api.reload().unfit();
        assert_says(&message, name, words);
        assert_unchanged(&house, &api, name);
        let status = api.status();
        let refused = status["last_reload"]["refused"].as_str().unwrap_or_default().to_owned();
        assert_says(&refused, name, words);
        assert_eq!(status["apps"].as_array().map(Vec::len), Some(2), "{status:#}");
        load.wait_for_answers(10);
    }
    house.rewrite(&good);
    api.reload().done();
    assert_unchanged(&house, &api, "mended");
    load.stop().assert_nothing_lost();
}

/// What is watched is refused in the log and in the status: there is nobody to answer.
#[test]
fn a_component_that_is_watched() {
    let folder = tempfile::tempdir().expect("a folder");
    let shop = folder.path().join("shop.wasm");
    fs::write(&shop, of("version-1")).expect("a component");
    let manifest = Manifest::new().app_of("shop", &shop, "settings.VERSION = \"one-0\"").text();
    let house = House::start_in(folder, &manifest, 1, |_| {});
    let api = house.api();
    house.replace("shop.wasm", of("no-handler"));
    let app = api.wait_for_app("shop", "the trouble", |app| app["trouble"].is_object());
    assert_says(&app["trouble"]["message"].to_string(), "another world", &["wasi:http"]);
    house.log().wait_for("the error line", |entry| {
        entry.text("level").eq_ignore_ascii_case("error") && entry.to_string().contains("wasi:http")
    });
    assert_eq!(house.get("shop", "/").version().generation, 1);
    house.replace("shop.wasm", of("version-2"));
    api.wait_for_app("shop", "the new generation", |app| app["serving"]["number"] == 2);
    assert_eq!(api.app("shop")["trouble"], Value::Null);
}
