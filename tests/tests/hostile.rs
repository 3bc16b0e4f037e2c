//! A hostile app harms only itself: while it attacks, its neighbours are answered and it gets the right statuses, and
//! afterwards nothing of the attack is left. What it costs the neighbours is measured by
//! `cargo run --release -p guesthouse-tests --bin hostile`.

use std::time::Instant;

use guesthouse_tests::{Attack, Held, House, Manifest, PATIENCE, Silent, Strength};
use serde_json::Value;

const NEIGHBOURS: [(&str, &str); 2] = [("reused", "reuse"), ("fresh", "request")];

/// What differs between two equal moments: memory in KiB, threads, descriptors. Memory is that which the allocator keeps of
/// what was given back to it, and up to 8 MiB that each of an attack's instances leaves in its place for the next one there
/// (`host/src/engine/config.rs`), of which the attacks that write so much have 16 at once, and as many that are being put away; it
/// is far below what the attacks have taken. Threads and descriptors are far below one for each request of an attack.
const NOISE: Held = Held { memory_kib: (64 + 32 * 8) * 1024, threads: 4, descriptors: 16 };

/// Answers of the hostile app after which the attack has shown itself: more than clients ask at once.
const ANSWERS: u64 = 40;

fn harmless(name: &str) {
    harmless_after(name, ANSWERS);
}

fn harmless_after(name: &str, answers: u64) {
    let (attack, server) = (Attack::named(name), Silent::start());
    let manifest = NEIGHBOURS.iter().fold(Manifest::new(), |manifest, (name, isolation)| {
        manifest.app(name, "hello-rust", &format!("instances.isolation = {isolation:?}"))
    });
    let house = House::start_unlogged(&attack.app(manifest, Strength::Short, &server));
    let before = answered(&house);

    let attacking = attack.start(&house, &server);
    let deadline = Instant::now() + PATIENCE;
    // On a busy machine, the answer that shows what the app does may take longer than that of a limit.
    let unsafe_for = || attacking.outcomes().unsafe_for(attack);
    while attacking.outcomes().count() < answers || unsafe_for().is_some() {
        answered(&house);
        let outcomes = attacking.outcomes();
        assert!(
            Instant::now() < deadline,
            "{answers} answers are not there, or {:?}: {outcomes}",
            unsafe_for()
        );
    }
    let outcomes = attacking.stop();
    println!("{outcomes}");
    assert_eq!(outcomes.unsafe_for(attack), None, "{outcomes}");

    let status = house.api().wait_for_status("the end of all requests", |status| {
        let idle = |app: &Value| app["serving"]["in_flight"] == 0 && app["serving"]["waiting"] == 0;
        status["apps"].as_array().is_some_and(|apps| apps.iter().all(idle))
    });
    for app in status["apps"].as_array().expect("apps") {
        let neighbour = NEIGHBOURS.iter().any(|(name, _)| app["name"] == *name);
        assert!(!neighbour || app["serving"]["failures"] == 0, "{app:#}");
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let held = answered(&house);
        if held.is_within(before, NOISE) {
            return;
        }
        assert!(Instant::now() < deadline, "the house holds {held}, and held {before} before");
    }
}

/// What the house holds when it has answered for each neighbour.
fn answered(house: &House) -> Held {
    for (neighbour, _) in NEIGHBOURS {
        assert_eq!(house.get(neighbour, "/").status(), 200, "{neighbour}");
    }
    house.held().expect("a house")
}

#[test]
fn computing() {
    harmless("spin");
    harmless("spin-reuse");
    harmless("spin-p3");
}

#[test]
fn computing_before_the_first_request() {
    harmless("starts-by-spinning");
    harmless_after("initialised", 2);
}

#[test]
fn allocating() {
    harmless("allocate");
    harmless("allocate-vec");
}

#[test]
fn many_memories() {
    harmless("many-memories");
}

#[test]
fn recursion() {
    harmless("recurse");
    harmless("recurse-p3");
}

#[test]
fn traps() {
    harmless("trap");
    harmless("trap-p3");
}

#[test]
fn endless_output() {
    harmless("chatter");
    harmless("chatter-p3");
}

#[test]
fn endless_bodies() {
    harmless("endless");
    harmless("endless-p3");
}

#[test]
fn bodies_that_are_not_read() {
    harmless("wait");
    harmless("never-reads");
}

#[test]
fn a_thousand_waiting() {
    harmless_after("thousand-wait", 1000);
}

#[test]
fn a_crowd_beyond_the_places_of_its_address() {
    harmless_after("crowd", 5000);
}

#[test]
fn outgoing_connections() {
    harmless("dials");
    harmless("fetches");
}

#[test]
fn handles() {
    harmless("hoards");
    harmless("hoards-p3");
}

#[test]
fn computing_after_the_answer() {
    harmless("late");
    harmless("late-reuse");
    harmless("onward-p3");
}
