//! Django with SQLite in a granted folder, with PostgreSQL and with Redis: nothing that was acknowledged is lost, by many
//! clients, swaps, traps and `kill -9`, and nothing stays locked.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use guesthouse_tests::{
    Browser, Connection, House, Manifest, PATIENCE, Postgres, Random, RedisOnPort, Request, exec, exec_with,
    python_component, sqlite, sqlite_integrity,
};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

const CLIENTS: usize = 8;

/// A Django site in a folder, with its database.
struct Site {
    folder: TempDir,
    postgres: Option<Postgres>,
}

impl Site {
    fn with_sqlite(isolation: &str) -> Site {
        let grants = "dirs = { \"/data\" = { path = \"data\", write = true } }";
        Site::of(isolation, None, "", grants)
    }

    fn with_postgres(isolation: &str) -> Site {
        let postgres = Postgres::start();
        let port = postgres.port;
        let database = format!(
            "DATABASES.default = {{ ENGINE = \"django.db.backends.postgresql\", NAME = \"postgres\", USER = \"shop\", \
             PASSWORD = \"secret\", HOST = \"127.0.0.1\", PORT = {port}, CONN_MAX_AGE = 600 }}\n"
        );
        Site::of(isolation, Some(postgres), &database, &format!("tcp = [\"127.0.0.1:{port}\"]"))
    }

    fn of(isolation: &str, postgres: Option<Postgres>, settings: &str, grants: &str) -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("data")).expect("the folder of the database");
        write(folder.path(), isolation, settings, grants);
        exec(folder.path(), "shop", &["migrate", "-v0"]);
        exec(folder.path(), "shop", &["tally", "--begin"]);
        Site { folder, postgres }
    }

    fn start(&self) -> House {
        House::start_at(self.folder.path(), 1, |_| {})
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("data/db.sqlite3")
    }

    /// What the database holds, seen without the house: the counter, and the tokens.
    fn content(&self) -> (usize, BTreeSet<String>) {
        let (count, tokens) = match &self.postgres {
            None => {
                assert_eq!(sqlite_integrity(&self.database()), "ok");
                let code = "print(db.execute('SELECT value FROM ledger_counter').fetchone()[0])\n\
                            print('\\n'.join(t for t, in db.execute('SELECT token FROM ledger_entry')))";
                let told = sqlite(&self.database(), code);
                told.split_once('\n')
                    .map_or((told.clone(), String::new()), |(a, b)| (a.to_owned(), b.to_owned()))
            }
            Some(postgres) => (
                postgres.query("SELECT value FROM ledger_counter"),
                postgres.query("SELECT token FROM ledger_entry"),
            ),
        };
        (count.parse().expect("a number"), tokens.lines().map(str::to_owned).collect())
    }
}

fn write(folder: &Path, isolation: &str, settings: &str, grants: &str) {
    let keys = format!(
        "instances.isolation = \"{isolation}\"\n[apps.shop.settings]\n{settings}[apps.shop.grants]\n{grants}\n"
    );
    let manifest =
        Manifest::new().head("[host]\nwatch = false").app_of("shop", &python_component("data"), &keys);
    fs::write(folder.join("guesthouse.toml"), manifest.text()).expect("the manifest is written");
}

fn get(house: &House, path: &str) -> Value {
    let answer = house.get("shop", path);
    assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
    answer.json()
}

/// What clients were told that add one each, again and again, until something is over.
#[derive(Default)]
struct Added {
    acknowledged: BTreeSet<String>,
    /// Answers other than 200, and none at all.
    failed: usize,
}

