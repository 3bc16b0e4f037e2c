//! Guests that want too much are stopped at their limits, each alone, while a neighbour keeps answering.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use guesthouse_tests::{Entry, House, Manifest, PATIENCE, Request, SharedHouse, component};

static HOUSE: SharedHouse = SharedHouse::new();

fn house() -> Arc<House> {
    HOUSE.get(|| {
        let mut manifest =
            Manifest::new().app("neighbour", "hello-rust", "").app("neighbour-p3", "hello-rust-p3", "");
        for isolation in ["request", "reuse"] {
            let instances = format!("instances.isolation = \"{isolation}\"");
            for guest in ["spin", "spin-p3"] {
                manifest = manifest
                    .app(
                        &format!("{guest}-cpu-{isolation}"),
                        guest,
                        &format!("{instances}\nlimits.cpu-ms = 300"),
                    )
                    .app(
                        &format!("{guest}-wall-{isolation}"),
                        guest,
                        &format!("{instances}\nlimits.request-ms = 300"),
                    );
            }
            for guest in ["wait", "wait-p3"] {
                manifest = manifest.app(
                    &format!("{guest}-{isolation}"),
                    guest,
                    &format!("{instances}\nlimits.request-ms = 300"),
                );
            }
            for guest in ["endless", "endless-p3"] {
                manifest = manifest.app(
                    &format!("{guest}-{isolation}"),
                    guest,
                    &format!("{instances}\nlimits = {{ request-ms = 300, stream-ms = 300 }}"),
                );
            }
            manifest = manifest.app(
                &format!("allocate-{isolation}"),
                "allocate",
                &format!("{instances}\nlimits.memory-mib = 32"),
            );
        }
        manifest
            .app("several", "several-memories", "limits.memory-mib = 48")
            .app("too-small", "hello-rust", "limits.memory-mib = 1")
            .app("patient", "wait-p3", "limits.cpu-ms = 100")
            .app("restless", "version-1", "limits.cpu-ms = 100")
            .app("restless-p3", "version-1-p3", "limits.cpu-ms = 100")
            .app("body", "sink", "limits.body-mib = 1")
            .app("body-p3", "sink-p3", "limits.body-mib = 1")
            .app("body-unread", "never-reads", "limits.body-mib = 1")
    })
}

/// Waits sixty times for longer than a tick of the clock that computing is counted by, and computes next to nothing.
#[test]
fn waiting_again_and_again_is_not_computing() {
    let house = house();
    for app in ["restless", "restless-p3"] {
        let answer = house.get(app, "/?stream=60&pause=10");
        assert_eq!((answer.status(), answer.text().lines().count()), (200, 60), "{app}");
    }
}

fn assert_neighbours_answer(house: &House) {
    for app in ["neighbour", "neighbour-p3"] {
        assert_eq!(house.get(app, "/").status(), 200);
    }
}

/// Asks on a connection of its own while neighbours answer, and gives the status and how long it took.
fn ask_among_neighbours(app: &str, path: &str) -> (u16, Duration) {
    let house = house();
    thread::scope(|scope| {
        let begun = Instant::now();
        let asked = {
            let house = &house;
            scope.spawn(move || (house.get(app, path).status(), begun.elapsed()))
        };
        while !asked.is_finished() {
            assert_neighbours_answer(&house);
        }
        asked.join().expect("an answer")
    })
}

