//! A request finishes in the generation that it began in: a long stream too, within `drain-ms`. Then its memory goes.

use std::time::{Duration, Instant};

use guesthouse_tests::{Connection, House, Manifest, Request, Version};
use serde_json::{Value, json};

fn house(server: &str, keys: &str) -> House {
    let setting = Version::setting(1, 0);
    let keys = format!("{keys}\nsettings.VERSION = {setting:?}");
    House::start(
        &Manifest::new()
            .head("[host]\nwatch = false")
            .server(server)
            .app("request", "version-1", &format!("instances.isolation = \"request\"\n{keys}"))
            .app("reuse", "version-1", &format!("instances.isolation = \"reuse\"\n{keys}"))
            .app("p3", "version-1-p3", &keys),
    )
}

const APPS: [(&str, &str); 3] = [("request", "version-2"), ("reuse", "version-2"), ("p3", "version-2-p3")];

/// A request whose first line has come.
fn begun(house: &House, app: &str, path: &str) -> Connection {
    let mut connection = house.connect();
    connection.send(Request::get(&format!("{app}.test"), path).bytes());
    connection.head();
    assert!(connection.line().expect("the size of a chunk").ends_with("\r\n"));
    assert_eq!(connection.line().expect("a line"), "code=1 setting=one-0 generation=1\n");
    connection
}

fn swap(house: &House, app: &str, guest: &str) {
    let api = house.api();
    let digest = api.upload(&guesthouse_tests::component(guest));
    let setting = Version::setting(2, 1);
    api.swap(app, &json!({ "component": digest, "settings": { "VERSION": setting } })).action("swapped");
    assert_eq!(house.get(app, "/").version(), Version { code: 2, setting, generation: 2 });
}

fn drained(app: &Value) -> bool {
    app["draining"] == json!([])
}

#[test]
fn a_long_answer_is_finished_by_the_generation_that_began_it() {
    let house = house("", "");
    for (app, guest) in APPS {
        let mut long = begun(&house, app, "/?stream=60&pause=20");
        swap(&house, app, guest);
        let state = house.api().app(app);
        assert_eq!(state["draining"], json!([{ "number": 1, "in_flight": 1 }]), "{state:#}");
        let mut lines = 1;
        loop {
            let line = long.line().unwrap_or_else(|error| panic!("{app} after {lines} lines: {error}"));
            if line == "0\r\n" {
                break;
            }
            assert!(!line.starts_with("code=2"), "{app}: {line}");
            lines += usize::from(line == "code=1 setting=one-0 generation=1\n");
        }
        assert_eq!(lines, 60, "{app}");
        house.api().wait_for_app(app, "the end of the drain", drained);
        // The connection is as good as before, and leads to the new generation.
        assert_eq!(long.line().expect("the end of the trailers"), "\r\n");
        long.send(Request::get(&format!("{app}.test"), "/").bytes());
        assert_eq!(long.response("GET").version().generation, 2, "{app}");
    }
}

#[test]
fn a_request_that_waits_is_finished_by_the_generation_that_it_began_in() {
    let house = house("", "");
    for (app, guest) in APPS {
        let mut waiting = house.connect();
        waiting.send(Request::get(&format!("{app}.test"), "/?ms=700").bytes());
        house.api().wait_for_app(app, "a request in flight", |app| app["serving"]["in_flight"] == 1);
        swap(&house, app, guest);
        assert_eq!(waiting.response("GET").version().generation, 1, "{app}");
    }
}

#[test]
fn what_takes_too_long_is_cut() {
    let house = house("drain-ms = 300", "limits = { request-ms = 600000, stream-ms = 600000 }");
    for (app, guest) in APPS {
        let mut long = begun(&house, app, "/?stream=1000000&pause=10");
        swap(&house, app, guest);
        let since = Instant::now();
        while long.line().is_ok_and(|line| line != "0\r\n") {}
        let took = since.elapsed();
        assert!(took < Duration::from_secs(30), "{app}: cut too late, after {took:?}");
        assert!(long.until_closed().is_empty(), "{app}: an answer that is cut does not look whole");
        house.api().wait_for_app(app, "the end of the drain", drained);
        house.log().wait_for("the line about it", |entry| {
            entry.text("app") == app
                && entry.text("generation") == "1"
                && entry.message().contains("drain-ms")
        });
        house.log().wait_for("that this is why it ended", |entry| {
            entry.is_failure(app) && entry.text("cause") == "drain-limit"
        });
        assert_eq!(house.get(app, "/").version().generation, 2, "{app}");
    }
}

#[test]
fn several_generations_drain_at_once() {
    let house = house("", "");
    let api = house.api();
    let mut long = Vec::new();
    for number in 1..=4_u64 {
        let mut connection = house.connect();
        connection.send(Request::get("request.test", "/?ms=1000").bytes());
        api.wait_for_app("request", "a request in flight", |app| app["serving"]["in_flight"] == 1);
        long.push((connection, number));
        let setting = Version::setting(1, number);
        api.swap("request", &json!({ "settings": { "VERSION": setting } })).action("swapped");
    }
    for (mut connection, number) in long {
        let version = connection.response("GET").version();
        assert_eq!((version.generation, version.swap()), (number, Some(number - 1)));
    }
    api.wait_for_app("request", "the end of the drain", drained);
}
