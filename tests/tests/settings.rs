//! Settings reach the guest with their types, through `guesthouse:settings` and as strings through `wasi:config/store`,
//! alike in both versions of WASI.

use std::{fs, sync::Arc};

use guesthouse_tests::{House, Manifest, Request, SharedHouse, component};
use serde_json::{Value, json};

static HOUSE: SharedHouse = SharedHouse::new();

const SETTINGS: &str = r#"
[apps.APP.settings]
SITE_TITLE = "Gästehaus <&>"
DEBUG = false
PORT = 8_000
BIG = -9223372036854775808
RATE = 0.25
HUGE = inf
SINCE = 2024-02-29T12:30:00Z
EMPTY = ""
ALLOWED_HOSTS = ["a.test", "b.test"]
MATRIX = [[1, 2], [3]]
DATABASES.default = { NAME = "db", OPTIONS = { timeout = 5 } }
LOGGING.loggers."django.request" = { level = "INFO" }
"#;

fn house() -> Arc<House> {
    HOUSE.get(|| {
        let mut manifest = Manifest::new();
        for guest in ["settings", "settings-p3"] {
            manifest = manifest.app(guest, guest, &SETTINGS.replace("APP", guest));
        }
        manifest
            .app("bare", "settings", "")
            .app("hello", "hello-rust", "settings = { greeting = \"the test\" }")
            .app("hello-p3", "hello-rust-p3", "settings = { greeting = \"the test\" }")
    })
}

/// Asks the guests of both worlds, and wants one answer.
fn ask(question: &str) -> Value {
    let house = house();
    let (old, new) = (house.get("settings", question).json(), house.get("settings-p3", question).json());
    assert_eq!(old, new, "both worlds tell the same of {question}");
    old
}

#[test]
fn values_keep_their_types() {
    for (path, value) in [
        ("SITE_TITLE", json!({ "text": "Gästehaus <&>" })),
        ("DEBUG", json!({ "boolean": false })),
        ("PORT", json!({ "integer": 8000 })),
        ("BIG", json!({ "integer": i64::MIN })),
        ("RATE", json!({ "float": "0.25" })),
        ("HUGE", json!({ "float": "inf" })),
        ("SINCE", json!({ "text": "2024-02-29T12:30:00Z" })),
        ("EMPTY", json!({ "text": "" })),
        ("ALLOWED_HOSTS", json!({ "list": 2 })),
        ("ALLOWED_HOSTS.1", json!({ "text": "b.test" })),
        ("MATRIX.0.1", json!({ "integer": 2 })),
        ("DATABASES", json!({ "table": ["default"] })),
        ("DATABASES.default", json!({ "table": ["NAME", "OPTIONS"] })),
        ("DATABASES.default.OPTIONS.timeout", json!({ "integer": 5 })),
        ("LOGGING.loggers.%22django.request%22.level", json!({ "text": "INFO" })),
    ] {
        assert_eq!(ask(&format!("/get?path={path}")), value, "{path}");
    }
}

/// To the last bit: a reader of JSON that hurries takes this one for its neighbour, 31.24527019143944.
#[test]
fn a_number_that_a_running_house_is_given_is_the_one_that_was_sent() {
    let house = House::start(&Manifest::new().app("settings", "settings", ""));
    house.api().swap("settings", &json!({ "settings": { "RATE": 31.245270191439438 } })).action("swapped");
    assert_eq!(house.get("settings", "/get?path=RATE").json(), json!({ "float": "31.245270191439438" }));
}

#[test]
fn what_is_not_set_is_not_there() {
    for path in [
        "ABSENT",
        "site_title",
        "ALLOWED_HOSTS.2",
        "ALLOWED_HOSTS.-1",
        "ALLOWED_HOSTS.one",
        "DATABASES.default.",
        ".DATABASES",
        "PORT.0",
        "LOGGING.loggers.django.request",
        "%22",
        "a..b",
    ] {
        assert_eq!(ask(&format!("/get?path={path}")), Value::Null, "{path}");
        assert_eq!(ask(&format!("/json?path={path}")), Value::Null, "{path}");
    }
}

#[test]
fn the_empty_path_is_all_settings() {
    let keys = json!([
        "SITE_TITLE",
        "DEBUG",
        "PORT",
        "BIG",
        "RATE",
        "HUGE",
        "SINCE",
        "EMPTY",
        "ALLOWED_HOSTS",
        "MATRIX",
        "DATABASES",
        "LOGGING"
    ]);
    assert_eq!(ask("/get"), json!({ "table": keys }));
    assert_eq!(house().get("bare", "/get").json(), json!({ "table": [] }));
    assert_eq!(house().get("bare", "/json").json(), json!("{}"));
}

#[test]
fn subtrees_are_json() {
    let text = ask("/json?path=DATABASES");
    let read: Value = serde_json::from_str(text.as_str().expect("a text")).expect("JSON");
    assert_eq!(read, json!({ "default": { "NAME": "db", "OPTIONS": { "timeout": 5 } } }));
    let text = ask("/json");
    let read: Value = serde_json::from_str(text.as_str().expect("a text")).expect("JSON");
    assert_eq!(read["HUGE"], "inf", "what JSON lacks is a text");
    assert_eq!(read["BIG"], json!(i64::MIN));
    assert_eq!(read["MATRIX"], json!([[1, 2], [3]]));
}