fn assert_stopped(app: &str, path: &str, limit: &str) {
    let house = house();
    let (status, took) = ask_among_neighbours(app, path);
    assert_eq!(status, 504, "{app}");
    assert!(took >= Duration::from_millis(250), "{app}: stopped too early, after {took:?}");
    assert!(took < Duration::from_secs(30), "{app}: stopped too late, after {took:?}");
    let line = house.log().wait_for("the failure", |entry| entry.is_failure(app));
    assert!(line.message().contains(limit), "{limit} in {line}");
    house.assert_well(app);
    let lines = house.log().matching(|entry| entry.is_failure(app));
    assert_eq!(lines.len(), 1, "{}", lines.iter().map(Entry::to_string).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_guest_that_spins_is_stopped_by_its_computing_time() {
    for app in ["spin-cpu-request", "spin-cpu-reuse", "spin-p3-cpu-request", "spin-p3-cpu-reuse"] {
        assert_stopped(app, "/", "cpu-ms");
    }
}

#[test]
fn a_guest_that_spins_is_stopped_by_the_wall_clock() {
    for app in ["spin-wall-request", "spin-wall-reuse", "spin-p3-wall-request", "spin-p3-wall-reuse"] {
        assert_stopped(app, "/", "request-ms");
    }
}

#[test]
fn a_guest_that_waits_is_stopped_by_the_wall_clock() {
    for app in ["wait-request", "wait-reuse", "wait-p3-request", "wait-p3-reuse"] {
        assert_stopped(app, "/", "request-ms");
    }
}

#[test]
fn waiting_is_not_computing() {
    let house = house();
    assert_eq!(house.get("patient", "/?ms=500").text(), "waited\n");
    assert!(house.log().matching(|entry| entry.is_failure("patient")).is_empty());
}

#[test]
fn an_answer_without_an_end_is_cut_by_the_wall_clock() {
    let house = house();
    for app in ["endless-request", "endless-reuse", "endless-p3-request", "endless-p3-reuse"] {
        let mut connection = house.connect();
        connection.send(Request::get(&format!("{app}.test"), "/").bytes());
        let broken = connection.try_response("GET").expect_err("the answer has no end");
        assert!(!broken.body.is_empty());
        let line = house.log().wait_for("the failure", |entry| entry.is_failure(app));
        assert!(line.message().contains("stream-ms"), "{line}");
        house.assert_well(app);
    }
}

#[test]
fn memory_ends_at_its_limit() {
    for app in ["allocate-request", "allocate-reuse"] {
        let answer = house().get(app, "/").text();
        let mib: u64 = answer.strip_suffix(" MiB\n").expect("a number of MiB").parse().expect("a number");
        assert!((30..=32).contains(&mib), "{app}: {mib} MiB of 32");
    }
}

#[test]
fn a_guest_that_cannot_allocate_fails_alone() {
    let house = house();
    for app in ["allocate-request", "allocate-reuse"] {
        let (status, _) = ask_among_neighbours(app, "/vec");
        assert_eq!(status, 500);
        house.log().wait_for("the failure", |entry| entry.is_failure(app));
        house.assert_well(app);
    }
}

/// Three memories get no more than one would.
#[test]
fn the_limit_of_memory_holds_over_all_memories() {
    let mib = house().get("several", "/").status() - 400;
    assert!((45..=48).contains(&mib), "{mib} MiB of 48");
}

#[test]
fn a_guest_that_needs_more_memory_than_its_limit_does_not_start() {
    let house = house();
    assert_eq!(house.get("too-small", "/").status(), 500);
    let line = house.log().wait_for("the failure", |entry| entry.is_failure("too-small"));
    assert!(line.message().contains("memory"), "{line}");
    assert_neighbours_answer(&house);
}

/// More instances than there are cores, all of them computing.
#[test]
fn a_flood_of_spinning_guests_leaves_a_neighbour_its_turn() {
    let house = House::start(
        &Manifest::new()
            .app("spin", "spin", "limits.cpu-ms = 1500")
            .app("spin-p3", "spin-p3", "limits.cpu-ms = 1500\ninstances.concurrency = 1")
            .app("neighbour", "hello-rust", "")
            .app("neighbour-p3", "hello-rust-p3", ""),
    );
    let mut spinning: Vec<_> = (0..8)
        .map(|number| {
            let mut connection = house.connect();
            let app = if number % 2 == 0 { "spin.test" } else { "spin-p3.test" };
            connection.send(Request::get(app, "/").bytes());
            connection
        })
        .collect();
    let spins = |entry: &Entry| entry.is_output("spin", "spinning") || entry.is_output("spin-p3", "spinning");
    house.log().wait_for_count("all spinning", 8, spins);
    let mut answers = 0;
    while house.log().matching(|entry| entry.is_failure("spin") || entry.is_failure("spin-p3")).is_empty() {
        assert_neighbours_answer(&house);
        answers += 1;
    }
    assert!(answers >= 3, "{answers} answers while the others computed");
    for connection in &mut spinning {
        assert_eq!(connection.response("GET").status(), 504);
    }
}

#[test]
fn a_full_queue_turns_requests_away_at_once() {
    let house = House::start(
        &Manifest::new()
            .app("wait", "wait", "limits = { concurrent = 2, queue = 3 }")
            .app("neighbour", "hello-rust", "")
            .app("neighbour-p3", "hello-rust-p3", ""),
    );
    let mut waiting: Vec<_> = (0..5)
        .map(|_| {
            let mut connection = house.connect();
            connection.send(Request::get("wait.test", "/?ms=1500").bytes());
            connection
        })
        .collect();
    house.log().wait_for_count("two at work", 2, |entry| entry.is_output("wait", "waiting"));
    // The others may be on their way to the queue still, and be overtaken by one of these: whichever comes when it
    // is full is turned away.
    let refused = loop {
        let mut connection = house.connect();
        connection.send(Request::get("wait.test", "/?ms=1500").bytes());
        if connection.speaks_within(Duration::from_millis(300)) {
            break connection.response("GET");
        }
        waiting.push(connection);
    };
    assert_eq!(refused.status(), 503);
    let after: u64 = refused.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((1..=60).contains(&after));
    assert_neighbours_answer(&house);
    let mut statuses: Vec<u16> =
        waiting.iter_mut().map(|connection| connection.response("GET").status()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[..5], [200; 5], "two at work and three in the queue");
    assert!(statuses[5..].iter().all(|status| *status == 503), "and no more: {statuses:?}");
    house.assert_well("wait");
}

#[test]
fn a_request_waits_no_longer_than_it_may() {
    let house =
        House::start(&Manifest::new().app("wait", "wait", "limits = { concurrent = 1, queue-ms = 200 }"));
    let mut first = house.connect();
    first.send(Request::get("wait.test", "/?ms=1500").bytes());
    house.log().wait_for("one at work", |entry| entry.is_output("wait", "waiting"));
    let begun = Instant::now();
    let refused = house.get("wait", "/ok");
    assert_eq!(refused.status(), 503);
    assert!(refused.header("retry-after").is_some());
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let line = house.log().wait_for("the reason", |entry| entry.is_failure("wait"));
    assert!(line.message().contains("queue-ms"), "{line}");
    assert_eq!(first.response("GET").status(), 200);
}

#[test]
fn no_queue_means_no_waiting() {
    let house = House::start(&Manifest::new().app("wait", "wait", "limits = { concurrent = 1, queue = 0 }"));
    let mut first = house.connect();
    first.send(Request::get("wait.test", "/?ms=1000").bytes());
    house.log().wait_for("one at work", |entry| entry.is_output("wait", "waiting"));
    assert_eq!(house.get("wait", "/ok").status(), 503);
    assert_eq!(first.response("GET").status(), 200);
    // The place is free a moment after the answer, when the guest has returned.
    let begun = Instant::now();
    while house.get("wait", "/ok").status() == 503 {
        assert!(begun.elapsed() < PATIENCE, "the place is never free again");
    }
    house.assert_well("wait");
}

#[test]
fn the_queue_is_served_in_the_order_of_arrival() {
    let house = House::start(&Manifest::new().app("wait", "wait", "limits.concurrent = 1"));
    let mut waiting = Vec::new();
    for (before, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let mut connection = house.connect();
        connection.send(Request::get("wait.test", &format!("/?ms=1000&name={name}")).bytes());
        house.api().wait_for_app("wait", "it stands in the queue", |app| {
            let serving = &app["serving"];
            serving["in_flight"] == 1 && serving["waiting"] == before
        });
        waiting.push(connection);
    }
    for connection in &mut waiting {
        assert_eq!(connection.response("GET").status(), 200);
    }
    let order: String = house
        .log()
        .matching(|entry| entry.message().starts_with("waiting "))
        .iter()
        .map(|entry| entry.message().trim_start_matches("waiting ").to_owned())
        .collect();
    assert_eq!(order, "abcd");
}

#[test]
fn a_body_of_known_length_that_is_too_large_is_refused_before_it_is_sent() {
    let house = house();
    for app in ["body", "body-p3", "body-unread"] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let mut connection = house.connect();
            connection.send(format!(
                "POST / HTTP/1.1\r\nHost: {app}.test\r\n{expect}Content-Length: 1048577\r\n\r\n"
            ));
            let answer = connection.response("POST");
            assert_eq!(answer.status(), 413, "{app}");
            assert!(answer.head.closes(), "what would follow is the body");
            assert!(connection.until_closed().is_empty());
        }
    }
}

