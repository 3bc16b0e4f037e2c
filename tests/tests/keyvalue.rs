//! Key-value stores of apps: each kind of store does the same, for both versions of WASI.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use guesthouse_tests::{Entry, House, Manifest, Redis};
use serde_json::{Value as Json, json};

/// Each kind of store, used by an app of WASI 0.2 and one of 0.3.
const APPS: [&str; 6] = ["memory", "memory-p3", "sqlite", "sqlite-p3", "redis", "redis-p3"];

fn says(line: &Entry, app: &str, words: &[&str]) -> bool {
    line.text("app") == app && words.iter().all(|word| line.message().contains(word))
}

/// A house with [`APPS`], each with a store of its own.
fn house(redis: &Redis, limits: &str) -> House {
    let manifest = APPS.iter().fold(Manifest::new(), |manifest, app| {
        let (kind, guest) = match app.strip_suffix("-p3") {
            Some(kind) => (kind, "stores-p3"),
            None => (*app, "stores"),
        };
        let url = match kind {
            "sqlite" => format!("sqlite:{app}.sqlite3"),
            "redis" => redis.url(),
            kind => kind.to_owned(),
        };
        manifest.app(
            app,
            guest,
            &format!("grants.keyvalue = {{ default = {url:?} }}\nlimits = {{ {limits} }}"),
        )
    });
    House::start(&manifest)
}

#[test]
fn stores_of_all_kinds_do_the_same() {
    let redis = Redis::start();
    let house = house(&redis, "");
    for app in APPS {
        let ask = |question: &str| house.ask(app, question);
        assert_eq!(ask("/get?key=a"), Json::Null, "{app}");
        assert_eq!(ask("/exists?key=a"), json!(false));
        assert_eq!(ask("/delete?key=a"), json!("deleted"), "what is not there is deleted likewise");
        assert_eq!(ask("/set?key=a&value=1"), json!("set"));
        assert_eq!(ask("/set?key=a&value=two"), json!("set"));
        assert_eq!(ask("/get?key=a"), json!("two"));
        assert_eq!(ask("/set?key=empty&value="), json!("set"));
        assert_eq!(ask("/get?key=empty"), json!(""), "an empty value is a value");
        assert_eq!(ask("/exists?key=empty"), json!(true));
        assert_eq!(ask("/list"), json!({ "keys": ["a", "empty"], "cursor": null }));
        assert_eq!(ask("/delete?key=a"), json!("deleted"));
        assert_eq!(ask("/exists?key=a"), json!(false));

        assert_eq!(ask("/set-many?key=x&key=y&key=z&value=v"), json!("set"));
        let found = ask("/get-many?key=x&key=none&key=z");
        assert_eq!(found, json!([["x", "v"], null, ["z", "v"]]));
        assert_eq!(ask("/delete-many?key=x&key=none&key=y&key=z&key=empty"), json!("deleted"));
        assert_eq!(ask("/list"), json!({ "keys": [], "cursor": null }));
        assert_eq!(ask("/get-many"), json!([]));
        assert_eq!(ask("/set-many"), json!("set"));
        assert_eq!(ask("/delete-many"), json!("deleted"));
    }
}

#[test]
fn numbers_are_added_to_and_values_swapped() {
    let redis = Redis::start();
    let house = house(&redis, "");
    for app in APPS {
        let ask = |question: &str| house.ask(app, question);
        assert_eq!(ask("/increment?key=n&delta=5"), json!(5), "{app}: from nothing");
        assert_eq!(ask("/increment?key=n&delta=-7"), json!(-2));
        assert_eq!(ask("/get?key=n"), json!("-2"), "numbers are text");
        assert_eq!(ask("/set?key=n&value=9223372036854775807"), json!("set"));
        assert!(ask("/increment?key=n")["error"].is_string(), "beyond 64 bits");
        assert_eq!(ask("/get?key=n"), json!("9223372036854775807"), "nothing was done");
        assert_eq!(ask("/set?key=n&value=many"), json!("set"));
        assert!(ask("/increment?key=n")["error"].is_string(), "no number");

        assert_eq!(ask("/swap?key=s&value=1"), json!({ "seen": null, "swapped": true }));
        assert_eq!(ask("/swap?key=s&value=2"), json!({ "seen": "1", "swapped": true }));
        let failed = ask("/swap?key=s&value=4&meanwhile=3");
        assert_eq!(failed, json!({ "seen": "2", "swapped": false, "now": "3", "again": true }));
        assert_eq!(ask("/get?key=s"), json!("4"));
        let failed = ask("/swap?key=new&value=mine&meanwhile=theirs");
        assert_eq!(failed, json!({ "seen": null, "swapped": false, "now": "theirs", "again": true }));
    }
}

