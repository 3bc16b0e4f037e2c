//! The way back: the last generations are at hand, and serve again without being compiled.

use std::time::Instant;

use guesthouse_tests::{Admin, House, Manifest, Version, component};
use serde_json::{Value, json};

fn manifest(keys: &str) -> Manifest {
    Manifest::new().head("[host]\nwatch = false").version("shop", 1, 0, keys)
}

/// Swaps the two versions in by turns up to this number, so that generation N is of swap N - 1.
fn swap_up_to(api: &Admin, last: u64) {
    let digests = ["version-1", "version-2"].map(|guest| api.upload(&component(guest)));
    for swap in 1..=last {
        let odd = !swap.is_multiple_of(2);
        let setting = Version::setting(1 + u64::from(odd), swap);
        let request = json!({ "component": digests[usize::from(odd)], "settings": { "VERSION": setting } });
        assert_eq!(api.swap("shop", &request).to(), swap + 1);
    }
}

fn kept(api: &Admin) -> Vec<u64> {
    let app = api.app("shop");
    let kept = app["kept"].as_array().expect("a list").iter();
    kept.map(|generation| generation["number"].as_u64().expect("a number")).collect()
}

#[test]
fn to_the_generation_before() {
    let house = House::start(&manifest(""));
    let api = house.api();
    swap_up_to(&api, 1);
    let begun = Instant::now();
    let change = api.rollback("shop", None).action("rolled-back");
    println!("rolled back in {:.1} ms", begun.elapsed().as_secs_f64() * 1000.0);
    assert_eq!((&change["from"], &change["to"]), (&json!(2), &json!(1)), "{change:#}");
    assert_eq!(change["took_ms"]["compile"], Value::Null, "{change:#}");
    let version = house.get("shop", "/").version();
    assert_eq!((version.code, version.swap(), version.generation), (1, Some(0), 1));
    house.log().wait_for("the line about it", |entry| {
        entry.text("app") == "shop"
            && entry.text("action") == "rolled-back"
            && entry.text("generation") == "1"
    });
    // And forth again, and the numbers go on.
    assert_eq!(api.rollback("shop", Some(2)).to(), 2);
    assert_eq!(house.get("shop", "/").version().generation, 2);
    let change = api.swap("shop", &json!({ "settings": { "VERSION": "two-9" } })).action("swapped");
    assert_eq!(change["to"], 3, "{change:#}");
}

#[test]
fn to_one_that_is_named() {
    let house = House::start(&manifest(""));
    let api = house.api();
    swap_up_to(&api, 3);
    assert_eq!(kept(&api), [3, 2, 1]);
    api.rollback("shop", Some(2)).action("rolled-back");
    assert_eq!(house.get("shop", "/").version().swap(), Some(1));
    let app = api.app("shop");
    assert_eq!(app["serving"]["number"], 2, "{app:#}");
    assert_eq!(app["differs_from_manifest"], true, "{app:#}");
    api.rollback("shop", Some(9)).refused(404, "not-found");
    assert_eq!(house.get("shop", "/").version().swap(), Some(1));
}

#[test]
fn as_many_are_kept_as_the_manifest_says() {
    let house = House::start(&manifest("generations.keep = 2"));
    let api = house.api();
    swap_up_to(&api, 6);
    assert_eq!(kept(&api), [6, 5]);
    let message = api.rollback("shop", Some(3)).refused(404, "not-found");
    assert!(message.contains('3'), "{message}");
    api.rollback("shop", Some(5)).action("rolled-back");
    assert_eq!(house.get("shop", "/").version().swap(), Some(4));
}

#[test]
fn none_is_kept_where_the_manifest_says_so() {
    let house = House::start(&manifest("generations.keep = 0"));
    let api = house.api();
    swap_up_to(&api, 2);
    assert_eq!(kept(&api), [0; 0]);
    api.rollback("shop", None).refused(409, "conflict");
    assert_eq!(house.get("shop", "/").version().swap(), Some(2));
}
