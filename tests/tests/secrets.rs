//! Secrets reach the guest that they are for, through their interface, and nothing and nobody else.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use guesthouse_tests::{Entry, House, Manifest, Planted, Request, guesthouse, is_below};
use serde_json::{Value, json};
use tempfile::TempDir;

const OF_ENV: &str = "planted-in-the-environment";
const OF_FILE: &str = "planted-in-the-file-at-first";
const OF_FILE_THEN: &str = "planted-in-the-file-later-on";
const OF_FILE_LAST: &str = "planted-in-the-file-at-last";
const OF_CREDENTIAL: &str = "planted-in-the-credential";
const PLANTED: [&str; 5] = [OF_ENV, OF_FILE, OF_FILE_THEN, OF_FILE_LAST, OF_CREDENTIAL];

const SECRETS: &str = "[apps.shop.secrets]\nKEY = { env = \"SHOP_KEY\" }\nAPI = { credential = \"api\" }\n";
const PASSWORD: &str = "\"DATABASES.default.PASSWORD\" = { file = \"sources/db\" }\n";
const SNAPSHOT: &str = "instances = { snapshot = true, isolation = \"request\" }";
/// Is in an image, where a secret must not be.
const MARK: &str = "the-mark-in-the-image";

/// Writes a secret as its owner would.
fn write(folder: &Path, name: &str, secret: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
    let beside = path.with_extension("new");
    fs::write(&beside, format!("{secret}\n")).expect("the file is written");
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).expect("its mode");
    fs::rename(beside, path).expect("it is put in place");
}

/// A folder with the sources of secrets.
fn sources() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "sources/db", OF_FILE);
    write(folder.path(), "sources/api", OF_CREDENTIAL);
    folder
}

/// What the house and commands beside it find in their environment.
fn surroundings(command: &mut Command, folder: &Path) {
    command
        .env("GUESTHOUSE_CACHE_DIR", folder.join("cache"))
        .env("CREDENTIALS_DIRECTORY", folder.join("sources"))
        .env("SHOP_KEY", OF_ENV)
        .env("NO_COLOR", "1");
}

fn start(folder: &Path, manifest: &Manifest) -> House {
    fs::write(folder.join("guesthouse.toml"), manifest.text()).expect("the manifest is written");
    House::start_at(folder, 1, |command| surroundings(command, folder))
}

fn get(house: &House, app: &str, name: &str) -> Value {
    house.get(app, &format!("/get?name={name}")).json()
}

#[track_caller]
fn assert_has(house: &House, app: &str, name: &str, secret: &str) {
    assert_eq!(get(house, app, name), json!({ "secret": secret, "again": secret }));
}

/// All that a command says.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(guesthouse());
    surroundings(&mut command, folder);
    let output =
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().expect("it starts");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn apps(guest: &str, log: &str, secrets: &str) -> Manifest {
    Manifest::new()
        .head("[host]\nwatch = false")
        .server(&format!("log = \"{log}\""))
        .app("shop", guest, secrets)
        .app("thief", guest, "settings = { A = 1 }")
        .app(
            "image",
            "initialised",
            &format!("{SNAPSHOT}\nsettings.MARK = \"{MARK}\"\nsecrets.KEY.file = \"sources/db\""),
        )
}

/// Asks a house for all that it tells of itself.
fn interrogate(house: &House, folder: &Path, planted: &mut Planted) {
    for path in ["/v1/openapi.json", "/v1/status", "/v1/apps", "/v1/apps/shop", "/v1/apps/image", "/v1/logs"]
    {
        let answer = house.admin(&Request::get("localhost", path));
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        planted.look(path, answer.text());
    }
    let page = house.send(&Request::get("nobody.test", "/").header("Accept", "text/html"));
    assert_eq!(page.status(), 404);
    planted.look("the page of an unknown host", page.text());
    for (arguments, expected) in [
        (&["status", "--json"][..], "\"shop\""),
        (&["status"], "shop"),
        (&["logs"], "shop"),
        (&["check"], "secret KEY from env SHOP_KEY"),
        (&["explain", "http://shop.test/"], "shop"),
        (&["schema"], "credential"),
    ] {
        let text = said(folder, arguments);
        assert!(text.contains(expected), "{arguments:?}: {text}");
        planted.look(&format!("guesthouse {}", arguments.join(" ")), text);
    }
}