/// Keys and values that mean something to one store or another.
#[test]
fn keys_are_only_text_to_all_stores() {
    const KEYS: [&str; 10] = [
        "'); DROP TABLE keyvalue; --",
        "*",
        "a?[b]\\",
        "line\r\nSET a b\r\n",
        "nul\u{0}l",
        "é 漢字 🦀",
        " ",
        "../../etc/passwd",
        "redis:default:x",
        "%s%n{}",
    ];
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let redis = Redis::start();
    let house = house(&redis, "");
    for app in APPS {
        for key in KEYS {
            let key = encoded(key);
            assert_eq!(house.ask(app, &format!("/set?key={key}&value={key}")), json!("set"), "{app}");
        }
        for key in KEYS {
            assert_eq!(house.ask(app, &format!("/get?key={}", encoded(key))), json!(key), "{app}");
        }
        let listed = house.ask(app, "/list");
        let keys: BTreeSet<&str> =
            listed["keys"].as_array().expect("keys").iter().filter_map(Json::as_str).collect();
        assert_eq!(keys, KEYS.into(), "{app}");
        assert!(!house.ask_in_vain(app, "/get?key=").is_empty(), "an empty key");
    }
}

#[test]
fn what_is_too_much_is_refused_and_told() {
    let redis = Redis::start();
    let limits =
        "keyvalue-value-kib = 64, keyvalue-key-bytes = 20, keyvalue-keys = 4, keyvalue-batch-kib = 100";
    let house = house(&redis, limits);
    for app in APPS {
        let refused = |question: &str, limit: &str| {
            let error = house.ask_in_vain(app, question);
            assert!(error.contains(limit), "{app} {question}: {error}");
            house.log().wait_for("the refusal", |entry| says(entry, app, &["refused", "`default`", limit]));
        };
        assert_eq!(house.ask(app, "/set?key=big&bytes=65536"), json!("set"));
        assert_eq!(house.ask(app, "/length?key=big"), json!(65536));
        refused("/set?key=big&bytes=65537", "limits.keyvalue-value-kib");
        let key = "k".repeat(21);
        assert!(house.ask_in_vain(app, &format!("/get?key={key}")).contains("limits.keyvalue-key-bytes"));
        let five = "key=1&key=2&key=3&key=4&key=5";
        assert!(house.ask_in_vain(app, &format!("/get-many?{five}")).contains("limits.keyvalue-keys"));
        assert!(house.ask_in_vain(app, &format!("/delete-many?{five}")).contains("limits.keyvalue-keys"));
        let two = "/set-many?key=1&key=2&bytes=60000";
        assert!(house.ask_in_vain(app, two).contains("limits.keyvalue-batch-kib"));
        for key in ["1", "2"] {
            assert_eq!(house.ask(app, &format!("/set?key={key}&bytes=60000")), json!("set"));
        }
        assert!(house.ask_in_vain(app, "/get-many?key=1&key=2").contains("limits.keyvalue-batch-kib"));
        assert_eq!(house.ask(app, "/length?key=1"), json!(60000), "{app} is well");
        let hoard = house.ask(app, "/hoard?key=big");
        assert_eq!(hoard["kept"], json!(15), "{app}: {hoard}");
        assert_eq!(house.ask(app, "/swap?key=1&value=x")["swapped"], json!(true), "what was kept is let go");
        house.api().wait_for_app(app, "the refusals are counted", |app| {
            app["serving"]["keyvalue_refused"].as_u64() >= Some(7)
        });
    }
}

