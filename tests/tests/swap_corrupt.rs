//! Random damage to a component and to a manifest: the house refuses it, or serves what it happens to mean, and never
//! falls over. The damage is the same in every run.

use std::{fs, thread, time::Duration};

use guesthouse_tests::{Connection, Floor, House, Load, Manifest, Random, Request, component};
use serde_json::Value;

const DAMAGES: usize = 1000;

/// The load is to be there, and not to take the processors from the compilations.
const PACE: Duration = Duration::from_millis(10);

/// Two apps take the half each, on a machine that can compile two at a time. A probe sees to it that what gets through
/// still answers.
#[test]
fn a_component_that_is_damaged() {
    let cache = tempfile::tempdir().expect("a folder");
    let keys = "limits.cpu-ms = 300\nprobe = { path = \"/\", within-ms = 1000 }\ngenerations.trial-ms = 0";
    let manifest = Manifest::new()
        .head("[host]\nwatch = false")
        .app("first", "small", keys)
        .app("second", "small", keys)
        .version("other", 1, 0, "");
    let house = House::start_with(&manifest, 1, |command| {
        // What gets through is compiled, and would stay in a cache that others share.
        command.env("GUESTHOUSE_CACHE_DIR", cache.path());
    });
    let other = guesthouse_tests::Client::new("other.test", "/").checked(Floor::new().check()).paced(PACE);
    let load = Load::start(house.address(), &[other.clone(), other.fresh()]);
    let through = thread::scope(|scope| {
        let halves = [("first", 1), ("second", 2)].map(|(app, seed)| {
            let house = &house;
            scope.spawn(move || swap_in_damaged(house, app, seed, DAMAGES / 2))
        });
        halves.map(|half| half.join().expect("the damages")).iter().sum::<usize>()
    });
    println!("{through} of {DAMAGES} damages got through");
    load.stop().assert_nothing_lost();
    let good = fs::read(component("small")).expect("a component");
    for app in ["first", "second"] {
        let reply = house.api().swap_bytes(app, good.clone(), "");
        assert_eq!(reply.status, 200, "{reply}");
        assert_eq!(house.get(app, "/").status(), 200);
    }
    assert!(house.stop().status.success());
}

/// How many damages got through.
fn swap_in_damaged(house: &House, app: &str, seed: u64, count: usize) -> usize {
    let api = house.api();
    let good = fs::read(component("small")).expect("a component");
    let mut random = Random::new(seed);
    let mut through = 0;
    let mut serving = api.serving(app);
    for number in 0..count {
        let damaged = random.damage(&good);
        let empty = damaged.is_empty();
        let reply = api.swap_bytes(app, damaged, "");
        let answer = house.get(app, "/");
        assert_eq!(answer.status(), 200, "after damage {number} of {app}, {reply}: {}", answer.text());
        if reply.status == 200 {
            through += 1;
            serving = reply.to();
        } else if empty {
            reply.refused(400, "bad-request");
        } else {
            assert!(!reply.unfit().is_empty());
        }
        assert_eq!(api.serving(app), serving, "after damage {number} of {app}");
    }
    through
}

#[test]
fn a_manifest_that_is_damaged() {
    let manifest = Manifest::new()
        .head("[host]\nwatch = false")
        .version("shop", 1, 0, "limits = { memory-mib = 64, cpu-ms = 1000 }\nprobe.path = \"/healthz\"")
        .version("other", 2, 1, "routes = [\"other.test\", \"*.other.test/path\"]");
    let house = House::start(&manifest);
    let api = house.api();
    let good = manifest.text();
    let mut random = Random::new(3);
    let mut connection = house.connect();
    let mut accepted = 0;
    for number in 0..DAMAGES {
        house.replace("guesthouse.toml", random.damage(good.as_bytes()));
        let reply = api.reload();
        if reply.status == 200 {
            // It means something, and may even listen elsewhere.
            accepted += 1;
            house.rewrite(&manifest);
            let back = api.reload();
            assert_eq!(back.status, 200, "after damage {number}: {back}");
            connection = Connection::tcp(first_listener(&api.status()));
        } else {
            assert!(!reply.unfit().is_empty());
        }
        for (app, code) in [("shop", 1), ("other", 2)] {
            connection.send(Request::get(&format!("{app}.test"), "/").bytes());
            let version = connection.response("GET").version();
            assert_eq!(version.code, code, "after damage {number}: {version:?}");
        }
    }
    println!("{accepted} of {DAMAGES} damaged manifests meant something");
    assert!(house.stop().status.success());
}

fn first_listener(status: &Value) -> std::net::SocketAddr {
    let listeners = status["listeners"].as_array().expect("a list");
    let tcp = listeners.iter().find_map(|url| url.as_str()?.strip_prefix("http://")?.parse().ok());
    tcp.unwrap_or_else(|| panic!("no TCP listener: {status:#}"))
}