/// All that can happen to an app with secrets, from its start to the start after the next.
fn live(guest: &str, log: &str) {
    let folder = sources();
    let (folder, mut planted) = (folder.path(), Planted::new(&PLANTED));
    let all = format!("{SECRETS}{PASSWORD}");
    let house = start(folder, &apps(guest, log, &all));
    let api = house.api();

    // The app gets its own, another one nothing, and there is no other way to it.
    let password = "DATABASES.default.PASSWORD";
    assert_eq!(house.get("shop", "/names").json(), json!(["API", password, "KEY"]));
    assert_has(&house, "shop", "KEY", OF_ENV);
    assert_has(&house, "shop", "API", OF_CREDENTIAL);
    assert_has(&house, "shop", password, OF_FILE);
    assert_eq!(house.get("image", "/").json()["secrets"], json!([OF_FILE]));
    assert_eq!(house.get("thief", "/names").json(), json!([]));
    for name in ["KEY", "API", password, "", "../shop/KEY"] {
        assert_eq!(get(&house, "thief", name), json!({ "error": "not-found" }), "{name}");
    }
    for app in ["shop", "thief"] {
        planted.look(&format!("what {app} finds elsewhere"), house.get(app, "/elsewhere").text());
    }

    // A guest that ends with it in its memory.
    for path in ["/trap?name=KEY", "/panic?name=KEY", "/hoard?name=KEY"] {
        let page = house.send(&Request::get("shop.test", path).header("Accept", "text/html"));
        assert_eq!(page.status(), 500, "{path}");
        planted.look(path, page.text());
        house.assert_well("shop");
    }

    // Swapped, changed at its source, gone back to: read anew, and never kept.
    api.swap("shop", &json!({ "settings": { "A": 1 } })).action("swapped");
    write(folder, "sources/db", OF_FILE_THEN);
    assert_has(&house, "shop", password, OF_FILE);
    let reloaded = api.reload().done();
    let of_shop =
        reloaded["changes"].as_array().expect("changes").iter().find(|change| change["app"] == "shop");
    let change = of_shop.unwrap_or_else(|| panic!("a change of the shop: {reloaded:#}"));
    assert_eq!((&change["differs"], &change["to"]), (&json!(["secrets"]), &json!(3)), "{change:#}");
    assert_has(&house, "shop", password, OF_FILE_THEN);
    api.rollback("shop", Some(1)).action("rolled-back");
    assert_has(&house, "shop", password, OF_FILE_THEN);
    interrogate(&house, folder, &mut planted);

    // A source that others can read, in a running house: it serves on.
    fs::set_permissions(folder.join("sources/db"), fs::Permissions::from_mode(0o644)).expect("its mode");
    let why = api.reload().unfit();
    let file = folder.join("sources/db").display().to_string();
    assert!(why.contains("is open to others than its owner (its mode is 644)"), "{why}");
    assert!(why.contains(&format!("chmod 600 {file}")), "{why}");
    planted.look("a refusal", &why);
    assert_has(&house, "shop", password, OF_FILE_THEN);
    let why = api.rollback("shop", Some(2)).unfit();
    assert!(
        why.contains(&format!("generation 2 cannot be had any more: its secret `{password}`: ")),
        "{why}"
    );
    assert!(why.contains("chmod 600"), "{why}");
    planted.look("another refusal", &why);
    interrogate_state(folder, password);
    planted_in(house, folder, &mut planted);

    // After a restart: what serves is what served, with its secrets as they are then.
    write(folder, "sources/db", OF_FILE_LAST);
    let house = start(folder, &apps(guest, log, &all));
    assert_eq!(house.api().serving("shop"), 1);
    assert_has(&house, "shop", password, OF_FILE_LAST);
    assert_has(&house, "shop", "KEY", OF_ENV);
    planted_in(house, folder, &mut planted);

    // And under a manifest that names fewer, without it.
    fs::remove_file(folder.join("sources/db")).expect("it goes");
    let fewer = apps(guest, log, SECRETS).text().replace("secrets.KEY.file = \"sources/db\"", "");
    fs::write(folder.join("guesthouse.toml"), fewer).expect("the manifest is written");
    let house = House::start_at(folder, 1, |command| surroundings(command, folder));
    assert_eq!(house.get("shop", "/names").json(), json!(["API", "KEY"]));
    assert_has(&house, "shop", "KEY", OF_ENV);
    planted_in(house, folder, &mut planted);
    planted.assert_nowhere();
}

