//! A canary serves a part of the clients, the same ones each time, until it is promoted or aborted.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use guesthouse_tests::{Admin, Connection, House, Manifest, Request, Version, component};
use serde_json::{Value, json};

const ADDRESSES: u8 = 200;

fn house() -> (House, Admin) {
    let house = House::start(&Manifest::new().head("[host]\nwatch = false").version("shop", 1, 0, ""));
    let api = house.api();
    (house, api)
}

fn begin(api: &Admin, canary: &Value) {
    let digest = api.upload(&component("version-2"));
    let settings = json!({ "VERSION": Version::setting(2, 1) });
    let request = json!({ "component": digest, "settings": settings, "canary": canary });
    let change = api.swap("shop", &request).action("canary-begun");
    assert_eq!(change["to"], 2, "{change:#}");
}

/// The addresses that are led to the canary.
fn led_by_address(house: &House) -> BTreeSet<u8> {
    (1..=ADDRESSES)
        .filter(|&last| {
            let source = IpAddr::V4(Ipv4Addr::new(127, 0, 7, last));
            let mut connection = Connection::tcp_from(source, house.address());
            connection.send(Request::get("shop.test", "/").bytes());
            connection.response("GET").version().code == 2
        })
        .collect()
}

/// Asks with the cookies that a client has, and keeps those that it is given.
fn ask_with(house: &House, cookies: &mut Option<String>) -> Version {
    let mut request = Request::get("shop.test", "/");
    if let Some(cookies) = &cookies {
        request = request.header("cookie", cookies);
    }
    let answer = house.send(&request);
    if let Some(set) = answer.header("set-cookie") {
        *cookies = Some(set.split(';').next().unwrap_or_default().to_owned());
    }
    answer.version()
}

#[test]
fn the_same_addresses_each_time() {
    let (house, api) = house();
    begin(&api, &json!({ "percent": 25.0, "sticky": "address" }));
    let led = led_by_address(&house);
    // Five standard deviations of a fair division.
    assert!((20..=80).contains(&led.len()), "{} of {ADDRESSES} addresses are led to the canary", led.len());
    assert_eq!(led_by_address(&house), led);
    let app = api.app("shop");
    assert_eq!(app["canary"]["share"]["percent"], 25.0, "{app:#}");
    assert_eq!(app["canary"]["generation"]["number"], 2, "{app:#}");
    assert_eq!(app["serving"]["number"], 1, "{app:#}");
    let requests = |generation: &Value| generation["requests"].as_u64().expect("a count");
    let (old, new) = (requests(&app["serving"]), requests(&app["canary"]["generation"]));
    assert_eq!(new, 2 * led.len() as u64, "{app:#}");
    assert_eq!(old + new, 2 * u64::from(ADDRESSES), "{app:#}");
    let latency = &app["canary"]["generation"]["latency_ms"];
    assert!(latency["p50"].as_f64().is_some_and(|ms| ms > 0.0), "{app:#}");
}

#[test]
fn the_share_is_as_it_was_asked() {
    let (house, api) = house();
    for (swap, percent, likely) in [(1, 10.0, 1..=55), (2, 90.0, 145..=199)] {
        let digest = api.upload(&component("version-2"));
        let settings = json!({ "VERSION": Version::setting(2, swap) });
        let request = json!({ "component": digest, "settings": settings, "canary": { "percent": percent } });
        api.swap("shop", &request).action("canary-begun");
        let led = led_by_address(&house).len();
        assert!(likely.contains(&led), "{led} of {ADDRESSES} at {percent} percent");
        api.abort("shop").action("aborted");
    }
}

#[test]
fn the_same_cookies_each_time() {
    let (house, api) = house();
    begin(&api, &json!({ "percent": 50.0, "sticky": "cookie" }));
    let mut led = 0;
    for client in 0..ADDRESSES {
        let mut cookies = None;
        let first = ask_with(&house, &mut cookies);
        assert!(cookies.is_some(), "client {client} is given a cookie");
        led += usize::from(first.code == 2);
        for _ in 0..2 {
            assert_eq!(ask_with(&house, &mut cookies), first, "client {client} with {cookies:?}");
        }
    }
    assert!((65..=135).contains(&led), "{led} of {ADDRESSES} clients are led to the canary");
}

