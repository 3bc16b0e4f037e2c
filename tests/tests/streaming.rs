//! Bodies flow through without being kept, both ways, and an instance is free as soon as its client has left.

use std::{sync::Arc, thread};

use guesthouse_tests::{Connection, House, Manifest, Memory, Request, SharedHouse};
use serde_json::json;

static HOUSE: SharedHouse = SharedHouse::new();

/// One place, and limits that are far beyond the test's patience: what frees the place is not a limit.
const ONE_PLACE: &str = "limits = { concurrent = 1, queue = 16, queue-ms = 600000, request-ms = 600000, \
                         cpu-ms = 600000, stream-ms = 600000 }";

fn house() -> Arc<House> {
    HOUSE.get(|| {
        let mut manifest = Manifest::new();
        for guest in ["echo", "echo-p3"] {
            manifest = manifest.app(guest, guest, "limits.body-mib = 256");
        }
        for guest in ["endless", "endless-p3", "wait", "wait-p3", "spin", "spin-p3", "sink", "sink-p3"] {
            manifest = manifest.app(guest, guest, ONE_PLACE);
            manifest = manifest.app(
                &format!("{guest}-reused"),
                guest,
                &format!("{ONE_PLACE}\ninstances.isolation = \"reuse\""),
            );
        }
        manifest
    })
}

const MIB: usize = 1 << 20;

/// What the guest `stream` sends, and what the tests send to `sink`.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index % 251) as u8).collect()
}