/// That the state has something of the app, and of its secret no more than its source.
fn interrogate_state(folder: &Path, name: &str) {
    let state = fs::read_to_string(folder.join(".guesthouse/state/state.json")).expect("the state");
    let state: Value = serde_json::from_str(&state).expect("JSON");
    let recipe = &state["apps"]["shop"]["serving"]["recipe"];
    let file = folder.join("sources/db");
    assert_eq!(recipe["secrets"][name], json!({ "file": file }), "{state:#}");
}

/// Ends a house and looks through all that it leaves.
fn planted_in(house: House, folder: &Path, planted: &mut Planted) {
    assert!(is_below(&folder.join("cache"), MARK), "what is in memory is found in an image");
    planted.look_below(folder, &[&folder.join("sources")]);
    let stopped = house.stop();
    assert!(stopped.status.success());
    for (stream, lines) in [("log", &stopped.log), ("standard error", &stopped.errors)] {
        let text: Vec<String> = lines.iter().map(Entry::to_string).collect();
        planted.look(stream, text.join("\n"));
    }
    planted.look_below(folder, &[&folder.join("sources")]);
}

#[test]
fn nothing_of_a_secret_is_written_anywhere() {
    live("reveals", "json");
}

#[test]
fn nothing_of_a_secret_is_written_anywhere_for_wasi_0_3() {
    live("reveals-p3", "text");
}

/// A generation that was gone back to has secrets that the manifest does not name any more.
#[test]
fn a_generation_whose_secret_is_gone_is_given_up_at_the_start() {
    let folder = sources();
    let manifest =
        |secrets: &str| Manifest::new().head("[host]\nwatch = false").app("shop", "reveals", secrets);
    let (with, without) = (manifest("secrets.KEY.file = \"sources/db\""), manifest(""));
    let house = start(folder.path(), &with);
    house.rewrite(&without);
    house.api().reload().done();
    assert_eq!(get(&house, "shop", "KEY"), json!({ "error": "not-found" }));
    house.api().rollback("shop", Some(1)).action("rolled-back");
    assert_has(&house, "shop", "KEY", OF_FILE);
    assert!(house.stop().status.success());

    write(folder.path(), "sources/db", OF_FILE_THEN);
    let house = start(folder.path(), &without);
    assert_eq!(house.api().serving("shop"), 1);
    assert_has(&house, "shop", "KEY", OF_FILE_THEN);
    assert!(house.stop().status.success());

    fs::remove_file(folder.path().join("sources/db")).expect("it goes");
    let house = start(folder.path(), &without);
    assert_eq!(get(&house, "shop", "KEY"), json!({ "error": "not-found" }));
    let why = house
        .log()
        .wait_for("why", |entry| entry.message().starts_with("is given up for what the manifest says"));
    assert!(why.message().contains("its secret `KEY`: the secret file"), "{why}");
}

/// Nobody has to be told: the file is watched.
#[test]
fn a_secret_that_changes_makes_a_generation_by_itself() {
    let folder = sources();
    let manifest = Manifest::new().app("shop", "reveals", "secrets.KEY.file = \"sources/db\"");
    let house = start(folder.path(), &manifest);
    assert_has(&house, "shop", "KEY", OF_FILE);
    write(folder.path(), "sources/db", OF_FILE_THEN);
    house.api().wait_for_app("shop", "the next generation", |app| app["serving"]["number"] == 2);
    assert_has(&house, "shop", "KEY", OF_FILE_THEN);
    // Written anew with what it held: nothing changes.
    write(folder.path(), "sources/db", OF_FILE_THEN);
    let reloaded = house.api().reload().done();
    assert_eq!(reloaded["changes"], json!([]), "{reloaded:#}");
    assert_eq!(house.api().serving("shop"), 2);
}