#[test]
fn the_cookie_is_there_as_long_as_the_canary() {
    let house = House::start(&Manifest::new().head("[host]\nwatch = false").app("tell", "info", ""));
    let api = house.api();
    let request = json!({ "settings": { "A": 1 }, "canary": { "percent": 50.0, "sticky": "cookie" } });
    api.swap("tell", &request).action("canary-begun");
    let answer = house.get("tell", "/");
    let cookie = answer.header("set-cookie").expect("a cookie").to_lowercase();
    for attribute in ["httponly", "path=/"] {
        assert!(cookie.contains(attribute), "{attribute} in {cookie}");
    }
    api.promote("tell").action("promoted");
    assert!(house.get("tell", "/").header("set-cookie").is_none(), "no cookie without a canary");
}

#[test]
fn promoted_it_serves_all() {
    let (house, api) = house();
    begin(&api, &json!({ "percent": 25.0 }));
    let change = api.promote("shop").action("promoted");
    assert_eq!((&change["from"], &change["to"]), (&json!(1), &json!(2)), "{change:#}");
    assert_eq!(led_by_address(&house).len(), usize::from(ADDRESSES));
    let app = api.app("shop");
    assert_eq!((&app["serving"]["number"], &app["canary"]), (&json!(2), &Value::Null), "{app:#}");
    assert_eq!(app["kept"][0]["number"], 1, "{app:#}");
    api.rollback("shop", None).action("rolled-back");
    assert_eq!(led_by_address(&house).len(), 0);
}

#[test]
fn aborted_it_serves_nobody() {
    let (house, api) = house();
    begin(&api, &json!({ "percent": 75.0 }));
    api.abort("shop").action("aborted");
    assert_eq!(led_by_address(&house).len(), 0);
    let app = api.app("shop");
    assert_eq!((&app["serving"]["number"], &app["canary"]), (&json!(1), &Value::Null), "{app:#}");
    api.promote("shop").refused(409, "conflict");
    api.abort("shop").refused(409, "conflict");
    // A number is given once.
    assert_eq!(api.swap("shop", &json!({ "settings": { "VERSION": "one-2" } })).to(), 3);
}

#[test]
fn a_share_is_more_than_nothing_and_less_than_all() {
    let (house, api) = house();
    for percent in ["0", "100", "-1", "101"] {
        let bytes = std::fs::read(component("version-2")).expect("a component");
        let reply = api.swap_bytes("shop", bytes, &format!("?canary={percent}"));
        let message = reply.refused(400, "bad-request");
        assert!(message.contains("percent") || message.contains("100"), "{message}");
    }
    assert_eq!(house.get("shop", "/").version().generation, 1);
}

#[test]
fn by_command() {
    let (house, api) = house();
    let component = component("version-2");
    let file = component.to_string_lossy();
    let done = |arguments: &[&str]| {
        let outcome = house.command(arguments);
        assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
    };
    done(&["swap", "shop", &file, "--set", "VERSION=two-1", "--canary", "5%", "--sticky", "cookie"]);
    let share = api.app("shop")["canary"]["share"].clone();
    assert_eq!(share, json!({ "percent": 5.0, "sticky": "cookie" }));
    done(&["abort", "shop"]);
    assert!(api.app("shop")["canary"].is_null());
    assert_eq!(house.get("shop", "/").version().generation, 1);
    done(&["swap", "shop", &file, "--set", "VERSION=two-2", "--canary", "5"]);
    done(&["promote", "shop"]);
    let version = house.get("shop", "/").version();
    assert_eq!((version.code, version.swap(), version.generation), (2, Some(2), 3));
}
