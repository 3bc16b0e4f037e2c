//! Secrets of Python apps: in the settings of a Django project, with an image and without, and nowhere else.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path};

use guesthouse_tests::{Entry, House, Manifest, Planted, Request, Response, python_component};
use serde_json::{Value, json};
use tempfile::TempDir;

const KEY: &str = "planted-key-of-the-site";
const PASSWORD: &str = "planted-password-of-the-database";
const CUSTOM: &str = "planted-word-of-no-known-kind";
const PASSWORD_THEN: &str = "planted-password-after-that";
const PLANTED: [&str; 4] = [KEY, PASSWORD, CUSTOM, PASSWORD_THEN];

const SECRETS: &str = "SECRET_KEY = { env = \"SITE_KEY\" }\nCUSTOM_VALUE = { file = \"sources/custom\" }\n\
                       \"DATABASES.default.PASSWORD\" = { file = \"sources/password\" }\n";

fn write(folder: &Path, name: &str, secret: &str) {
    let path = folder.join("sources").join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
    let beside = path.with_extension("new");
    fs::write(&beside, format!("{secret}\n")).expect("the file is written");
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).expect("its mode");
    fs::rename(beside, path).expect("it is put in place");
}

fn sources() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "custom", CUSTOM);
    write(folder.path(), "password", PASSWORD);
    folder
}

/// An app with these instances, further keys, and its settings and secrets.
fn site(manifest: Manifest, name: &str, guest: &str, instances: &str, keys: &str) -> Manifest {
    let tables = format!(
        "[apps.{name}.settings]\nDJANGO_SETTINGS_MODULE = \"settings\"\nDATABASES.default.NAME = \"of the manifest\"\n\
         [apps.{name}.secrets]\n{SECRETS}"
    );
    let keys = format!("instances = {{ {instances} }}\nlimits.memory-mib = 256\n{keys}\n{tables}");
    manifest.app_of(name, &python_component(guest), &keys)
}

fn start(folder: &Path, manifest: &Manifest) -> House {
    fs::write(folder.join("guesthouse.toml"), manifest.text()).expect("the manifest is written");
    House::start_at(folder, 1, |command| {
        // A cache of its own: it is looked through.
        command.env("GUESTHOUSE_CACHE_DIR", folder.join("cache")).env("SITE_KEY", KEY);
    })
}

fn told(house: &House, app: &str) -> Value {
    let answer = house.get(app, "/told");
    assert_eq!(answer.status(), 200, "{app}: {}", answer.text());
    answer.json()
}

#[track_caller]
fn assert_told(told: &Value, password: &str) {
    let texts = json!({
        "SECRET_KEY": KEY, "CUSTOM_VALUE": CUSTOM, "config": CUSTOM, "asked": CUSTOM,
        "PASSWORD": password, "kept": password, "connection": password,
    });
    assert_eq!(told["texts"], texts, "{told:#}");
    assert_eq!(told["are_texts"], true, "{told:#}");
    assert_eq!((&told["database"], &told["others"]), (&json!("of the manifest"), &Value::Null), "{told:#}");
}

fn page(house: &House, app: &str, path: &str) -> Response {
    house.send(&Request::get(&format!("{app}.test"), path).header("Accept", "text/html"))
}

/// With an image and without, in both worlds: all have their secrets, and nobody finds them elsewhere.
#[test]
fn a_django_project_has_its_secrets_and_nobody_else() {
    let folder = sources();
    let (folder, mut planted) = (folder.path(), Planted::new(&PLANTED));
    let image = "isolation = \"request\", snapshot = true";
    let reused = "isolation = \"reuse\", snapshot = true";
    let debug = "routes = [{ route = \"debug.test\", settings = { DEBUG = true } }]";
    let mut manifest = Manifest::new().head("[host]\nwatch = false");
    for (name, guest, instances, keys) in [
        ("image", "secrets", image, ""),
        ("reused", "secrets", reused, ""),
        ("image-p3", "secrets-p3", "snapshot = true", ""),
        ("plain", "secrets", "isolation = \"reuse\"", ""),
        ("debug", "secrets", "isolation = \"reuse\"", debug),
    ] {
        manifest = site(manifest, name, guest, instances, keys);
    }
    let house = start(folder, &manifest);
    let api = house.api();
    let mut signatures = BTreeSet::new();
    for app in ["image", "reused", "image-p3", "plain", "debug"] {
        let (one, other) = (told(&house, app), told(&house, app));
        assert_told(&one, PASSWORD);
        assert_told(&other, PASSWORD);
        if ["image", "image-p3"].contains(&app) {
            assert_eq!(one["loaded_at"], other["loaded_at"], "{app} starts from an image");
        }
        let image = &api.app(app)["serving"]["image"];
        assert!(image.get("taken").is_none_or(|taken| *taken == true), "{app}: {image:#}");
        signatures.insert(house.get(app, "/signed?text=x").text());
        planted.look(&format!("what {app} shows"), page(&house, app, "/shown").text());
        assert!(page(&house, app, "/shown").text().contains("********"), "{app}");
    }
    assert_eq!(signatures.len(), 1, "one key, one signature: {signatures:?}");

    // Failures, with all that explains them, and the end of an instance.
    for app in ["image", "plain", "debug"] {
        let failed = page(&house, app, "/raise");
        assert_eq!(failed.status(), 500);
        assert_eq!(failed.text().contains("as it was told"), app == "debug", "{}", failed.text());
        planted.look(&format!("the failure of {app}"), failed.text());
        assert_eq!(page(&house, app, "/end").status(), 500);
        assert_told(&told(&house, app), PASSWORD);
    }

    // A secret that changes makes a generation, and needs no new image.
    write(folder, "password", PASSWORD_THEN);
    api.reload().done();
    assert_eq!(api.serving("image"), 2);
    for app in ["image", "reused", "image-p3", "plain"] {
        assert_told(&told(&house, app), PASSWORD_THEN);
    }
    let images = house.log().matching(|entry| entry.message().starts_with("image taken"));
    assert_eq!(images.len(), 2, "one of each component: {}", lines(&images));

    planted.look("the status", house.command(&["status", "--json"]).stdout);
    planted.look_below(folder, &[&folder.join("sources")]);
    let stopped = house.stop();
    assert!(stopped.status.success());
    planted.look("the log", lines(&stopped.log));
    planted.look("standard error", lines(&stopped.errors));
    planted.look_below(folder, &[&folder.join("sources")]);
    planted.assert_nowhere();
}