/// A key that is there all the time is listed whatever comes and goes beside it.
#[test]
fn lists_are_read_page_by_page_while_keys_come_and_go() {
    let redis = Redis::start();
    let house = house(&redis, "keyvalue-keys = 10");
    for app in APPS {
        assert_eq!(house.ask(app, "/fill?key=stays&count=95&value=1"), json!("filled"));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    house.ask(app, "/fill?key=passes&count=20&value=1");
                    let keys: Vec<_> = (0..10).map(|n| format!("key=passes{n}")).collect();
                    house.ask(app, &format!("/delete-many?{}", keys.join("&")));
                    house.ask(app, "/set?key=stays7&value=2");
                }
            });
            let (mut cursor, mut seen) = (Json::Null, BTreeSet::new());
            let mut pages = 0;
            loop {
                let after = cursor.as_str().map_or(String::new(), |cursor| format!("?cursor={cursor}"));
                let page = house.ask(app, &format!("/list{after}"));
                pages += 1;
                for key in page["keys"].as_array().expect("keys") {
                    seen.insert(key.as_str().expect("a key").to_owned());
                }
                cursor = page["cursor"].clone();
                if cursor.is_null() {
                    break;
                }
            }
            done.store(true, Ordering::Relaxed);
            assert!(pages >= 5, "{app}: {pages} pages");
            for n in 0..95 {
                assert!(seen.contains(&format!("stays{n}")), "{app}: stays{n} among {}", seen.len());
            }
        });
        for cursor in ["x", "-1", "99999999999999999999"] {
            assert!(!house.ask_in_vain(app, &format!("/list?cursor={cursor}")).is_empty(), "{app} {cursor}");
        }
        let beyond = house.ask(app, "/list?cursor=18446744073709551615");
        assert!(beyond["keys"].is_array(), "{app}: {beyond}");
    }
}

#[test]
fn increments_and_swaps_of_many_at_once_add_up() {
    let redis = Redis::start();
    let house = house(&redis, "");
    for app in APPS {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        house.ask(app, "/count?key=n&times=20");
                        house.ask(app, "/swap-count?key=s");
                    }
                });
            }
        });
        assert_eq!(house.ask(app, "/get?key=n"), json!("800"), "{app}");
        assert_eq!(house.ask(app, "/get?key=s"), json!("40"), "{app}");
    }
}

/// Two houses are two processes.
#[test]
fn one_file_is_shared_by_processes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kv.sqlite3");
    let keys = format!("grants.keyvalue.default = \"sqlite:{}\"", file.display());
    let houses: Vec<House> =
        (0..2).map(|_| House::start(&Manifest::new().app("shop", "stores", &keys))).collect();
    thread::scope(|scope| {
        for house in &houses {
            for _ in 0..2 {
                scope.spawn(|| (0..5).for_each(|_| _ = house.ask("shop", "/count?key=n&times=10")));
            }
        }
    });
    for house in &houses {
        assert_eq!(house.ask("shop", "/get?key=n"), json!("200"));
    }
}

#[test]
fn a_store_that_is_not_granted_is_refused() {
    let keys = "grants.keyvalue = { default = \"memory\" }";
    let house = House::start(&Manifest::new().app("some", "stores", keys).app("none", "stores", "").app(
        "none-p3",
        "stores-p3",
        "",
    ));
    for (app, store) in [("none", "default"), ("none-p3", "default"), ("some", "other"), ("some", "Default")]
    {
        assert_eq!(house.ask_in_vain(app, &format!("/open?store={store}")), "access-denied");
        assert_eq!(house.ask_in_vain(app, &format!("/open?store={store}")), "access-denied");
        let told = |entry: &Entry| {
            says(entry, app, &["refused to open", &format!("\"{store}\""), "grants.keyvalue"])
        };
        house.log().wait_for("the grant that is missing", told);
        assert_eq!(house.log().matching(told).len(), 1, "one line a minute");
        house
            .api()
            .wait_for_app(app, "it is counted", |app| app["serving"]["keyvalue_refused"].as_u64() >= Some(2));
    }
    assert_eq!(house.ask("some", "/set?store=&key=a&value=1"), json!("set"), "no name is `default`");
    assert_eq!(house.ask("some", "/get?key=a"), json!("1"));
}

