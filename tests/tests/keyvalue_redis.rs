//! Key-value stores on a Redis server that is not there, ends, is silent, or does not let everybody in.

use std::time::{Duration, Instant};

use guesthouse_tests::{Entry, House, Manifest, Redis, run};
use serde_json::json;

fn told(house: &House, app: &str, words: &[&str]) -> Entry {
    house.log().wait_for("a line", |entry| {
        entry.text("app") == app && words.iter().all(|word| entry.message().contains(word))
    })
}

fn manifest(redis: &Redis, limits: &str) -> Manifest {
    let keys = format!("grants.keyvalue.default = {:?}\nlimits = {{ {limits} }}", redis.url());
    Manifest::new().app("one", "stores", &keys).app("one-p3", "stores-p3", &keys)
}

#[test]
fn a_server_may_come_later_and_go_and_come_back() {
    let mut redis = Redis::new();
    let house = House::start(&manifest(&redis, ""));
    for app in ["one", "one-p3"] {
        assert_eq!(house.ask_in_vain(app, "/get?key=a"), "the store cannot be reached or used", "{app}");
        told(&house, app, &["the key-value store `default` failed", "redis.sock"]);
        house.assert_well(app);
    }
    for _ in 0..2 {
        redis.begin();
        for app in ["one", "one-p3"] {
            assert!(house.ask(app, "/increment?key=n").is_i64(), "{app} finds it at once");
        }
        redis.kill();
        for app in ["one", "one-p3"] {
            assert!(!house.ask_in_vain(app, "/increment?key=n").is_empty());
        }
    }
    redis.begin();
    for app in ["one", "one-p3"] {
        assert_eq!(house.ask(app, "/get?key=n"), json!("2"), "{app}: nothing was done twice, nor lost");
    }
}

#[test]
fn a_server_that_is_killed_and_comes_back_while_nobody_looks_is_found() {
    let mut redis = Redis::start();
    let house = House::start(&manifest(&redis, ""));
    for app in ["one", "one-p3"] {
        assert_eq!(house.ask(app, "/set?key=a&value=1"), json!("set"));
    }
    redis.kill();
    redis.begin();
    for app in ["one", "one-p3"] {
        assert_eq!(house.ask(app, "/get?key=a"), json!("1"), "{app}");
    }
}

#[test]
fn a_silent_server_ends_in_an_error_and_holds_nobody_up() {
    let redis = Redis::start();
    let memory = "grants.keyvalue.default = \"memory\"";
    let limits = "keyvalue-ms = 300, keyvalue-waiting = 2";
    let house = House::start(&manifest(&redis, limits).app("other", "stores", memory));
    for app in ["one", "one-p3"] {
        assert_eq!(house.ask(app, "/set?key=a&value=1"), json!("set"));
    }
    redis.pause(true);
    for app in ["one", "one-p3"] {
        let begun = Instant::now();
        assert_eq!(house.ask_in_vain(app, "/get?key=a"), "the store did not answer in time", "{app}");
        assert!(begun.elapsed() >= Duration::from_millis(300));
        told(&house, app, &["the key-value store `default` failed", "limits.keyvalue-ms"]);
        house.assert_well(app);
    }
    assert_eq!(house.ask("other", "/set?key=a&value=1"), json!("set"));
    // Of many at once, all but two are refused at once.
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..6).map(|_| scope.spawn(|| house.ask_in_vain("one", "/get?key=a"))).collect();
        let errors: Vec<String> = asked.into_iter().map(|asked| asked.join().expect("an answer")).collect();
        assert!(errors.iter().any(|error| error.contains("limits.keyvalue-waiting")), "{errors:?}");
        assert!(errors.iter().any(|error| error.contains("in time")), "{errors:?}");
    });
    redis.pause(false);
    for app in ["one", "one-p3"] {
        assert_eq!(house.ask(app, "/get?key=a"), json!("1"), "{app}");
    }
}

/// A password is known to the server alone: no log, no status, no file of the house's but its state, no answer has it.
#[test]
fn a_password_is_needed_and_never_shown() {
    const PASSWORD: &str = "s3cr3t-9f2c";
    let redis = Redis::start_with_password(PASSWORD);
    let socket = redis.socket();
    let url = format!("redis+unix://{}?pass=${{REDIS_PASSWORD}}", socket.display());
    let with = |url: &str| format!("grants.keyvalue.default = {url:?}");
    let manifest = Manifest::new()
        .app("knows", "stores", &with(&url))
        .app("guesses", "stores", &with(&url.replace("${REDIS_PASSWORD}", "${OTHER_PASSWORD}")))
        .app("has-none", "stores", &with(&redis.url()));
    let house = House::start_with(&manifest, 1, |command| {
        command.env("REDIS_PASSWORD", PASSWORD).env("OTHER_PASSWORD", "other-71aa");
    });
    assert_eq!(house.ask("knows", "/set?key=a&value=1"), json!("set"));
    for app in ["guesses", "has-none"] {
        assert_eq!(house.ask_in_vain(app, "/get?key=a"), "access-denied", "{app}");
        told(&house, app, &["the key-value store `default` failed", "redis+unix://"]);
    }
    let status = house.api().status().to_string();
    let folder = house.folder().to_owned();
    let log = house.log().entries().iter().map(Entry::to_string).collect::<String>();
    for password in [PASSWORD, "other-71aa"] {
        assert!(!status.contains(password) && !log.contains(password), "{status}\n{log}");
    }
    // Where it stands in the manifest, that is told without it.
    let text = manifest.text().replace("${REDIS_PASSWORD}", PASSWORD);
    std::fs::write(folder.join("guesthouse.toml"), text).expect("the manifest is written");
    let checked = run(&folder, &["check"]);
    let said = format!("{checked:?}");
    assert!(said.contains("a password must not stand in the manifest"), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
}