fn lines(entries: &[Entry]) -> String {
    entries.iter().map(Entry::to_string).collect::<Vec<_>>().join("\n")
}

/// Who asks for a secret while the image is taken gets none, whether he catches that or not, and the app serves without.
#[test]
fn who_asks_too_early_has_no_image() {
    let folder = sources();
    let mut manifest = Manifest::new();
    for early in ["get", "django", "caught"] {
        let keys = format!("grants.env = {{ EARLY = \"{early}\" }}");
        manifest = site(manifest, early, "secrets", "isolation = \"reuse\", snapshot = true", &keys);
    }
    let house = start(folder.path(), &manifest);
    for (app, name) in [("get", "CUSTOM_VALUE"), ("django", "SECRET_KEY"), ("caught", "SECRET_KEY")] {
        let image = &house.api().app(app)["serving"]["image"];
        let why = image["why"].as_str().unwrap_or_default();
        assert_eq!(image["taken"], false, "{image:#}");
        assert!(why.contains(&format!("TooEarly: the secret '{name}' was asked for")), "{app}: {why}");
        assert!(why.contains("/app/app.py"), "the place in the project: {why}");
        assert_told(&told(&house, app), PASSWORD);
    }
    let mut planted = Planted::new(&PLANTED);
    planted.look_below(folder.path(), &[&folder.path().join("sources")]);
    let stopped = house.stop();
    planted.look("the log", lines(&stopped.log));
    planted.assert_nowhere();
}

/// `guesthouse dev` shows causes to whoever asks, and secrets to nobody.
#[test]
fn pages_of_dev_show_no_secrets() {
    let folder = sources();
    let write_file = |name: &str, text: &str| {
        fs::create_dir_all(folder.path().join("site")).expect("a folder");
        let beside = folder.path().join("saving");
        fs::write(&beside, text).expect("the file is written");
        fs::rename(beside, folder.path().join(name)).expect("it is put in place");
    };
    let manifest = |secret: &str| {
        format!(
            "[listen]\nhttp = '127.0.0.1:0'\n[server]\nlog = 'json'\n[apps.site]\nroutes = ['site.test']\n\
             source = {{ python = 'site', wsgi = 'app:application' }}\ninstances = {{ isolation = 'reuse' }}\n\
             [apps.site.secrets]\nKEY = {secret}\n"
        )
    };
    let application = |body: &str| {
        format!(
            "from guesthouse import secrets\n\ndef application(environ, start_response):\n    \
             key = secrets.get('KEY')\n    {body}\n    start_response('200 OK', [])\n    return [key.encode()]\n"
        )
    };
    write_file("guesthouse.toml", &manifest("{ file = 'sources/custom' }"));
    write_file("site/app.py", &application("pass"));
    let house = House::develop(folder.path());
    assert_eq!(page(&house, "site", "/").text(), CUSTOM);
    let mut planted = Planted::new(&PLANTED);

    write_file("site/app.py", &application("raise KeyError([key])"));
    house.errors().wait_for("the failing one", |entry| entry.message().contains("site: generation 2 serves"));
    let failed = page(&house, "site", "/");
    assert_eq!(failed.status(), 500);
    assert!(failed.text().contains("KeyError") && failed.text().contains("*****"), "{}", failed.text());
    planted.look("the page of a traceback", failed.text());

    // Written into the manifest by mistake.
    write_file("guesthouse.toml", &manifest(&format!("'{CUSTOM}'")));
    house
        .errors()
        .wait_for("the refusal", |entry| entry.message().contains("a secret never stands in a manifest"));
    let refused = page(&house, "site", "/");
    assert!(refused.text().contains("a secret never stands in a manifest"), "{}", refused.text());
    planted.look("the page of a bad manifest", refused.text());
    let stopped = house.stop();
    planted.look("the log", lines(&stopped.log));
    planted.look("standard error", lines(&stopped.errors));
    planted.look_below(&folder.path().join(".guesthouse"), &[]);
    planted.assert_nowhere();
}
