//! Passwords that the host hashes for guests: the same as OpenSSL would, within the app's limits, and at the cost of nobody
//! else.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use guesthouse_tests::{Entry, House, Manifest, PATIENCE, Request, SharedHouse, python_component, tool};
use serde_json::Value;

static HOUSE: SharedHouse = SharedHouse::new();

const GUESTS: [&str; 2] = ["hashes", "hashes-p3"];

fn house() -> Arc<House> {
    HOUSE.get(|| {
        let mut manifest =
            Manifest::new().app("neighbour", "hello-rust", "").app("neighbour-p3", "hello-rust-p3", "");
        for guest in GUESTS {
            manifest = manifest
                .app(guest, guest, "")
                .app(&format!("{guest}-small"), guest, "limits.memory-mib = 16")
                .app(&format!("{guest}-few"), guest, "limits = { memory-mib = 24, app-memory-mib = 24 }")
                .app(&format!("{guest}-short"), guest, "limits.cpu-ms = 300");
        }
        manifest
    })
}

/// What the machine's own Python says.
fn hashlib(expression: &str) -> String {
    let program = format!("import hashlib; print(({expression}).hex())");
    let output = tool("python3", "python3").args(["-c", &program]).output().expect("python3 starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a hash").trim_end().to_owned()
}