/// Says that it is over, also where the test fails in the meantime.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Adds by many clients while `meanwhile` does something.
fn add_while(house: &House, round: usize, meanwhile: impl FnOnce()) -> Added {
    let (address, over) = (house.address(), AtomicBool::new(false));
    let numbers = AtomicUsize::new(0);
    let client = || {
        let mut added = Added::default();
        while !over.load(Ordering::SeqCst) {
            let token = format!("{round}-{}", numbers.fetch_add(1, Ordering::SeqCst));
            let request = Request::get("shop.test", &format!("/increment?token={token}"));
            let answer = Connection::try_tcp(address).ok().and_then(|mut connection| {
                connection.try_send(request.bytes()).ok()?;
                connection.try_response("GET").ok()
            });
            match answer {
                Some(answer) if answer.status() == 200 => {
                    added.acknowledged.insert(token);
                }
                _ => added.failed += 1,
            }
        }
        added
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let ended = Ended(&over);
        meanwhile();
        drop(ended);
        let mut all = Added::default();
        for client in clients {
            let added = client.join().expect("a client");
            all.acknowledged.extend(added.acknowledged);
            all.failed += added.failed;
        }
        all
    })
}

/// Many clients add so many each, through instances that are fresh or reused.
fn increments(site: &Site, each: usize) {
    let house = site.start();
    let add = || {
        for _ in 0..each {
            get(&house, "/increment");
        }
    };
    thread::scope(|scope| (0..CLIENTS).for_each(|_| drop(scope.spawn(add))));
    assert_eq!(get(&house, "/count")["value"], CLIENTS * each);
}

#[test]
fn sqlite_loses_no_increment_of_fresh_instances() {
    increments(&Site::with_sqlite("request"), 8);
}

#[test]
fn sqlite_loses_no_increment_of_reused_instances() {
    increments(&Site::with_sqlite("reuse"), 50);
}

#[test]
fn postgres_loses_no_increment() {
    increments(&Site::with_postgres("reuse"), 50);
}

/// The house is killed at random moments, and started again.
fn kills(site: &Site, times: usize) {
    let mut random = Random::new(7);
    let mut acknowledged = BTreeSet::new();
    for round in 0..times {
        let house = site.start();
        // The first answers, so that there are some.
        get(&house, "/count");
        let moment = Duration::from_millis(200 + random.below(600) as u64);
        let added = add_while(&house, round, || {
            // The moment is random, and means to be so: it is not waited for anything.
            thread::sleep(moment);
            house.signal(Signal::KILL);
        });
        acknowledged.extend(added.acknowledged);
        drop(house);
        let (count, tokens) = site.content();
        assert_eq!(count, tokens.len(), "a transaction is there whole or not at all");
        let lost: Vec<_> = acknowledged.difference(&tokens).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} of {} were lost", acknowledged.len());
    }
    assert!(!acknowledged.is_empty());
}

#[test]
fn sqlite_survives_kills() {
    kills(&Site::with_sqlite("reuse"), 5);
}

#[test]
fn postgres_survives_kills() {
    kills(&Site::with_postgres("reuse"), 3);
}

/// The app is swapped while it is written to: no request fails, and none is lost.
fn swaps(site: &Site, times: usize) {
    let house = site.start();
    get(&house, "/count");
    let added = add_while(&house, 0, || {
        for swap in 0..times {
            let done = house.command(&["swap", "shop", "--set", &format!("SWAP=\"{swap}\"")]);
            assert_eq!(done.code, Some(0), "{}", done.stderr);
        }
    });
    let (count, tokens) = site.content();
    assert_eq!((added.failed, count), (0, tokens.len()));
    assert_eq!(added.acknowledged, tokens);
    assert_eq!(get(&house, "/generation")["generation"], times + 1);
}

#[test]
fn sqlite_is_written_through_swaps() {
    swaps(&Site::with_sqlite("reuse"), 5);
}

#[test]
fn postgres_is_written_through_swaps() {
    swaps(&Site::with_postgres("reuse"), 5);
}

#[test]
fn a_trap_within_a_transaction_undoes_it_and_leaves_no_lock() {
    for isolation in ["request", "reuse"] {
        let site = Site::with_sqlite(isolation);
        let house = site.start();
        get(&house, "/count");
        let added = add_while(&house, 0, || {
            for _ in 0..3 {
                assert_eq!(house.get("shop", "/abort").status(), 500);
                let asked = Instant::now();
                get(&house, "/increment?token=after");
                assert!(asked.elapsed() < PATIENCE);
                sqlite(
                    &site.database(),
                    "db.execute(\"DELETE FROM ledger_entry WHERE token = 'after'\"); db.commit()",
                );
            }
        });
        assert_eq!(added.failed, 0);
        let (count, tokens) = site.content();
        assert_eq!(
            (count, &added.acknowledged),
            (tokens.len() + 3, &tokens),
            "nothing of those that trapped"
        );
    }
}

