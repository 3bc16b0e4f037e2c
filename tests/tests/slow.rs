//! Clients that take too long: for the head of a request, between requests, within a body, in reading the answer.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use guesthouse_tests::{House, Manifest, Request, SharedHouse};

static HOUSE: SharedHouse = SharedHouse::new();

fn house() -> Arc<House> {
    HOUSE.get(|| {
        Manifest::new()
            .server("header-ms = 300\nidle-ms = 300\nbody-ms = 300")
            .app("sink", "sink", "")
            .app("sink-p3", "sink-p3", "")
            .app("endless", "endless", "limits = { concurrent = 1, queue-ms = 600000 }")
            .app("endless-p3", "endless-p3", "limits = { concurrent = 1, queue-ms = 600000 }")
            .app("wait", "wait", "")
    })
}

/// Beyond any time limit of these tests, and below the patience of the client.
const BOUND: Duration = Duration::from_secs(10);

#[test]
fn a_connection_without_a_request_is_closed() {
    let house = house();
    let begun = Instant::now();
    let mut connection = house.connect();
    let rest = connection.until_closed();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408 "), "{}", rest.escape_ascii());
    assert!(begun.elapsed() < BOUND);
}

/// The time between requests is for clients that have sent one: whoever says nothing at all has the time for a head.
#[test]
fn a_connection_that_says_nothing_has_the_time_for_a_head() {
    let server = "header-ms = 300\nidle-ms = 86400000";
    let house = House::start(&Manifest::new().server(server).app("sink", "sink", ""));
    assert!(house.connect().until_closed().is_empty());
    let mut kept = house.connect();
    kept.send(Request::get("sink.test", "/ok").bytes());
    assert_eq!(kept.response("GET").text(), "ok\n");
    // Three times as long.
    assert!(house.connect().until_closed().is_empty());
    assert!(house.connect().until_closed().is_empty());
    assert!(house.connect().until_closed().is_empty());
    kept.send(Request::get("sink.test", "/ok").bytes());
    assert_eq!(kept.response("GET").text(), "ok\n");
}

/// The time for a head does not run while the answer to the request before it is made.
#[test]
fn a_head_that_waits_behind_another_is_not_slow() {
    let house = house();
    let mut connection = house.connect();
    let (first, second) =
        (Request::get("wait.test", "/?ms=900").bytes(), Request::get("sink.test", "/ok").bytes());
    connection.send([&first, &second[..20]].concat());
    assert_eq!(connection.response("GET").text(), "waited\n");
    connection.send(&second[20..]);
    assert_eq!(connection.response("GET").text(), "ok\n");
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let house = house();
    for part in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: sink.test\r\nX-Never: en"] {
        let begun = Instant::now();
        let mut connection = house.connect();
        connection.send(part);
        let rest = connection.until_closed();
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408 "), "{}", rest.escape_ascii());
        assert!(begun.elapsed() < BOUND);
    }
}

/// The time for a head is for the whole of it: one that never stops coming, byte by byte, is given up as well.
#[test]
fn a_head_that_trickles_is_given_up() {
    let house = house();
    let begun = Instant::now();
    let mut connection = house.connect();
    connection.send("GET / HTTP/1.1\r\nHost: sink.test\r\nX-Slow: ");
    while connection.try_send("x").is_ok() {
        assert!(begun.elapsed() < BOUND, "a trickling head holds the connection");
        // The pace of the client, well below `header-ms`.
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_silent_connection_is_closed_after_its_request() {
    let house = house();
    let mut connection = house.connect();
    connection.send(Request::get("sink.test", "/ok").bytes());
    assert_eq!(connection.response("GET").text(), "ok\n");
    let begun = Instant::now();
    assert!(connection.until_closed().is_empty());
    assert!(begun.elapsed() < BOUND);
}

/// The time between requests does not run while an answer is made.
#[test]
fn a_slow_answer_is_no_silence() {
    let house = house();
    let mut connection = house.connect();
    connection.send(Request::get("wait.test", "/?ms=900").bytes());
    assert_eq!(connection.response("GET").text(), "waited\n");
}

#[test]
fn a_body_that_stops_coming_is_given_up() {
    let house = house();
    for app in ["sink", "sink-p3"] {
        for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
            let begun = Instant::now();
            let mut connection = house.connect();
            connection.send(format!("POST / HTTP/1.1\r\nHost: {app}.test\r\n{head}\r\n\r\n5\r\nhello\r\n"));
            let answer = connection.response("POST");
            assert_eq!(answer.status(), 408, "{app}: {}", answer.text());
            assert!(connection.until_closed().is_empty());
            assert!(begun.elapsed() < BOUND);
        }
        house.assert_well(app);
    }
}

/// Whoever goes on sending when he was refused is heard for a while, and not for ever.
#[test]
fn a_refused_client_that_never_stops_is_closed_upon() {
    let house = house();
    let begun = Instant::now();
    let mut connection = house.connect();
    connection.send("GET /");
    while connection.try_send([b'x'; 65_536]).is_ok() {
        assert!(begun.elapsed() < BOUND, "a refused client holds the connection");
    }
}

/// Bytes that bring the body no further are a pause, however many they are: a size with leading zeros, say.
#[test]
fn a_chunk_size_that_does_not_end_is_given_up() {
    let house = house();
    for app in ["sink", "sink-p3"] {
        let begun = Instant::now();
        let mut connection = house.connect();
        connection.send(format!("POST / HTTP/1.1\r\nHost: {app}.test\r\nTransfer-Encoding: chunked\r\n\r\n"));
        while connection.try_send("0000").is_ok() {
            assert!(begun.elapsed() < BOUND, "an endless size holds the connection");
            // The pace of the client, well below `body-ms`.
            thread::sleep(Duration::from_millis(20));
        }
        house.assert_well(app);
    }
}

/// A body that comes slowly and steadily is taken, however long it takes in all.
#[test]
fn a_body_that_keeps_coming_is_taken() {
    let house = house();
    let mut connection = house.connect();
    connection.send("POST / HTTP/1.1\r\nHost: sink.test\r\nContent-Length: 12\r\n\r\n");
    for _ in 0..12 {
        connection.send("x");
        // The pace of the client: 600 ms in all, twice `body-ms`, each pause a sixth of it.
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(connection.response("POST").json()["bytes"], 12);
}

/// The guest is at its end when the client does not read: the app's one place is free for the next.
#[test]
fn a_client_that_does_not_read_loses_its_answer() {
    let house = house();
    for app in ["endless", "endless-p3"] {
        let mut connection = house.connect();
        connection.send(Request::get(&format!("{app}.test"), "/").bytes());
        assert_eq!(connection.head().status, 200);
        house.assert_well(app);
        let line = house
            .log()
            .wait_for("the access line", |entry| entry.is_access(app) && entry.text("path") == "/");
        assert_eq!(line.text("cut"), "true", "{line}");
    }
}