#[test]
fn hashes_are_those_of_openssl() {
    let house = house();
    for (hash, password, salt, iterations, dklen) in [
        ("sha1", "password", "salt", 4096, None),
        ("SHA256", "password", "NaCl", 80000, Some(64)),
        ("sha384", "", "", 2, Some(1)),
        (
            "sha512",
            "a password that is longer than the block of the hash".repeat(4).as_str(),
            "salt",
            1000,
            Some(200),
        ),
        ("sha256", "p", "s", 257, None),
    ] {
        let expected = hashlib(&format!(
            "hashlib.pbkdf2_hmac('{hash}', b'{password}', b'{salt}', {iterations}{})",
            dklen.map_or(String::new(), |dklen: u32| format!(", {dklen}"))
        ));
        let dklen = dklen.map_or(String::new(), |dklen| format!("&dklen={dklen}"));
        let password = password.replace(' ', "+");
        let target =
            format!("/pbkdf2?hash={hash}&password={password}&salt={salt}&iterations={iterations}{dklen}");
        for guest in GUESTS {
            assert_eq!(house.get(guest, &target).text(), expected, "{guest} {target}");
        }
    }
    for (n, r, p, dklen) in [(1024, 8, 16, 64), (2, 1, 1, 1), (16384, 8, 1, 64), (16, 100, 3, 1000)] {
        let expected = hashlib(&format!(
            "hashlib.scrypt(b'password', salt=b'NaCl', n={n}, r={r}, p={p}, dklen={dklen})"
        ));
        let target = format!("/scrypt?password=password&salt=NaCl&n={n}&r={r}&p={p}&dklen={dklen}");
        for guest in GUESTS {
            assert_eq!(house.get(guest, &target).text(), expected, "{guest} {target}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_said() {
    let house = house();
    for (target, said) in [
        ("/pbkdf2?hash=md17", "unknown hash"),
        ("/pbkdf2?hash=256", "unknown hash"),
        ("/pbkdf2?iterations=0", "invalid: iteration value"),
        ("/pbkdf2?dklen=0", "invalid: key length"),
        ("/scrypt?n=3", "invalid: n must be a power of 2"),
        ("/scrypt?n=0", "invalid: n must be a power of 2"),
        ("/scrypt?r=0", "invalid: "),
        ("/scrypt?p=0", "invalid: "),
        ("/scrypt?dklen=0", "invalid: key length"),
        ("/scrypt?n=32768&r=8", "over maxmem"),
        ("/scrypt?n=1024&r=8&maxmem=1000000", "over maxmem"),
        ("/scrypt?n=9223372036854775808&r=4294967295", "invalid: "),
    ] {
        for guest in GUESTS {
            let text = house.get(guest, target).text();
            assert!(text.starts_with(said), "{guest} {target}: {said:?} expected, {text:?} came");
        }
    }
}

#[test]
fn limits_are_told_before_it_begins() {
    let house = house();
    for guest in GUESTS {
        let maxmem = 1_u64 << 40;
        let ask = |app: &str, target: &str| house.get(app, target).text();
        let text = ask(&format!("{guest}-small"), "/scrypt?n=16384&r=8");
        assert!(text.starts_with("over memory: it takes 17 MiB of memory, and of memory-mib "), "{text}");
        let text = ask(&format!("{guest}-small"), "/pbkdf2?dklen=16777216");
        assert!(text.starts_with("over memory: it takes 16 MiB"), "{text}");
        let text = ask(guest, &format!("/scrypt?n=16384&r=8&p=33&maxmem={maxmem}"));
        assert!(text.starts_with("over time: n * r * p is 4325376"), "{text}");
        let text = ask(&format!("{guest}-short"), &format!("/scrypt?n=16384&r=8&p=10&maxmem={maxmem}"));
        assert!(text.starts_with("over time: ") && text.contains("1200000"), "{text}");
    }
}

/// What scrypt takes counts with the memory of all instances while it runs, and no longer.
#[test]
fn memory_of_hashes_is_the_apps_own() {
    let house = house();
    for guest in GUESTS {
        let app = format!("{guest}-few");
        let target = "/scrypt?n=16384&r=8&p=8";
        let mut asked: Vec<_> = (0..4)
            .map(|_| {
                let mut connection = house.connect();
                connection.send(Request::get(&format!("{app}.test"), target).bytes());
                connection
            })
            .collect();
        let answers: Vec<String> = asked.iter_mut().map(|one| one.response("GET").text()).collect();
        let refused = |text: &String| text.starts_with("over memory: the app's instances");
        assert!(answers.iter().any(|text| text.len() == 128), "{answers:?}");
        assert!(answers.iter().any(refused), "{answers:?}");
        assert!(answers.iter().all(|text| text.len() == 128 || refused(text)), "{answers:?}");
        assert_eq!(house.get(&app, target).text().len(), 128, "it is given back");
    }
}

#[test]
fn hashing_is_computing() {
    let house = house();
    for guest in GUESTS {
        let app = format!("{guest}-short");
        let begun = Instant::now();
        assert_eq!(house.get(&app, "/pbkdf2?iterations=4294967295").status(), 504, "{app}");
        assert!(begun.elapsed() < Duration::from_secs(30), "stopped after {:?}", begun.elapsed());
        let line = house.log().wait_for("the failure", |entry| entry.is_failure(&app));
        assert!(line.message().contains("cpu-ms"), "{line}");
        house.assert_well(&app);
    }
}

/// More hashes than there are cores, of both kinds, each of which would take a core for seconds.
#[test]
fn a_flood_of_hashing_leaves_a_neighbour_its_turn() {
    let mut manifest =
        Manifest::new().app("neighbour", "hello-rust", "").app("neighbour-p3", "hello-rust-p3", "");
    for guest in GUESTS {
        manifest = manifest.app(
            guest,
            guest,
            "limits = { cpu-ms = 3000, request-ms = 300000 }\ninstances.concurrency = 1",
        );
    }
    let house = House::start(&manifest);
    let mut hashing: Vec<_> = (0..12)
        .map(|number| {
            let target = match number / 2 % 2 {
                0 => "/pbkdf2?iterations=4294967295",
                _ => "/scrypt?n=16384&r=8&p=16&maxmem=1000000000",
            };
            let mut connection = house.connect();
            connection.send(Request::get(&format!("{}.test", GUESTS[number % 2]), target).bytes());
            connection
        })
        .collect();
    let hashes = |entry: &Entry| GUESTS.iter().any(|guest| entry.is_output(guest, "hashing"));
    house.log().wait_for_count("all hashing", 12, hashes);
    let mut took = Vec::new();
    while house.log().matching(|entry| GUESTS.iter().any(|guest| entry.is_failure(guest))).is_empty() {
        for app in ["neighbour", "neighbour-p3"] {
            let begun = Instant::now();
            assert_eq!(house.get(app, "/").status(), 200);
            took.push(begun.elapsed());
        }
    }
    took.sort_unstable();
    let median = took[took.len() / 2];
    println!(
        "{} answers while the others hashed: median {median:?}, longest {:?}",
        took.len(),
        took[took.len() - 1]
    );
    assert!(took.len() >= 20 && median < Duration::from_millis(100), "{took:?}");
    for (number, connection) in hashing.iter_mut().enumerate() {
        let answer = connection.response("GET");
        let expected = if number / 2 % 2 == 0 { 504 } else { 200 };
        assert_eq!(answer.status(), expected, "{number}: {}", answer.text());
    }
}

/// A client that leaves has its hash given up; what cannot be given up comes to its end by itself.
#[test]
fn a_client_that_leaves_frees_the_instance() {
    let house = House::start(&Manifest::new().app(
        "hashes",
        "hashes",
        "limits = { concurrent = 1, queue = 0, cpu-ms = 60000, request-ms = 60000 }",
    ));
    for target in ["/pbkdf2?iterations=4294967295", "/scrypt?n=32768&r=8&p=16&maxmem=1000000000"] {
        let begun = house.log().matching(|entry| entry.is_output("hashes", "hashing")).len();
        let mut connection = house.connect();
        connection.send(Request::get("hashes.test", target).bytes());
        house.log().wait_for_count("it hashes", begun + 1, |entry| entry.is_output("hashes", "hashing"));
        drop(connection);
        let left = Instant::now();
        while house.get("hashes", "/ok").status() == 503 {
            assert!(left.elapsed() < PATIENCE, "the place is never free again");
        }
    }
    house.assert_well("hashes");
}

fn python(house: &House, app: &str, path: &str) -> Value {
    let answer = house.get(app, path);
    assert_eq!(answer.status(), 200, "{app} {path}: {}", answer.text());
    answer.json()
}

#[test]
fn django_hashes_passwords_as_anywhere() {
    // SHA-1 in millions of rounds takes its time on a busy machine.
    let keys = "instances.isolation = \"reuse\"\nlimits = { cpu-ms = 60000, request-ms = 120000 }";
    let house = House::start(&Manifest::new().app_of("natives", &python_component("natives"), keys).app_of(
        "natives-p3",
        &python_component("natives-p3"),
        keys,
    ));
    for app in ["natives", "natives-p3"] {
        for hasher in ["default", "pbkdf2_sha1", "scrypt"] {
            let made = python(&house, app, &format!("/password?hasher={hasher}"));
            assert_eq!((&made["right"], &made["wrong"]), (&Value::Bool(true), &Value::Bool(false)), "{made}");
            let encoded = made["encoded"].as_str().expect("a password").to_owned();
            let begins = if hasher == "default" { "pbkdf2_sha256$" } else { hasher };
            assert!(encoded.starts_with(begins), "{encoded}");
            assert!(known(&encoded), "{app}: another Python does not know the password from {encoded}");
        }
        let errors = python(&house, app, "/hash-errors");
        assert_eq!(errors["unknown"], "ValueError: unsupported hash type nope");
        assert_eq!(errors["iterations"], "ValueError: iteration value must be greater than 0.");
        assert_eq!(errors["maxmem"], "ValueError: memory limit exceeded: n, r and p take more than maxmem");
        assert!(
            errors["memory"].as_str().is_some_and(|text| text.starts_with("MemoryError: it takes 129 MiB")),
            "{errors}"
        );
        assert!(errors["guaranteed"].as_array().is_some_and(|missing| missing.is_empty()), "{errors}");
    }
}

/// Whether the machine's own Python finds that this was made of `correct horse`.
fn known(encoded: &str) -> bool {
    const PROGRAM: &str = "
import base64, hashlib, sys
kind, *parts = sys.argv[1].split('$')
if kind == 'scrypt':
    work, salt, block, parallel, hashed = parts
    made = hashlib.scrypt(b'correct horse', salt=salt.encode(), n=int(work), r=int(block), p=int(parallel), maxmem=2**26, dklen=64)
else:
    iterations, salt, hashed = parts
    made = hashlib.pbkdf2_hmac(kind.partition('_')[2], b'correct horse', salt.encode(), int(iterations))
sys.exit(base64.b64encode(made).decode() != hashed)";
    let mut python: Command = tool("python3", "python3");
    python.args(["-c", PROGRAM, encoded]).status().expect("python3 starts").success()
}