#[test]
fn a_body_of_unknown_length_that_grows_too_large_is_refused() {
    let house = house();
    for app in ["body", "body-p3"] {
        let mut connection = house.connect();
        connection.send(format!("POST / HTTP/1.1\r\nHost: {app}.test\r\nTransfer-Encoding: chunked\r\n\r\n"));
        let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
        for _ in 0..20 {
            if connection.try_send(&chunk).is_err() {
                break;
            }
        }
        let answer = connection.response("POST");
        assert_eq!(answer.status(), 413, "{app}: {}", answer.text());
        assert!(connection.until_closed().is_empty());
        house.assert_well(app);
    }
}

#[test]
fn a_body_of_just_the_limit_is_taken() {
    let house = house();
    let body = vec![b'x'; 1 << 20];
    for app in ["body.test", "body-p3.test"] {
        assert_eq!(house.send(&Request::post(app, "/", body.clone())).json()["bytes"], 1 << 20);
        assert_eq!(house.send(&Request::chunked(app, "/", &[&body])).json()["bytes"], 1 << 20);
    }
}

/// A guest in another guest's place would have its memory: nothing of an instance's memory is there for the next.
#[test]
fn memory_is_given_back() {
    let house = House::start(&Manifest::new().app_of(
        "allocate",
        &component("allocate"),
        "limits = { memory-mib = 64, concurrent = 4 }",
    ));
    let ask = || assert!(house.get("allocate", "/").text().ends_with(" MiB\n"));
    (0..10).for_each(|_| ask());
    let before = house.memory().now_kib;
    (0..30).for_each(|_| ask());
    let after = house.memory().now_kib;
    // Each instance touched 64 MiB: were they kept, they would be 1920 MiB.
    assert!(after < before + 128 * 1024, "{before} KiB grew to {after} KiB");
}
