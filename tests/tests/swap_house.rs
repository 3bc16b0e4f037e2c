//! Apps, routes and listeners come and go while the house runs: what changed is touched, and nothing else.

use std::net::SocketAddr;

use guesthouse_tests::{Connection, Floor, House, Load, Manifest, Request};
use serde_json::{Value, json};

/// `listen` is the list of listeners, `apps` what stands after the app that stays.
fn manifest(listen: &str, change: impl FnOnce(Manifest) -> Manifest) -> Manifest {
    let head = format!("[listen]\nhttp = [{listen}]\n[host]\nwatch = false");
    change(Manifest::new().head(&head).version("stays", 1, 0, ""))
}

const ONE: &str = "\"127.0.0.1:0\"";

/// The changes of a `Reloaded` as `app action`, sorted.
fn changes(reloaded: &Value) -> Vec<String> {
    let changes = reloaded["changes"].as_array().expect("a list").iter();
    let mut changes: Vec<_> = changes
        .filter(|change| change["action"] != "unchanged")
        .map(|change| format!("{} {}", change["app"], change["action"]).replace('"', ""))
        .collect();
    changes.sort();
    changes
}

fn address(url: &Value) -> SocketAddr {
    let url = url.as_str().expect("a URL");
    url.trim_start_matches("http://").parse().unwrap_or_else(|_| panic!("an address in {url}"))
}

/// Puts the manifest in place and has it read.
fn reload(house: &House, manifest: &Manifest) -> Value {
    house.rewrite(manifest);
    house.api().reload().done()
}

fn loaded(house: &House) -> Load {
    let stays = guesthouse_tests::Client::new("stays.test", "/").checked(Floor::new().check());
    Load::start(house.address(), &[stays.clone(), stays.fresh()])
}

fn assert_stays(house: &House) {
    assert_eq!(house.get("stays", "/").version().generation, 1);
    assert_eq!(house.api().serving("stays"), 1);
}

#[test]
fn apps_come_and_go() {
    let house = House::start(&manifest(ONE, |manifest| manifest.version("old", 1, 0, "")));
    let load = loaded(&house);
    // One that is in the app when it goes finishes in it.
    let mut long = house.connect();
    long.send(Request::get("old.test", "/?stream=40&pause=20").bytes());
    long.head();
    assert_eq!(house.get("new", "/").status(), 404);
    let other = manifest(ONE, |manifest| manifest.version("new", 2, 7, ""));
    let reloaded = reload(&house, &other);
    assert_eq!(changes(&reloaded), ["new added", "old removed"], "{reloaded:#}");
    assert_eq!(house.get("old", "/").status(), 404);
    assert_eq!(house.get("new", "/").version().swap(), Some(7));
    let mut lines = 0;
    loop {
        let line = long.line().expect("the answer goes on");
        if line == "0\r\n" {
            break;
        }
        lines += usize::from(line.starts_with("code=1 setting=one-0 generation=1"));
    }
    assert_eq!(lines, 40);
    let names: Vec<_> = house.api().status()["apps"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|app| app["name"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(!names.contains(&"old".to_owned()), "{names:?}");
    assert_stays(&house);
    load.stop().assert_nothing_lost();
}

#[test]
fn routes_come_and_go() {
    let with = |routes: &str| {
        manifest(ONE, |manifest| manifest.version("shop", 1, 0, &format!("routes = [{routes}]")))
    };
    let house = House::start(&with("\"shop.test\", \"mall.test/shop\""));
    let load = loaded(&house);
    let status = |host: &str, path: &str| house.send(&Request::get(host, path)).status();
    assert_eq!(
        (status("shop.test", "/"), status("mall.test", "/shop"), status("new.test", "/")),
        (200, 200, 404)
    );
    let reloaded = reload(&house, &with("\"shop.test\", \"*.new.test\", \"new.test\""));
    assert_eq!(changes(&reloaded), ["shop rerouted"], "{reloaded:#}");
    assert_eq!(reloaded["changes"][0]["differs"], json!(["routes"]), "{reloaded:#}");
    assert_eq!(
        (status("shop.test", "/"), status("mall.test", "/shop"), status("new.test", "/")),
        (200, 404, 200)
    );
    assert_eq!(status("any.new.test", "/"), 200);
    // From one app to another in one step.
    let moved = manifest(ONE, |manifest| {
        manifest.version("shop", 1, 0, "routes = [\"shop.test\"]").version(
            "mall",
            2,
            3,
            "routes = [\"new.test\"]",
        )
    });
    reload(&house, &moved);
    assert_eq!(house.get("new", "/").version().swap(), Some(3));
    assert_eq!(house.get("shop", "/").version().swap(), Some(0));
    assert_stays(&house);
    load.stop().assert_nothing_lost();
}

#[test]
fn listeners_come_and_go() {
    let house = House::start(&manifest(ONE, |manifest| manifest));
    let load = loaded(&house);
    let more = format!("{ONE}, \"127.0.0.2:0\", \"unix:second.sock\"");
    let reloaded = reload(&house, &manifest(&more, |manifest| manifest));
    assert_eq!(changes(&reloaded), [""; 0], "{reloaded:#}");
    let added = reloaded["listeners_added"].as_array().expect("a list");
    assert_eq!(added.len(), 2, "{reloaded:#}");
    assert_eq!(reloaded["listeners_removed"], json!([]));
    let second = added.iter().find(|url| url.to_string().contains("127.0.0.2")).map(address).expect("TCP");
    let socket = house.folder().join("second.sock");
    let ask = |connection: &mut Connection| {
        connection.send(Request::get("stays.test", "/").bytes());
        connection.response("GET").version().generation
    };
    let mut kept = Connection::tcp(second);
    assert_eq!(ask(&mut kept), 1);
    assert_eq!(ask(&mut Connection::unix(&socket)), 1);

    // An answer that is on its way over a listener that goes is finished.
    let mut long = Connection::tcp(second);
    long.send(Request::get("stays.test", "/?stream=40&pause=20").bytes());
    let head = long.head();
    let reloaded = reload(&house, &manifest(ONE, |manifest| manifest));
    let removed = reloaded["listeners_removed"].as_array().expect("a list");
    assert_eq!(removed.len(), 2, "{reloaded:#}");
    assert_eq!(reloaded["listeners_added"], json!([]));
    house.api().wait_for_status("the end of the listeners", |_| {
        Connection::try_tcp(second).is_err() && !socket.exists()
    });
    assert_eq!(long.rest(head, "GET").expect("the whole answer").text().lines().count(), 40);
    assert!(kept.until_closed().is_empty(), "a connection without a request is closed");
    assert_eq!(house.api().status()["listeners"].as_array().map(Vec::len), Some(1));
    assert_stays(&house);
    load.stop().assert_nothing_lost();
}

#[test]
fn what_only_a_restart_changes_is_noted() {
    let house = House::start(&manifest(ONE, |manifest| manifest));
    house.api();
    let watched = manifest(ONE, |manifest| manifest).text().replace("watch = false", "watch = true");
    house.replace("guesthouse.toml", watched);
    let reloaded = house.api().reload().done();
    let notes = reloaded["notes"].to_string();
    assert!(notes.contains("restart") && notes.contains("watch"), "{reloaded:#}");
    assert_stays(&house);
}
