//! Guests that fail: each fails its own request only, with the right status and one log line that names the app, its
//! generation and the cause, while a neighbour keeps answering.

use std::sync::Arc;

use guesthouse_tests::{Broken, Entry, House, Manifest, Request, Response, SharedHouse};

static HOUSE: SharedHouse = SharedHouse::new();

/// Guests of which each request fails, and with the same fate in a fresh instance and in one that is used again.
const FAILING: &[&str] = &[
    "trap",
    "panic",
    "answer-nothing",
    "answer-twice",
    "refuse",
    "break-off",
    "short",
    "long",
    "trap-p3",
    "refuse-p3",
];

fn house() -> Arc<House> {
    HOUSE.get(|| {
        let mut manifest = Manifest::new().app("neighbour", "counter", "");
        for guest in FAILING {
            manifest = manifest.app(guest, guest, "").app(
                &format!("{guest}-reused"),
                guest,
                "instances.isolation = \"reuse\"",
            );
        }
        manifest
            .app("break-off-length", "break-off", "")
            .app("break-off-p3", "break-off-p3", "")
            .app("late", "late", "limits.cpu-ms = 300")
            .app("late-reused", "late", "instances.isolation = \"reuse\"\nlimits.cpu-ms = 300")
            .app("late-p3", "late-p3", "")
            .app("together", "trap-p3", "instances.concurrency = 8")
    })
}

/// A failed request of this app, the house that it happened in being well afterwards: its one log line.
fn failure(house: &House, app: &str, requests: usize) -> Entry {
    let failures = house.log().wait_for_count("the failure", requests, |entry| entry.is_failure(app));
    house.assert_well(app);
    let accesses = |entry: &Entry| entry.is_access(app);
    house.log().wait_for_count("the access lines", requests + 1, accesses);
    let after = house.log().matching(|entry| entry.is_failure(app));
    assert_eq!(after.len(), requests, "one line for each failure: {}", shown(&after));
    let line = failures[requests - 1].clone();
    assert_eq!(line.text("app"), app);
    assert_eq!(line.text("generation"), "1");
    assert!(line.field("request").is_u64(), "the number of the request in {line}");
    assert!(!line.text("cause").is_empty(), "a cause in {line}");
    line
}

fn shown(entries: &[Entry]) -> String {
    entries.iter().map(Entry::to_string).collect::<Vec<_>>().join("\n")
}

/// Both ways to live: the failure is the same, and the app is well again at once.
fn assert_fails(guest: &str, status: u16, cause: &str) {
    let house = house();
    for app in [guest.to_owned(), format!("{guest}-reused")] {
        for request in 1..=2 {
            let answer = house.send(&Request::post(&format!("{app}.test"), "/", "a body"));
            assert_eq!(answer.status(), status, "{}", answer.text());
            assert_tells_nothing(&answer);
            if request == 2 {
                let line = failure(&house, &app, 2);
                assert!(line.message().contains(cause), "{cause:?} in {line}");
            } else {
                house.log().wait_for("the failure", |entry| entry.is_failure(&app));
            }
            house.assert_well("neighbour");
        }
    }
}

/// What went wrong inside a guest is not the client's to know.
fn assert_tells_nothing(answer: &Response) {
    let text = answer.text().to_lowercase();
    for word in ["wasm", "unreachable", "backtrace", "on purpose", "generation", "instance"] {
        assert!(!text.contains(word), "{word:?} in the answer to the client: {text}");
    }
}

#[test]
fn a_guest_that_traps() {
    assert_fails("trap", 500, "unreachable");
}

#[test]
fn a_guest_that_panics() {
    assert_fails("panic", 500, "guest trapped");
    let house = house();
    assert_eq!(house.get("panic", "/").status(), 500);
    house.log().wait_for("the message of the panic", |entry| {
        entry.text("app") == "panic" && entry.message().contains("this guest panics on purpose")
    });
}

#[test]
fn a_guest_that_does_not_answer() {
    assert_fails("answer-nothing", 500, "without an answer");
}

#[test]
fn a_guest_that_gives_an_error_for_an_answer() {
    assert_fails("refuse", 500, "this guest refuses on purpose");
}

#[test]
fn a_guest_that_traps_for_wasi_0_3() {
    assert_fails("trap-p3", 500, "unreachable");
}

#[test]
fn a_guest_that_gives_an_error_for_an_answer_for_wasi_0_3() {
    assert_fails("refuse-p3", 500, "this guest refuses on purpose");
}

/// The first answer counts: its client has it already. What comes after it is a fault of the guest all the same.
#[test]
fn a_guest_that_answers_twice() {
    let house = house();
    for app in ["answer-twice", "answer-twice-reused"] {
        let answer = house.get(app, "/");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "the first answer\n"));
        failure(&house, app, 1);
        house.assert_well("neighbour");
    }
}