#[test]
fn the_first_generation_is_number_1() {
    assert_eq!(ask("/generation"), 1);
}

/// A guest that knows only the standard's strings sees all settings: nested ones by their dotted paths or as JSON.
#[test]
fn wasi_config_shows_the_same_settings_as_strings() {
    for (key, value) in [
        ("SITE_TITLE", "Gästehaus <&>"),
        ("DEBUG", "false"),
        ("PORT", "8000"),
        ("BIG", "-9223372036854775808"),
        ("RATE", "0.25"),
        ("EMPTY", ""),
        ("DATABASES.default.OPTIONS.timeout", "5"),
    ] {
        assert_eq!(ask(&format!("/config?key={key}")), json!(value), "{key}");
    }
    assert_eq!(ask("/config?key=ABSENT"), Value::Null);
    let hosts = ask("/config?key=ALLOWED_HOSTS");
    let hosts: Value = serde_json::from_str(hosts.as_str().expect("a text")).expect("JSON");
    assert_eq!(hosts, json!(["a.test", "b.test"]));
}

#[test]
fn wasi_config_lists_every_key_that_it_answers_to() {
    let all = ask("/config-all");
    let pairs: Vec<(String, String)> = serde_json::from_value(all).expect("pairs");
    assert!(pairs.contains(&("PORT".to_owned(), "8000".to_owned())), "{pairs:?}");
    for (key, value) in pairs {
        let encoded = key.replace('"', "%22");
        assert_eq!(ask(&format!("/config?key={encoded}")), json!(value), "{key}");
    }
}

#[test]
fn both_hello_apps_read_both_ways() {
    for (app, version) in [("hello", "0.2"), ("hello-p3", "0.3")] {
        let answer = house().get(app, "/some/path?x=1");
        assert_eq!(
            answer.text(),
            format!(
                "Hello from the test\nGET /some/path?x=1\nWASI {version}, generation 1, wasi:config says: the test\n"
            )
        );
    }
}

#[test]
fn later_layers_win_and_tables_are_merged() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(
        folder.path().join("site.toml"),
        "FROM = \"file\"\nTABLE = { a = \"file\", b = \"file\" }\nFILE_ONLY = 1\n",
    )
    .expect("a settings file");
    let manifest = format!(
        r#"
[listen]
http = "127.0.0.1:0"
[server]
log = "json"
[defaults.settings]
FROM = "defaults"
TABLE = {{ a = "defaults", c = "defaults" }}
DEFAULT_ONLY = true
[apps.site]
component = {:?}
routes = [
    "site.test",
    {{ route = "other.test", settings = {{ FROM = "route", ROUTE_ONLY = "yes" }} }},
]
settings-file = "site.toml"
[apps.site.settings]
FROM = "app"
TABLE = {{ b = "app" }}
SECRET = "${{TOKEN}} and ${{ABSENT:-a default}}"
"#,
        component("settings")
    );
    let house = House::start_in(folder, &manifest, 1, |command| {
        command.env("TOKEN", "from outside").env_remove("ABSENT");
    });
    let ask = |host: &str, path: &str| house.send(&Request::get(host, &format!("/get?path={path}"))).json();
    for host in ["site.test", "other.test"] {
        assert_eq!(ask(host, "DEFAULT_ONLY"), json!({ "boolean": true }));
        assert_eq!(ask(host, "FILE_ONLY"), json!({ "integer": 1 }));
        assert_eq!(ask(host, "TABLE.a"), json!({ "text": "file" }));
        assert_eq!(ask(host, "TABLE.b"), json!({ "text": "app" }));
        assert_eq!(ask(host, "TABLE.c"), json!({ "text": "defaults" }));
        assert_eq!(ask(host, "SECRET"), json!({ "text": "from outside and a default" }));
    }
    assert_eq!(ask("site.test", "FROM"), json!({ "text": "app" }));
    assert_eq!(ask("site.test", "ROUTE_ONLY"), Value::Null);
    assert_eq!(ask("other.test", "FROM"), json!({ "text": "route" }));
    assert_eq!(ask("other.test", "ROUTE_ONLY"), json!({ "text": "yes" }));
}

/// Two apps of one component: each sees its own settings whatever the order and the reuse.
#[test]
fn apps_of_one_component_keep_their_settings_apart() {
    let reuse = "instances.isolation = \"reuse\"";
    let mut manifest = Manifest::new();
    for app in ["foo", "bar", "baz"] {
        manifest = manifest.app(app, "settings", &format!("{reuse}\nsettings = {{ NAME = \"{app}\" }}")).app(
            &format!("{app}-p3"),
            "settings-p3",
            &format!("settings = {{ NAME = \"{app}-p3\" }}"),
        );
    }
    let house = House::start(&manifest);
    for _ in 0..5 {
        for app in ["foo", "bar-p3", "baz", "foo-p3", "bar", "baz-p3"] {
            assert_eq!(house.get(app, "/get?path=NAME").json(), json!({ "text": app }));
        }
    }
}
