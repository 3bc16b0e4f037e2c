//! Python apps that start from an image: what instances share, and what each of them has for itself.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use guesthouse_tests::{House, Manifest, Request, Response, SharedHouse, python_component};
use serde_json::Value;

static HOUSE: SharedHouse = SharedHouse::new();

const FRESH: &str = "instances = { isolation = \"request\", snapshot = true }";
const REUSED: &str = "instances = { isolation = \"reuse\", snapshot = true }";

fn house() -> Arc<House> {
    HOUSE.get(|| {
        let site = |name: &str, instances: &str, settings: &str| {
            format!("routes = [\"{name}.localhost\"]\n{instances}\n[apps.{name}.settings]\n{settings}")
        };
        let foo_settings = "DJANGO_SETTINGS_MODULE = \"foo.settings\"\nSITE_TITLE = \"Foo of the image\"";
        let bar_settings = "DJANGO_SETTINGS_MODULE = \"bar.settings\"\nSITE_TITLE = \"Bar of the image\"";
        let django = python_component("django-modern");
        Manifest::new()
            .app_of("foo", &django, &site("foo", FRESH, foo_settings))
            .app_of("bar", &django, &site("bar", REUSED, bar_settings))
            .app_of("flask", &python_component("flask"), &site("flask", FRESH, "SECRET_KEY = \"secret\""))
            .app_of("validate", &python_component("validate"), &site("validate", FRESH, "TEXT = \"\""))
            .app_of("wsgi-p3", &python_component("wsgi-p3"), &site("wsgi-p3", FRESH, "TEXT = \"ä\""))
    })
}

fn page(host: &str, path: &str) -> Response {
    house().send(&Request::get(host, path))
}

fn info(host: &str) -> Value {
    let answer = page(host, "/info.json");
    assert_eq!(answer.status(), 200, "{host}: {}", answer.text());
    answer.json()
}

#[test]
fn instances_start_from_one_initialisation() {
    let (one, other) = (info("foo.localhost"), info("foo.localhost"));
    // Drawn when the module was imported: once, for the image.
    assert_eq!(one["process"], other["process"]);
    // Yet each is an instance of its own.
    assert_eq!((&one["answered"], &other["answered"]), (&1.into(), &1.into()));
    assert_ne!(one["now"], other["now"]);
}

#[test]
fn apps_of_one_component_have_images_of_their_own() {
    let (one, other) = (info("foo.localhost"), info("bar.localhost"));
    assert_eq!(one["site_title"], "Foo of the image");
    assert_eq!(other["site_title"], "Bar of the image");
    assert_eq!(one["settings_module"], "foo.settings");
    assert_eq!(other["settings_module"], "bar.settings");
    assert_ne!(one["process"], other["process"]);
}

#[test]
fn keys_are_drawn_anew_in_each_instance() {
    let keys: BTreeSet<String> = (0..5)
        .map(|_| {
            let answer = page("foo.localhost", "/");
            assert_eq!(answer.status(), 200, "{}", answer.text());
            let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
            assert!(cookie.starts_with("csrftoken="), "{cookie}");
            cookie.split(';').next().unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
}

#[test]
fn reused_instances_go_on_after_their_first_request() {
    for _ in 0..20 {
        let answer = page("bar.localhost", "/");
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(answer.text().contains("Bar of the image"));
    }
    assert_eq!(page("bar.localhost", "/nowhere").status(), 404);
}

#[test]
fn flask_and_plain_wsgi_start_from_images_too() {
    for host in ["flask.localhost", "wsgi-p3.localhost"] {
        for _ in 0..2 {
            let answer = page(host, "/");
            assert_eq!(answer.status(), 200, "{host}: {}", answer.text());
        }
    }
}

/// CPython's instruction for a call of a Python function that it has seen before (PEP 659).
#[test]
fn calls_are_specialised_in_instances_of_an_image() {
    let answer = page("validate.localhost", "/calls");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(answer.text().contains("CALL_PY_EXACT_ARGS"), "{}", answer.text());
}

#[test]
fn the_extension_module_is_made_from_its_source() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/python");
    let made = wat::parse_file(folder.join("native/_immortal.wat")).expect("its source is well formed");
    let kept = fs::read(folder.join("lib/_immortal.cpython-314-wasm32-wasi.so")).expect("it is there");
    assert_eq!(made, kept, "write it anew: `wasm-tools parse` turns the one into the other");
}