#[test]
fn other_programs_and_the_app_respect_each_others_locks() {
    let site = Site::with_sqlite("reuse");
    let house = site.start();
    get(&house, "/count");
    let locked = "db.execute('PRAGMA busy_timeout = 0')\n\
                  try: db.execute('BEGIN IMMEDIATE'); print('free')\n\
                  except sqlite3.OperationalError as error: print(error)";
    assert_eq!(sqlite(&site.database(), locked), "free");
    // While the app has a transaction, no other program has one.
    thread::scope(|scope| {
        let holding = scope.spawn(|| get(&house, "/hold?ms=1500"));
        let seen = std::iter::repeat_with(|| sqlite(&site.database(), locked)).find(|told| told != "free");
        assert_eq!(seen.as_deref(), Some("database is locked"));
        assert_eq!(holding.join().expect("its answer")["value"], 1);
    });
    // While another program has one, the app waits, and so does a command.
    let hold = "import time\ndb.execute('BEGIN IMMEDIATE')\n\
                db.execute('UPDATE ledger_counter SET value = value + 10')\ntime.sleep(1)\ndb.commit()\nprint('done')";
    thread::scope(|scope| {
        let other = scope.spawn(|| sqlite(&site.database(), hold));
        while sqlite(&site.database(), locked) == "free" {}
        assert_eq!(get(&house, "/increment")["value"], 12);
        assert_eq!(other.join().expect("it ends"), "done");
    });
    thread::scope(|scope| {
        let commands: Vec<_> =
            (0..2).map(|_| scope.spawn(|| exec(site.folder.path(), "shop", &["tally"]))).collect();
        for _ in 0..20 {
            get(&house, "/increment");
        }
        commands
            .into_iter()
            .for_each(|command| assert!(command.join().expect("its end").starts_with("hits: ")));
    });
    assert_eq!(site.content().0, 32);
    assert!(!site.folder.path().join("data/db.sqlite3.lock").exists(), "no lock of files");
}

#[test]
fn a_folder_left_as_a_lock_is_named() {
    let site = Site::with_sqlite("reuse");
    let house = site.start();
    fs::create_dir(site.folder.path().join("data/db.sqlite3.lock")).expect("the folder");
    assert_eq!(house.get("shop", "/count").status(), 500);
    house.log().wait_for("the hint", |entry| entry.to_string().contains("was left there by another program"));
    fs::remove_dir(site.folder.path().join("data/db.sqlite3.lock")).expect("the folder");
    get(&house, "/count");
}

#[test]
fn grants_that_are_missing_or_for_reading_alone_are_named() {
    let site = Site::with_sqlite("reuse");
    // Reading works without the right to write.
    write(site.folder.path(), "reuse", "", "dirs = { \"/data\" = { path = \"data\" } }");
    let house = site.start();
    thread::scope(|scope| (0..CLIENTS).for_each(|_| drop(scope.spawn(|| get(&house, "/count")))));
    assert_eq!(house.get("shop", "/increment").status(), 500);
    house.log().wait_for("the hint", |entry| entry.to_string().contains("has to be granted for writing"));
    drop(house);
    write(site.folder.path(), "reuse", "", "env = { A = \"b\" }");
    let refused = exec_with(site.folder.path(), "shop", &["tally"], "");
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("hint: the app has no folder /data: grant it"), "{}", refused.stderr);
}