/// FNV-1a, as the guest `sink` computes it.
fn hash(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

#[test]
fn ten_megabytes_up_arrive_whole() {
    let house = House::start(&Manifest::new().app("sink", "sink", "").app("sink-p3", "sink-p3", ""));
    let body = pattern(10_000_000);
    let expected = json!({ "bytes": body.len(), "hash": hash(&body), "trailers": [], "error": null });
    for app in ["sink.test", "sink-p3.test"] {
        assert_eq!(house.send(&Request::post(app, "/", body.clone())).json(), expected, "{app}");
        let chunks: Vec<&[u8]> = body.chunks(77_777).collect();
        assert_eq!(house.send(&Request::chunked(app, "/", &chunks)).json(), expected, "{app}, chunked");
    }
}

#[test]
fn ten_megabytes_down_arrive_whole() {
    let house = House::start(&Manifest::new().app("stream", "stream", "").app("stream-p3", "stream-p3", ""));
    let body = pattern(10_000_000);
    for app in ["stream", "stream-p3"] {
        for length in ["", "&length=1"] {
            let answer = house.get(app, &format!("/?bytes=10000000{length}"));
            assert!(answer.body == body, "{app}{length}: other bytes ({})", answer.body.len());
            assert_eq!(answer.header("content-length"), (!length.is_empty()).then_some("10000000"));
        }
    }
}

/// What 64 MiB may add to the host's memory at any moment, where a smaller body has been through before.
const FLAT_KIB: u64 = 12 * 1024;

fn assert_flat(house: &House, what: &str, transfer: impl Fn(usize)) {
    transfer(MIB);
    Memory::reset_peak(house.pid());
    let before = house.memory().now_kib;
    transfer(64 * MIB);
    let peak = house.memory().peak_kib;
    assert!(peak < before + FLAT_KIB, "{what}: {before} KiB grew to {peak} KiB");
}

#[test]
fn memory_is_flat_while_bodies_pass_through() {
    let house = House::start(
        &Manifest::new()
            .app("sink", "sink", "limits.body-mib = 256")
            .app("sink-p3", "sink-p3", "limits.body-mib = 256")
            .app("stream", "stream", "")
            .app("stream-p3", "stream-p3", "")
            .app("echo-p3", "echo-p3", "limits.body-mib = 256"),
    );
    for app in ["sink.test", "sink-p3.test"] {
        assert_flat(&house, app, |bytes| {
            let mut connection = house.connect();
            connection.send(format!("POST / HTTP/1.1\r\nHost: {app}\r\nContent-Length: {bytes}\r\n\r\n"));
            let piece = vec![7; 64 * 1024];
            (0..bytes / piece.len()).for_each(|_| connection.send(&piece));
            assert_eq!(connection.response("POST").json()["bytes"], bytes);
        });
    }
    for app in ["stream.test", "stream-p3.test"] {
        assert_flat(&house, app, |bytes| {
            let mut connection = house.connect();
            connection.send(Request::get(app, &format!("/?bytes={bytes}&length=1")).bytes());
            assert_eq!(connection.head().status, 200);
            connection.skip(bytes as u64);
        });
    }
    for path in ["/", "/hand-over"] {
        assert_flat(&house, path, |bytes| {
            let mut connection = house.connect();
            connection.send(format!(
                "POST {path} HTTP/1.1\r\nHost: echo-p3.test\r\nContent-Length: {bytes}\r\n\r\n"
            ));
            let mut sender = connection.second_handle();
            thread::scope(|scope| {
                scope.spawn(move || {
                    let piece = vec![7; 64 * 1024];
                    (0..bytes / piece.len()).for_each(|_| sender.send(&piece));
                });
                assert_eq!(connection.head().status, 200);
                // The chunks of the answer are at least its bytes.
                connection.skip(bytes as u64);
            });
        });
    }
}

/// A piece comes back before the next is sent: nothing waits for a whole body, nor for a full buffer.
#[test]
fn a_conversation_within_one_request() {
    let house = house();
    for (app, path) in [("echo", "/"), ("echo-p3", "/"), ("echo-p3", "/hand-over")] {
        let mut connection = house.connect();
        connection
            .send(format!("POST {path} HTTP/1.1\r\nHost: {app}.test\r\nTransfer-Encoding: chunked\r\n\r\n"));
        let mut head = None;
        for number in 0..20 {
            let piece = format!("piece {number:02}");
            connection.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
            head.get_or_insert_with(|| connection.head());
            // One chunk: its size, the piece, two line ends.
            connection.skip(1 + 2 + piece.len() as u64 + 2);
        }
        connection.send("0\r\n\r\n");
        let rest = connection.rest(head.expect("a head"), "POST").expect("the end of the answer");
        assert!(rest.body.is_empty());
    }
}

/// The next request has the app's one place although the limits of the one before are far away.
fn assert_freed(app: &str) {
    assert_eq!(house().get(app, "/ok").text(), "ok\n");
}

fn begin(app: &str, sign: &str) -> Connection {
    let house = house();
    let before = house.log().matching(|entry| entry.is_output(app, sign)).len();
    let mut connection = house.connect();
    connection.send(Request::get(&format!("{app}.test"), "/").bytes());
    house.log().wait_for_count("the guest at work", before + 1, |entry| entry.is_output(app, sign));
    connection
}

#[test]
fn a_client_that_leaves_an_endless_answer_frees_the_instance() {
    let house = house();
    for app in ["endless", "endless-reused", "endless-p3", "endless-p3-reused"] {
        for _ in 0..2 {
            let mut connection = begin(app, "streaming");
            assert_eq!(connection.head().status, 200);
            connection.skip(100_000);
            drop(connection);
            assert_freed(app);
        }
        // Nobody wants the body of an answer to HEAD, however long it is.
        let mut connection = house.connect();
        connection.send(format!("HEAD / HTTP/1.1\r\nHost: {app}.test\r\n\r\n"));
        assert_eq!(connection.head().status, 200);
        assert_freed(app);
    }
}

#[test]
fn a_client_that_leaves_a_waiting_guest_frees_the_instance() {
    let _house = house();
    for app in ["wait", "wait-reused", "wait-p3", "wait-p3-reused"] {
        for _ in 0..2 {
            drop(begin(app, "waiting"));
            assert_freed(app);
        }
    }
}

#[test]
fn a_client_that_leaves_a_spinning_guest_frees_the_instance() {
    let _house = house();
    for app in ["spin", "spin-reused", "spin-p3", "spin-p3-reused"] {
        for _ in 0..2 {
            drop(begin(app, "spinning"));
            assert_freed(app);
        }
    }
}

#[test]
fn a_client_that_leaves_its_own_body_frees_the_instance() {
    let house = house();
    for app in ["sink", "sink-reused", "sink-p3", "sink-p3-reused"] {
        for (count, head) in [(1, "Content-Length: 1000000"), (2, "Transfer-Encoding: chunked")] {
            let mut connection = house.connect();
            connection.send(format!("POST / HTTP/1.1\r\nHost: {app}.test\r\n{head}\r\n\r\n5\r\nhello\r\n"));
            house.log().wait_for_count("the guest at work", count, |entry| entry.is_output(app, "reading"));
            drop(connection);
            assert_freed(app);
        }
    }
}

/// A client that leaves the queue gives its place in it to others.
#[test]
fn a_client_that_leaves_the_queue_is_not_served() {
    let house = House::start(&Manifest::new().app(
        "wait",
        "wait",
        "limits = { concurrent = 1, queue = 1, request-ms = 600000 }",
    ));
    let mut first = house.connect();
    first.send(Request::get("wait.test", "/?name=first").bytes());
    house.log().wait_for("the first in the guest", |entry| entry.is_output("wait", "waiting first"));
    let mut queued = house.connect();
    queued.send(Request::get("wait.test", "/?name=queued").bytes());
    // Whoever comes now is turned away, once the queue is known to be full.
    while house.get("wait", "/ok").status() != 503 {}
    drop(queued);
    // The place in the queue is free again, then the place in the guest.
    let mut next = house.connect();
    next.send(Request::get("wait.test", "/ok").bytes());
    drop(first);
    let answer = next.response("GET");
    if answer.status() == 503 {
        // It came before the house knew that the queued one had left.
        house.assert_well("wait");
    } else {
        assert_eq!(answer.text(), "ok\n");
    }
    assert!(house.log().matching(|entry| entry.is_output("wait", "waiting queued")).is_empty());
}
