//! No byte of one request's memory, tables or globals is seen by the next, though instances take each other's places.

use std::{collections::BTreeMap, thread};

use guesthouse_tests::{House, Manifest, Request};

/// What the guest `marks` answers where all is as its component says; what is otherwise is added to it.
const AS_NEW: u16 = 400;
const MEMORY: u16 = 1;
const MEMORY_SIZE: u16 = 2;
const TABLE: u16 = 4;
const TABLE_SIZE: u16 = 8;
const GLOBALS: u16 = 16;

/// The methods by which the guest is told how much to mark: a few pages, many that lie apart, all.
const METHODS: [&str; 3] = ["GET", "POST", "PUT"];

#[test]
fn a_fresh_instance_has_nothing_of_those_before_it() {
    // Two apps of one component share its image, others take the same places with images of their own.
    let house = House::start(
        &Manifest::new()
            .app("marks", "marks", "")
            .app("marks-too", "marks", "settings = { other = true }")
            .app("hello", "hello-rust", "")
            .app("several", "several-memories", "limits.memory-mib = 8"),
    );
    let ask = |client: usize| {
        let mut connection = house.connect();
        let mut found = BTreeMap::new();
        for round in 0..40 {
            let app = if (client + round).is_multiple_of(3) { "marks-too.test" } else { "marks.test" };
            let method = METHODS[(client / 2 + round) % METHODS.len()];
            connection.send(Request::new(method, app, "/").bytes());
            *found.entry(connection.response(method).status()).or_insert(0) += 1;
            if round % 8 == client {
                house.get(["hello", "several"][client % 2], "/");
            }
        }
        found
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|client| scope.spawn(move || ask(client))).collect();
        for client in clients {
            assert_eq!(client.join().expect("no panic"), BTreeMap::from([(AS_NEW, 40)]));
        }
    });
}

/// The guest finds its own marks where it should: what the test above relies on.
#[test]
fn a_reused_instance_keeps_what_it_wrote() {
    // One place: an instance is free before its place is.
    let keys = "instances.isolation = \"reuse\"\nlimits.concurrent = 1";
    let house = House::start(&Manifest::new().app("marks", "marks", keys));
    let ask = |method| house.send(&Request::new(method, "marks.test", "/")).status();
    assert_eq!(ask("GET"), AS_NEW);
    assert_eq!(ask("PUT"), AS_NEW + MEMORY + TABLE + GLOBALS);
    assert_eq!(ask("GET"), AS_NEW + MEMORY + MEMORY_SIZE + TABLE + TABLE_SIZE + GLOBALS);
}