#[test]
fn all_kinds_of_fields_and_questions() {
    for site in [Site::with_sqlite("reuse"), Site::with_postgres("reuse")] {
        let house = site.start();
        let kinds = get(&house, "/kinds");
        assert_eq!(kinds["different"], serde_json::json!([]), "{kinds}");
        let asked = &kinds["asked"];
        let expected = [
            ("by_json", "1"),
            ("json_number", "5"),
            ("has_key", "1"),
            ("max_day", "\"2026-03-20\""),
            ("search", "12"),
            ("joined", "true"),
            ("updated", "5"),
            ("in", "2"),
            ("iterated", "20"),
            ("got", "false"),
            ("now_is_near", "true"),
            ("twice", "\"django.db.utils.IntegrityError\""),
            ("kept", "[\"kept\"]"),
        ];
        for (what, value) in expected {
            assert_eq!(asked[what].to_string(), value, "{what}: {asked}");
        }
        let vendor = if site.postgres.is_some() { "postgresql" } else { "sqlite" };
        assert_eq!(asked["vendor"], vendor);
    }
}

/// Logs in, adds, changes and deletes in Django's admin.
#[test]
fn the_admin_keeps_what_is_entered() {
    for site in [Site::with_sqlite("request"), Site::with_postgres("reuse")] {
        let create = "from django.contrib.auth.models import User; User.objects.create_superuser('ann', password='horse')";
        exec(site.folder.path(), "shop", &["python", "-c", create]);
        let house = site.start();
        let mut browser = Browser::new(&house, "shop.test");
        assert_eq!(browser.get("/admin/").status(), 302);
        let refused = browser.post("/admin/login/", &[("username", "ann"), ("password", "donkey")]);
        assert_eq!(refused.status(), 200);
        let entered =
            browser.post("/admin/login/?next=/admin/", &[("username", "ann"), ("password", "horse")]);
        assert_eq!((entered.status(), entered.header("location")), (302, Some("/admin/")));
        let note = [("title", "First note"), ("day", "2026-02-03"), ("price", "1.5"), ("extra", "{}")];
        assert_eq!(browser.post("/admin/ledger/note/add/", &note).status(), 302);
        let list = browser.get("/admin/ledger/note/").text();
        assert!(list.contains("First note") && list.contains("was added successfully"), "{list}");
        let change =
            list.split("href=\"/admin/ledger/note/").find(|part| part.contains("/change/")).expect("a link");
        let note_of = |what: &str| {
            format!("/admin/ledger/note/{}/{what}/", change.split('/').next().expect("a number"))
        };
        let changed = [("title", "Second note"), ("extra", "{}")];
        assert_eq!(browser.post(&note_of("change"), &changed).status(), 302);
        assert!(browser.get("/admin/ledger/note/?q=second").text().contains("Second note"));
        assert_eq!(browser.post(&note_of("delete"), &[("post", "yes")]).status(), 302);
        let list = browser.get("/admin/ledger/note/").text();
        assert!(list.contains("0 notes") && list.contains("was deleted successfully"), "{list}");
    }
}

#[test]
fn a_lost_connection_to_postgres_is_made_again() {
    let site = Site::with_postgres("reuse");
    let house = site.start();
    assert_eq!(get(&house, "/increment")["value"], 1);
    let postgres = site.postgres.as_ref().expect("PostgreSQL");
    // One that is lost within a transaction fails, and the next request finds another.
    thread::scope(|scope| {
        let holding = scope.spawn(|| house.get("shop", "/hold?ms=20000").status());
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE state = 'idle in transaction'";
        while postgres.query(ended) == "0" {}
        assert_eq!(holding.join().expect("its answer"), 500);
    });
    assert_eq!(get(&house, "/increment")["value"], 2);
}