#[test]
fn apps_have_nothing_of_each_other_unless_they_share_on_purpose() {
    let redis = Redis::start();
    let url = redis.url();
    let keys = format!(
        "grants.keyvalue = {{ memory = \"memory\", own = {url:?}, cache = {url:?}, one = {{ url = {url:?}, prefix = \"one*:\" }}, \
         two = \"{url}?prefix=two\", file = \"sqlite:shared.sqlite3\" }}"
    );
    let house = House::start(&Manifest::new().app("a", "stores", &keys).app("b", "stores", &keys));
    for store in ["memory", "own", "cache", "one", "two", "file"] {
        assert_eq!(house.ask("a", &format!("/set?store={store}&key=k&value={store}")), json!("set"));
    }
    for store in ["memory", "own", "cache"] {
        assert_eq!(house.ask("b", &format!("/get?store={store}&key=k")), Json::Null, "{store}");
        assert_eq!(house.ask("b", &format!("/list?store={store}"))["keys"], json!([]));
        assert_eq!(house.ask("a", &format!("/get?store={store}&key=k")), json!(store));
    }
    for store in ["one", "two", "file"] {
        assert_eq!(house.ask("b", &format!("/get?store={store}&key=k")), json!(store));
        assert_eq!(house.ask("b", &format!("/list?store={store}"))["keys"], json!(["k"]));
    }
    let keys = redis.cli(&["KEYS", "*"]);
    let keys: BTreeSet<&str> = keys.lines().collect();
    assert_eq!(keys, BTreeSet::from(["a:own:k", "a:cache:k", "one*:k", "twok"]));
    // A prefix is no pattern.
    redis.cli(&["SET", "one-and-more:x", "1"]);
    assert_eq!(house.ask("a", "/list?store=one")["keys"], json!(["k"]));
}

#[test]
fn a_first_draft_component_has_the_same_stores() {
    let redis = Redis::start();
    let store = |url: &str| format!("grants.keyvalue.default = {url:?}\nlimits.keyvalue-keys = 2");
    let urls = ["memory".to_owned(), "sqlite:kv.sqlite3".to_owned(), redis.url()];
    let manifest = urls.iter().enumerate().fold(Manifest::new(), |manifest, (n, url)| {
        manifest.app(&format!("app-{n}"), "stores-draft", &store(url))
    });
    let house = House::start(&manifest);
    for app in ["app-0", "app-1", "app-2"] {
        assert_eq!(house.ask(app, "/set?key=a&value=1"), json!("set"));
        assert_eq!(house.ask(app, "/increment?key=a&delta=4"), json!(5));
        assert_eq!(house.ask(app, "/get?key=a"), json!("5"));
        assert!(house.ask(app, "/increment?key=a&delta=18446744073709551615")["error"].is_string());
        assert_eq!(house.ask(app, "/many?key=x&key=y"), json!({ "found": 2, "there": true, "left": 0 }));
        assert_eq!(house.ask(app, "/list"), json!({ "keys": ["a"], "cursor": null }));
    }
    for app in ["app-0", "app-1"] {
        for key in ["b", "c"] {
            house.ask(app, &format!("/set?key={key}&value=1"));
        }
        let page = house.ask(app, "/list");
        let next = house.ask(app, &format!("/list?cursor={}", page["cursor"]));
        assert_eq!((&page["keys"], &next), (&json!(["a", "b"]), &json!({ "keys": ["c"], "cursor": null })));
    }
}

