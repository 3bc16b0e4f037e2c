//! A new generation that fails is on trial: the house goes back to the last good one by itself. One that has nothing to
//! go back to, and crashes again and again, is throttled.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use guesthouse_tests::{Admin, Connection, House, Manifest, PATIENCE, Request, component};
use serde_json::{Value, json};

fn house(generations: &str) -> (House, Admin) {
    let keys = format!("generations = {{ {generations} }}");
    let manifest = Manifest::new().head("[host]\nwatch = false").version("shop", 1, 0, &keys);
    let house = House::start(&manifest.version("other", 1, 0, ""));
    let api = house.api();
    (house, api)
}

fn swap_in_the_failing(api: &Admin) {
    let digest = api.upload(&component("fails-often"));
    api.swap("shop", &json!({ "component": digest, "settings": { "VERSION": "three-1" } })).action("swapped");
}

/// Sends requests of which the guest fails all but each fourth, and gives how many it failed.
fn fail(house: &House, numbers: std::ops::Range<u32>) -> usize {
    numbers
        .filter(|number| {
            let answer = house.get("shop", &format!("/?number={number}"));
            if answer.status() == 200 {
                answer.version();
            }
            answer.status() != 200
        })
        .count()
}

#[test]
fn a_generation_that_fails_is_taken_back() {
    let (house, api) = house("trial-failures = 6, trial-percent = 50");
    swap_in_the_failing(&api);
    assert_eq!(house.get("shop", "/?number=4").version().code, 3);
    let deadline = Instant::now() + PATIENCE;
    let mut failed = 0;
    let mut number = 0;
    loop {
        let answer = house.get("shop", "/?number=4");
        // While it is on its way back, it may turn requests away.
        if answer.status() != 503 && answer.version().code == 1 {
            break;
        }
        assert!(Instant::now() < deadline, "{failed} failed: {:#}", api.app("shop"));
        // Three failures for each that goes well.
        failed += fail(&house, number + 1..number + 4);
        number += 4;
    }
    assert!(failed >= 6, "taken back after {failed} failures");
    let app = api.wait_for_app("shop", "the way back", |app| app["serving"]["number"] == 1);
    assert!(app["trouble"]["message"].is_string(), "{app:#}");
    let bad = app["kept"].as_array().expect("a list").iter().find(|kept| kept["number"] == 2);
    assert!(bad.is_none_or(|bad| bad["failed"].is_string()), "{app:#}");
    assert_eq!(house.get("shop", "/").version().swap(), Some(0));
    house.log().wait_for("the line about it", |entry| {
        entry.text("app") == "shop" && entry.text("action") == "rolled-back"
    });
    assert_eq!(api.app("other")["trouble"], Value::Null);
    // What failed once is nothing to go back to by chance.
    assert_ne!(api.rollback("shop", None).status, 200);
    // But whoever names it gets it.
    if bad.is_some() {
        assert_eq!(api.rollback("shop", Some(2)).to(), 2);
    }
}

#[test]
fn a_canary_that_fails_is_taken_back() {
    let (house, api) = house("trial-failures = 6, trial-percent = 50");
    let digest = api.upload(&component("fails-often"));
    let settings = json!({ "VERSION": "three-1" });
    let request = json!({ "component": digest, "settings": settings, "canary": { "percent": 50.0 } });
    api.swap("shop", &request).action("canary-begun");
    let mut failed = 0;
    let mut addresses = (1..=255_u8).cycle();
    let deadline = Instant::now() + PATIENCE;
    while api.app("shop")["canary"].is_object() {
        assert!(Instant::now() < deadline, "{failed} failed: {:#}", api.app("shop"));
        let source = Ipv4Addr::new(127, 0, 9, addresses.next().expect("an address"));
        let mut connection = Connection::tcp_from(source.into(), house.address());
        connection.send(Request::get("shop.test", "/?number=1").bytes());
        failed += usize::from(connection.response("GET").status() != 200);
    }
    assert!(failed >= 6, "taken back after {failed} failures");
    let app = api.app("shop");
    assert_eq!(app["serving"]["number"], 1, "{app:#}");
    assert!(app["trouble"]["message"].is_string(), "{app:#}");
    for last in 1..=50 {
        let mut connection = Connection::tcp_from(Ipv4Addr::new(127, 0, 9, last).into(), house.address());
        connection.send(Request::get("shop.test", "/?number=1").bytes());
        assert_eq!(connection.response("GET").version().generation, 1);
    }
}

#[test]
fn few_failures_are_no_reason() {
    let (house, api) = house("trial-failures = 10, trial-percent = 50");
    swap_in_the_failing(&api);
    // Nine failures, three in four of all; and then many in the good.
    assert_eq!(fail(&house, 1..13), 9);
    for _ in 0..30 {
        house.get("shop", "/?number=8").version();
    }
    // And one in three or four of many.
    assert_eq!(fail(&house, 1..4), 3);
    let app = api.app("shop");
    assert_eq!((&app["serving"]["number"], &app["serving"]["failures"]), (&json!(2), &json!(12)), "{app:#}");
    assert_eq!(app["serving"]["requests"], 45, "{app:#}");
    assert_eq!(app["trouble"], Value::Null);
}

#[test]
fn without_a_trial_nothing_is_taken_back() {
    let (house, api) = house("trial-ms = 0, trial-failures = 1, trial-percent = 1");
    swap_in_the_failing(&api);
    assert!(fail(&house, 1..13) >= 9);
    assert_eq!(api.serving("shop"), 2);
}

#[test]
fn what_crashes_again_and_again_is_throttled() {
    let house = House::start(&Manifest::new().app("crash", "trap", "").app("other", "version-1", ""));
    let api = house.api();
    let deadline = Instant::now() + PATIENCE;
    let turned_away = loop {
        let answer = house.get("crash", "/");
        assert!(matches!(answer.status(), 500 | 503), "{}", answer.status());
        if answer.status() == 503 {
            break answer;
        }
        assert!(Instant::now() < deadline, "it crashes, and is not throttled: {:#}", api.app("crash"));
    };
    let after: u64 = turned_away.header("retry-after").expect("when to try again").parse().expect("seconds");
    assert!((1..=300).contains(&after), "{after}");
    let app = api.app("crash");
    assert!(app["serving"]["throttled_ms"].as_u64().is_some_and(|ms| ms > 0), "{app:#}");
    assert_eq!(house.get("other", "/").status(), 200);
    // Nobody is turned away for ever.
    let deadline = Instant::now() + PATIENCE;
    while house.get("crash", "/ok").status() != 200 {
        assert!(Instant::now() < deadline, "it is well, and still throttled: {:#}", api.app("crash"));
        std::thread::sleep(Duration::from_millis(20));
    }
}