#[test]
fn postgres_that_cannot_be_reached_is_named() {
    let site = Site::with_postgres("reuse");
    let tally = || exec_with(site.folder.path(), "shop", &["tally"], "").stderr;
    let port = site.postgres.as_ref().expect("PostgreSQL").port;
    let settings = |password: &str| {
        format!(
            "DATABASES.default = {{ ENGINE = \"django.db.backends.postgresql\", NAME = \"postgres\", USER = \"shop\", \
             PASSWORD = \"{password}\", HOST = \"127.0.0.1\", PORT = {port} }}\n"
        )
    };
    let granted = format!("tcp = [\"127.0.0.1:{port}\"]");
    write(site.folder.path(), "reuse", &settings("wrong"), &granted);
    let told = tally();
    assert!(
        told.contains("password authentication failed for user \"shop\"") && !told.contains("wrong"),
        "{told}"
    );
    write(site.folder.path(), "reuse", &settings("secret"), "tcp = [\"127.0.0.1:1\"]");
    let told = tally();
    assert!(
        told.contains(&format!(
            "hint: the manifest has to grant the app this connection: tcp = [\"127.0.0.1:{port}\"]"
        )),
        "{told}"
    );
    write(site.folder.path(), "reuse", &settings("secret"), &granted);
    drop(site.postgres);
    let told = exec_with(site.folder.path(), "shop", &["tally"], "").stderr;
    assert!(
        told.contains(&format!("hint: nothing listens at 127.0.0.1:{port}: is the server started?")),
        "{told}"
    );
}

#[test]
fn redis_keeps_cache_and_sessions() {
    let redis = RedisOnPort::start();
    let port = redis.port;
    let settings = format!(
        "SESSION_ENGINE = \"django.contrib.sessions.backends.cache\"\n\
         CACHES.default = {{ BACKEND = \"django.core.cache.backends.redis.RedisCache\", LOCATION = \"redis://127.0.0.1:{port}/0\" }}\n"
    );
    let grants =
        format!("tcp = [\"127.0.0.1:{port}\"]\ndirs = {{ \"/data\" = {{ path = \"data\", write = true }} }}");
    let site = Site::of("reuse", None, &settings, &grants);
    let mut house = site.start();
    assert_eq!(get(&house, "/cache?set=w%C3%B6rd")["word"]["text"], "wörd");
    let seen = |house: &House, cookie: &str| {
        let mut connection = house.connect();
        connection.send(Request::get("shop.test", "/session").header("Cookie", cookie).bytes());
        connection.response("GET")
    };
    let first = seen(&house, "");
    let cookie =
        first.header("set-cookie").expect("a cookie").split(';').next().expect("its value").to_owned();
    assert_eq!(first.json()["engine"], "django.contrib.sessions.backends.cache");
    // Many add at once, through swaps and a kill: what was acknowledged is there.
    let mut acknowledged = 0;
    for round in 0..3 {
        let address = house.address();
        let over = AtomicBool::new(false);
        acknowledged += thread::scope(|scope| {
            let add = || {
                let mut added = 0;
                while !over.load(Ordering::SeqCst) {
                    let answer = Connection::try_tcp(address).ok().and_then(|mut connection| {
                        connection.try_send(Request::get("shop.test", "/cache?add=1").bytes()).ok()?;
                        connection.try_response("GET").ok()
                    });
                    added += usize::from(answer.is_some_and(|answer| answer.status() == 200));
                }
                added
            };
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(add)).collect();
            let ended = Ended(&over);
            let done = house.command(&["swap", "shop", "--set", &format!("SWAP=\"{round}\"")]);
            assert_eq!(done.code, Some(0), "{}", done.stderr);
            get(&house, "/count");
            house.signal(Signal::KILL);
            drop(ended);
            clients.into_iter().map(|client| client.join().expect("a client")).sum::<usize>()
        });
        house = site.start();
    }
    let adds = get(&house, "/cache?add=1")["adds"].as_u64().expect("a number");
    assert!(acknowledged > 0 && adds > acknowledged as u64, "{adds} of {acknowledged}");
    assert_eq!(get(&house, "/cache")["word"]["text"], "wörd");
    assert_eq!(seen(&house, &cookie).json()["seen"], 2, "the session outlives houses");

    drop(redis);
    assert_eq!(house.get("shop", "/cache").status(), 500);
    let hint = format!("hint: nothing listens at 127.0.0.1:{port}");
    house.log().wait_for("the hint", |entry| entry.to_string().contains(&hint));
}