fn assert_breaks_off(app: &str, path: &str) -> Box<Broken> {
    let house = house();
    let mut connection = house.connect();
    connection.send(Request::get(&format!("{app}.test"), path).bytes());
    let broken = connection.try_response("GET").expect_err("the answer is not whole");
    // A guest that is quick to fail may be known to have failed before any of its answer was sent.
    assert!(broken.head.as_ref().is_none_or(|head| head.status == 200), "{broken}");
    assert!(b"only this.".starts_with(&broken.body), "a part of the body: {broken}");
    assert!(connection.until_closed().is_empty(), "nothing after a broken answer");
    house.assert_well("neighbour");
    broken
}

#[test]
fn a_guest_that_breaks_its_answer_off() {
    let house = house();
    for app in ["break-off", "break-off-reused"] {
        assert_breaks_off(app, "/");
        let line = failure(&house, app, 1);
        assert!(line.message().contains("unreachable"), "{line}");
    }
}

#[test]
fn a_guest_that_breaks_an_answer_of_known_length_off() {
    let broken = assert_breaks_off("break-off-length", "/?length=1");
    assert!(broken.head.is_none_or(|head| head.header("content-length") == Some("100")));
}

#[test]
fn a_guest_that_breaks_its_answer_off_for_wasi_0_3() {
    let house = house();
    assert_breaks_off("break-off-p3", "/");
    assert_breaks_off("break-off-p3", "/error");
    let line = failure(&house, "break-off-p3", 2);
    assert!(!line.message().is_empty());
}

#[test]
fn a_guest_that_sends_less_than_it_announced() {
    let house = house();
    for app in ["short", "short-reused"] {
        assert_breaks_off(app, "/");
        failure(&house, app, 1);
    }
}

/// The client must get no more than was announced, because it would take the rest for another answer.
#[test]
fn a_guest_that_sends_more_than_it_announced() {
    let house = house();
    for app in ["long", "long-reused"] {
        let mut connection = house.connect();
        connection.send(Request::get(&format!("{app}.test"), "/").bytes());
        match connection.try_response("GET") {
            Ok(answer) => assert_eq!(answer.text(), "0123456789"),
            Err(broken) => assert!(broken.body.len() <= 10, "{broken}"),
        }
        connection.try_send(Request::get("neighbour.test", "/ok").bytes()).ok();
        if let Ok(answer) = connection.try_response("GET") {
            assert_eq!(answer.text(), "ok\n", "the answer to the next request is its own");
        }
        house.assert_well(app);
        house.assert_well("neighbour");
    }
}

#[test]
fn a_guest_that_goes_on_after_its_answer() {
    let house = house();
    for app in ["late", "late-reused", "late-p3"] {
        let answer = house.get(app, "/?then=wait&ms=50");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "answered\n"));
        house.log().wait_for("the end of the guest's work", |entry| entry.is_output(app, "finished late"));
        house.assert_well(app);
    }
}

#[test]
fn a_guest_that_traps_after_its_answer() {
    let house = house();
    for app in ["late", "late-reused", "late-p3"] {
        let answer = house.get(app, "/?then=trap");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "answered\n"), "{app}");
        house.log().wait_for("the failure", |entry| {
            entry.is_failure(app) && entry.message().contains("unreachable")
        });
        house.assert_well(app);
        house.assert_well("neighbour");
    }
}

#[test]
fn a_guest_that_spins_after_its_answer() {
    let house = house();
    for app in ["late", "late-reused"] {
        let answer = house.get(app, "/?then=spin");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "answered\n"), "{app}");
        house
            .log()
            .wait_for("the failure", |entry| entry.is_failure(app) && entry.message().contains("cpu-ms"));
        house.assert_well(app);
        house.assert_well("neighbour");
    }
}

/// One instance serves several requests of WASI 0.3 at once. A trap ends it with all that are in it; each of them has
/// its answer at once, and the next request finds the app well.
#[test]
fn a_trap_among_requests_in_one_instance() {
    let house = house();
    let mut waiting: Vec<_> = (0..6)
        .map(|_| {
            let mut connection = house.connect();
            connection.send(Request::get("together.test", "/wait?ms=3000").bytes());
            connection
        })
        .collect();
    house.log().wait_for_count("all in the guest", 6, |entry| entry.is_output("together", "waiting"));
    let mut trapped = 0;
    for _ in 0..4 {
        trapped += usize::from(house.get("together", "/").status() == 500);
    }
    assert_eq!(trapped, 4);
    for connection in &mut waiting {
        let status = connection.response("GET").status();
        assert!(status == 200 || status == 500, "answered or lost, not left waiting: {status}");
    }
    house.assert_well("together");
    house.assert_well("neighbour");
}