#[test]
fn a_store_has_an_end() {
    let limits =
        "limits = { keyvalue-memory-mib = 1, keyvalue-file-mib = 1 }\ninstances.isolation = \"reuse\"";
    let manifest = Manifest::new()
        .app("memory", "stores", &format!("{limits}\ngrants.keyvalue.default = \"memory\""))
        .app("sqlite", "stores", &format!("{limits}\ngrants.keyvalue.default = \"sqlite:kv.sqlite3\""));
    let house = House::start(&manifest);
    for (app, limit) in [("memory", "limits.keyvalue-memory-mib"), ("sqlite", "limits.keyvalue-file-mib")] {
        let error = house.ask_in_vain(app, "/fill?key=k&count=100&bytes=50000");
        assert!(error.contains(limit), "{app}: {error}");
        house.log().wait_for("the limit", |entry| says(entry, app, &["refused", limit]));
        assert_eq!(house.ask(app, "/length?key=k0"), json!(50000), "{app}: what was written is there");
        let keys = house.ask(app, "/list")["keys"].as_array().expect("keys").len();
        assert!((10..21).contains(&keys), "{app} took {keys} values of 50,000 bytes");
        assert_eq!(house.ask(app, "/delete-many?key=k0&key=k1&key=k2"), json!("deleted"), "room can be made");
        assert_eq!(house.ask(app, "/set?key=new&bytes=50000"), json!("set"), "{app}");
    }
    let file = house.folder().join("kv.sqlite3");
    assert!(file.metadata().expect("the file").len() <= 1 << 20);
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(file.metadata().expect("the file").permissions().mode() & 0o777, 0o600, "for this user alone");
}

/// Whether something writes until it is told to stop; what was acknowledged is counted.
fn write(house: &House, app: &str, writer: usize, stop: &AtomicBool) -> Vec<String> {
    use guesthouse_tests::Request;
    let mut acknowledged = Vec::new();
    let mut connection = house.connect();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{writer}-{n}");
        connection.send(Request::get(&format!("{app}.test"), &format!("/set?key={key}&value={key}")).bytes());
        match connection.try_response("GET") {
            Ok(answer) if answer.status() == 200 && answer.json() == json!("set") => acknowledged.push(key),
            Ok(answer) => panic!("{}", answer.text()),
            Err(_) => break,
        }
    }
    acknowledged
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = "instances.isolation = \"reuse\"\ngrants.keyvalue.default = \"sqlite:kv.sqlite3\"";
    let manifest = Manifest::new().app("shop", "stores", keys).text();
    std::fs::write(folder.path().join("guesthouse.toml"), manifest).expect("the manifest is written");
    let mut all: Vec<String> = Vec::new();
    for round in 0..3 {
        let house = Arc::new(House::start_at(folder.path(), 1, |_| {}));
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (house, stop) = (house.clone(), stop.clone());
                thread::spawn(move || write(&house, "shop", round * 10 + writer, &stop))
            })
            .collect();
        house.log().wait_for_count("writes", 100, |entry| entry.is_access("shop"));
        house.signal(rustix::process::Signal::KILL);
        for writer in writers {
            all.extend(writer.join().expect("a writer"));
        }
    }
    assert!(all.len() >= 250, "{} writes", all.len());
    let house = House::start_at(folder.path(), 1, |_| {});
    for keys in all.chunks(100) {
        let query: Vec<_> = keys.iter().map(|key| format!("key={key}")).collect();
        let found = house.ask("shop", &format!("/get-many?{}", query.join("&")));
        for (key, found) in keys.iter().zip(found.as_array().expect("values")) {
            assert_eq!(*found, json!([key, key]), "of {} writes", all.len());
        }
    }
}

#[test]
fn stores_outlive_the_generations_of_an_app() {
    let redis = Redis::start();
    let house = house(&redis, "");
    for app in ["memory", "sqlite", "redis", "memory-p3"] {
        let stop = AtomicBool::new(false);
        let written = thread::scope(|scope| {
            let writers: Vec<_> = (0..2)
                .map(|writer| {
                    let (house, stop) = (&house, &stop);
                    scope.spawn(move || write(house, app, writer, stop))
                })
                .collect();
            for n in 0..5 {
                house.api().swap(app, &json!({ "settings": { "N": n } })).done();
            }
            house.api().rollback(app, None).done();
            stop.store(true, Ordering::Relaxed);
            writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect::<Vec<_>>()
        });
        assert!(!written.is_empty(), "{app}");
        for key in &written {
            assert_eq!(house.ask(app, &format!("/get?key={key}")), json!(key), "{app}");
        }
    }
}
