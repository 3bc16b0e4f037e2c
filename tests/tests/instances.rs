//! How instances live: a fresh one for each request, or the same one again, for both versions of WASI.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    thread,
};

use guesthouse_tests::{House, Manifest, Request, SharedHouse};
use serde_json::Value;

static HOUSE: SharedHouse = SharedHouse::new();

fn house() -> Arc<House> {
    HOUSE.get(|| {
        Manifest::new()
            .app("fresh", "counter", "")
            .app("again", "counter", "instances.isolation = \"reuse\"")
            .app("thrice", "counter", "instances = { isolation = \"reuse\", reuse-max = 3 }")
            .app("brief", "counter", "instances = { isolation = \"reuse\", idle-ms = 50 }")
            .app("many", "counter", "instances.isolation = \"reuse\"")
            .app("many-p3", "counter-p3", "")
            .app("fresh-p3", "counter-p3", "instances.isolation = \"request\"")
            .app("again-p3", "counter-p3", "")
            .app("pair-p3", "counter-p3", "instances = { concurrency = 2 }\nlimits.concurrent = 16")
            .app("alone-p3", "counter-p3", "instances = { concurrency = 1 }")
            .app(
                "routes",
                "counter",
                "routes = [\"one.test\", \"two.test/shop\"]\ninstances.isolation = \"reuse\"",
            )
    })
}

fn counts(app: &str, requests: usize) -> Vec<Value> {
    let house = house();
    (0..requests).map(|_| house.get(app, "/").json()).collect()
}

fn instances(answers: &[Value]) -> HashSet<String> {
    answers.iter().map(|answer| answer["instance"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_0_2_guest_has_a_fresh_instance_for_each_request() {
    let answers = counts("fresh", 5);
    assert!(answers.iter().all(|answer| answer["count"] == 1), "{answers:?}");
    assert_eq!(instances(&answers).len(), 5);
}

#[test]
fn a_0_3_guest_may_have_a_fresh_instance_for_each_request() {
    let answers = counts("fresh-p3", 5);
    assert!(answers.iter().all(|answer| answer["count"] == 1), "{answers:?}");
    assert_eq!(instances(&answers).len(), 5);
}

/// The counts that each instance has told, in their order. A request may find the instance of the one before it not yet
/// free, and have another: so there may be a few.
fn by_instance(answers: &[Value]) -> Vec<Vec<u64>> {
    let mut counts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for answer in answers {
        let instance = answer["instance"].as_str().expect("a name").to_owned();
        counts.entry(instance).or_default().push(answer["count"].as_u64().expect("a count"));
    }
    counts.into_values().collect()
}

#[test]
fn an_instance_is_used_again() {
    for app in ["again", "again-p3"] {
        let counts = by_instance(&counts(app, 30));
        assert!(counts.len() <= 10, "{app}: {counts:?}");
        for own in &counts {
            assert!(own.iter().copied().eq(1..=own.len() as u64), "{app} keeps its globals: {counts:?}");
        }
    }
}

#[test]
fn an_instance_is_let_go_after_reuse_max_requests() {
    let counts = by_instance(&counts("thrice", 30));
    assert!(counts.iter().all(|own| own.len() <= 3), "{counts:?}");
    assert!(counts.iter().filter(|own| **own == [1, 2, 3]).count() >= 5, "{counts:?}");
}

/// Asks until none of the instances is left, which happens some time after `idle-ms` without a request.
#[test]
fn an_instance_is_let_go_when_idle() {
    // Held for all of the test: another house would have other instances.
    let _house = house();
    let first = instances(&counts("brief", 5));
    let mut pause_ms = 50;
    loop {
        // A request of another app that takes its time is the clock here.
        house().get("fresh", &format!("/?ms={pause_ms}"));
        if instances(&counts("brief", 5)).is_disjoint(&first) {
            return;
        }
        pause_ms *= 2;
        assert!(pause_ms < 10_000, "the idle instances live on");
    }
}

#[test]
fn a_0_2_instance_serves_one_request_at_a_time() {
    let house = house();
    let answers = at_once(&house, "many", 6);
    assert_eq!(instances(&answers).len(), 6, "all were served at once, each in an instance of its own");
}

#[test]
fn a_0_3_instance_serves_several_requests_at_once() {
    let house = house();
    // Instances are spread over the cores before they are shared.
    let requests = 2 * guesthouse_tests::cores();
    let answers = at_once(&house, "many-p3", requests);
    let most = answers.iter().map(|answer| answer["inside"].as_u64().expect("a number")).max();
    assert!(most > Some(1), "{answers:?}");
    assert!(instances(&answers).len() < requests, "{answers:?}");
}

#[test]
fn a_0_3_instance_serves_no_more_than_its_concurrency() {
    let house = house();
    for (app, bound) in [("pair-p3", 2), ("alone-p3", 1)] {
        let answers = at_once(&house, app, 8);
        for answer in &answers {
            assert!(answer["inside"].as_u64().expect("a number") <= bound, "{app}: {answers:?}");
        }
        assert!(instances(&answers).len() >= 8 / bound as usize, "{app}: {answers:?}");
    }
}

/// Answers of requests that were all in the guest at the same time.
fn at_once(house: &House, app: &str, requests: usize) -> Vec<Value> {
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..requests).map(|_| scope.spawn(|| house.get(app, "/?ms=500").json())).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    })
}

/// Instances belong to the app, not to the route by which it is reached.
#[test]
fn routes_with_the_same_settings_share_instances() {
    let house = house();
    let ask = |host: &str, path: &str| house.send(&Request::get(host, path)).json();
    let (one, two): (Vec<_>, Vec<_>) =
        (0..10).map(|_| (ask("one.test", "/"), ask("two.test", "/shop/"))).unzip();
    assert!(!instances(&one).is_disjoint(&instances(&two)), "{one:?} and {two:?}");
}

/// Another instance would only take cores from those that compute, so a request stands in line for them; but not as long as
/// they may compute.
#[test]
fn a_request_behind_computing_ones_has_its_turn() {
    let app = "instances.isolation = \"reuse\"\nlimits.cpu-ms = 4000";
    let house = House::start(&Manifest::new().app("spin", "spin", app));
    let cores = guesthouse_tests::cores();
    let mut spinning: Vec<_> = (0..cores)
        .map(|_| {
            let mut connection = house.connect();
            connection.send(Request::get("spin.test", "/").bytes());
            connection
        })
        .collect();
    house.log().wait_for_count("all computing", cores, |entry| entry.is_output("spin", "spinning"));
    house.assert_well("spin");
    assert!(house.log().matching(|entry| entry.is_failure("spin")).is_empty(), "they compute still");
    for connection in &mut spinning {
        assert_eq!(connection.response("GET").status(), 504);
    }
}

/// Whoever waits for something outside leaves its core to others: each has an instance of its own, however many there are.
#[test]
fn guests_that_wait_are_served_at_once() {
    let app = "instances.isolation = \"reuse\"";
    let house = House::start(&Manifest::new().app("wait", "wait", app));
    let mut waiting: Vec<_> = (0..12)
        .map(|_| {
            let mut connection = house.connect();
            connection.send(Request::get("wait.test", "/?ms=2000").bytes());
            connection
        })
        .collect();
    house.log().wait_for_count("all in their guests", 12, |entry| entry.is_output("wait", "waiting"));
    assert!(
        house.log().matching(|entry| entry.is_access("wait")).is_empty(),
        "none had to wait for another's end"
    );
    for connection in &mut waiting {
        assert_eq!(connection.response("GET").text(), "waited\n");
    }
}