#[test]
fn what_is_a_secret_cannot_be_swapped_in_as_a_setting() {
    let folder = sources();
    let house =
        start(folder.path(), &Manifest::new().app("shop", "reveals", "secrets.KEY.file = \"sources/db\""));
    let why = house.api().swap("shop", &json!({ "settings": { "KEY": "x" } })).refused(400, "bad-request");
    assert!(why.contains("`KEY` is a secret of `shop`"), "{why}");
    assert_has(&house, "shop", "KEY", OF_FILE);
}

fn assert_image_refuses(guest: &str) {
    let folder = sources();
    let keys =
        |does: &str| format!("{SNAPSHOT}\nsettings.DO = \"{does}\"\nsecrets.KEY.file = \"sources/db\"");
    let mut manifest = Manifest::new();
    for does in ["reveal", "keep-secret", "ask-secret"] {
        manifest = manifest.app(does, guest, &keys(does));
    }
    let house = start(folder.path(), &manifest);
    for (app, why) in [
        (
            "reveal",
            Some(
                "it called guesthouse:secrets/secrets reveal while its image was taken: that has to wait for a request",
            ),
        ),
        (
            "keep-secret",
            Some("its `initialize` kept what is the host's (1 secret(s)): drop it before it returns"),
        ),
        ("ask-secret", None),
    ] {
        let state = house.get(app, "/").json();
        assert_eq!(state["secrets"], json!([OF_FILE]), "{app}: {state:#}");
        assert_eq!(state["initialised"], json!(u64::from(why.is_none())), "{app}: {state:#}");
        let image = &house.api().app(app)["serving"]["image"];
        assert_eq!(image["taken"], why.is_none(), "{app}: {image:#}");
        let Some(why) = why else { continue };
        assert_eq!(image["why"], why);
        house.log().wait_for(why, |entry| entry.text("app") == app && entry.message().contains(why));
    }
    let mut planted = Planted::new(&PLANTED);
    planted.look_below(folder.path(), &[&folder.path().join("sources")]);
    planted.assert_nowhere();
}

#[test]
fn an_image_has_no_secrets() {
    assert_image_refuses("initialised");
}

#[test]
fn an_image_has_no_secrets_for_wasi_0_3() {
    assert_image_refuses("initialised-p3");
}

/// What was written into the manifest by mistake is not told on.
#[test]
fn a_secret_in_a_manifest_is_refused_and_shown_to_nobody() {
    let folder = sources();
    let good = Manifest::new().head("[host]\nwatch = false").app(
        "shop",
        "reveals",
        "secrets.KEY.file = \"sources/db\"",
    );
    let house = start(folder.path(), &good);
    let bad =
        good.text().replace("secrets.KEY.file = \"sources/db\"", &format!("secrets.KEY = \"{OF_FILE}\""));
    fs::write(folder.path().join("guesthouse.toml"), bad).expect("the manifest is written");
    let mut planted = Planted::new(&PLANTED);
    let why = house.api().reload().unfit();
    assert!(why.contains("a secret never stands in a manifest"), "{why}");
    planted.look("the refusal", why);
    for arguments in
        [&["check"][..], &["explain", "http://shop.test/"], &["build"], &["serve"], &["status", "--json"]]
    {
        let text = said(folder.path(), arguments);
        assert!(text.contains("a secret never stands in a manifest"), "{arguments:?}: {text}");
        planted.look(&arguments.join(" "), text);
    }
    let stopped = house.stop();
    let text: Vec<String> = stopped.log.iter().chain(&stopped.errors).map(Entry::to_string).collect();
    planted.look("the log", text.join("\n"));
    planted.assert_nowhere();
}

/// Commands that serve nobody want no secrets: a machine that builds has none.
#[test]
fn building_and_explaining_need_no_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = Manifest::new().app("shop", "reveals", "secrets.KEY.file = \"sources/none\"").text();
    fs::write(folder.path().join("guesthouse.toml"), manifest).expect("the manifest is written");
    assert!(said(folder.path(), &["explain", "http://shop.test/"]).contains("shop"));
    assert!(!said(folder.path(), &["build"]).contains("error"), "there is nothing to build");
    let text = said(folder.path(), &["check"]);
    assert!(text.contains("does not exist") && text.contains("mkdir -p"), "{text}");
}
