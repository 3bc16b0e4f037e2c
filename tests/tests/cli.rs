//! The command line: what each command prints where, and its exit code: 0 done, 1 failed, 2 usage.

use std::{fs, path::Path};

use guesthouse_tests::{Outcome, component, run};
use serde_json::Value;
use tempfile::TempDir;

fn folder(manifest: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("guesthouse.toml"), manifest).expect("the manifest is written");
    fs::copy(component("echo"), folder.path().join("echo.wasm")).expect("a component");
    folder
}

fn good() -> TempDir {
    folder(
        "[host]\ncache-dir = \"cache\"\n\
         [apps.shop]\ncomponent = \"echo.wasm\"\nroutes = [\"shop.test\", \"*.shop.test\", \"mall.test/shop\"]\n\
         [apps.all]\ncomponent = \"echo.wasm\"\nroutes = [\"*\"]\n",
    )
}

fn assert_code(outcome: &Outcome, code: i32) {
    assert_eq!(outcome.code, Some(code), "{}{}", outcome.stdout, outcome.stderr);
}

fn here() -> &'static Path {
    Path::new("/")
}

#[test]
fn help_names_every_command() {
    let help = run(here(), &["--help"]);
    assert_code(&help, 0);
    assert!(help.stderr.is_empty(), "{}", help.stderr);
    let commands = [
        "serve", "check", "explain", "build", "demo", "schema", "status", "swap", "promote", "abort",
        "rollback", "reload", "logs", "drain",
    ];
    for command in commands {
        assert!(help.stdout.contains(command), "{command} in {}", help.stdout);
        let own = run(here(), &[command, "--help"]);
        assert_code(&own, 0);
        assert!(own.stdout.contains("Usage: guesthouse"), "{}", own.stdout);
    }
    let version = run(here(), &["--version"]);
    assert_code(&version, 0);
    assert!(version.stdout.starts_with("guesthouse "), "{}", version.stdout);
}

#[test]
fn wrong_usage_is_2() {
    let usages: [&[&str]; 7] = [
        &[],
        &["nonsense"],
        &["serve", "--nonsense"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--listen", "127.0.0.1:99999"],
        &["explain"],
        &["check", "-m"],
    ];
    for usage in usages {
        let outcome = run(here(), usage);
        assert_code(&outcome, 2);
        assert!(outcome.stdout.is_empty(), "{usage:?}: {}", outcome.stdout);
        assert!(
            outcome.stderr.contains("Usage") || outcome.stderr.contains("--help"),
            "{usage:?}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn check_finds_nothing_wrong() {
    let folder = good();
    let outcome = run(folder.path(), &["check"]);
    assert_code(&outcome, 0);
    assert!(outcome.stdout.contains("no problems"), "{}", outcome.stdout);
}

const WRONG: &str = r#"[listen]
http = "127.0.0.1:zero"

[apps.one]
component = "echo.wasm"
routes = ["a.test", "b..test"]

[apps.two]
component = "missing.wasm"
routs = ["c.test"]
routes = ["a.test"]
limits = { memory-mib = "much" }
"#;

/// Every problem of a manifest is told in one run, each with its place, its line and how to mend it.
#[test]
fn check_tells_all_problems_at_once() {
    let folder = folder(WRONG);
    let outcome = run(folder.path(), &["check"]);
    assert_code(&outcome, 1);
    for part in [
        "guesthouse.toml:2:8",
        "http = \"127.0.0.1:zero\"",
        "guesthouse.toml:6:21",
        "b..test",
        "guesthouse.toml:9:13",
        "missing.wasm",
        "guesthouse.toml:10:1",
        "did you mean `routes`?",
        "leads to two apps, `one` and `two`",
        "guesthouse.toml:12:",
        "`apps.two.limits.memory-mib` must be an integer",
        "^^^",
        "help: ",
    ] {
        assert!(outcome.stderr.contains(part), "{part} in {}", outcome.stderr);
    }
    assert!(!outcome.stderr.contains('\u{1b}'), "no colours where nobody looks");
    for command in [&["serve"] as &[&str], &["build"], &["explain", "http://a.test/"]] {
        let same = run(folder.path(), command);
        assert_code(&same, 1);
        assert!(same.stderr.contains("guesthouse.toml:2:8"), "{command:?} reads the same: {}", same.stderr);
    }
}

#[test]
fn check_looks_into_the_components() {
    let folder = folder(
        "[host]\ncache-dir = \"cache\"\n\
         [apps.text]\ncomponent = \"text.wasm\"\nroutes = [\"a.test\"]\n\
         [apps.half]\ncomponent = \"half.wasm\"\nroutes = [\"b.test\"]\n\
         [apps.module]\ncomponent = \"module.wasm\"\nroutes = [\"c.test\"]\n\
         [apps.good]\ncomponent = \"echo.wasm\"\nroutes = [\"d.test\"]\n",
    );
    let whole = fs::read(component("echo")).expect("a component");
    fs::write(folder.path().join("text.wasm"), "no wasm at all").expect("a file");
    fs::write(folder.path().join("half.wasm"), &whole[..whole.len() / 2]).expect("a file");
    // An empty core module: the magic number and the version.
    fs::write(folder.path().join("module.wasm"), b"\0asm\x01\0\0\0").expect("a file");
    let outcome = run(folder.path(), &["check"]);
    assert_code(&outcome, 1);
    for name in ["text.wasm", "half.wasm", "module.wasm"] {
        assert!(outcome.stderr.contains(name), "{name} in {}", outcome.stderr);
    }
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

#[test]
fn a_manifest_that_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in [&["check"] as &[&str], &["serve"], &["build"], &["check", "-m", "other.toml"]] {
        let outcome = run(folder.path(), command);
        assert_code(&outcome, 1);
        assert!(outcome.stderr.contains(".toml") && outcome.stderr.contains("help"), "{}", outcome.stderr);
    }
}

#[test]
fn explain_tells_who_answers() {
    let folder = good();
    for (url, app, route) in [
        ("http://shop.test/x", "shop", "shop.test"),
        ("http://a.b.shop.test/", "shop", "*.shop.test"),
        ("http://mall.test/shop/cart", "shop", "mall.test/shop"),
        ("http://mall.test/shopping", "all", "*"),
        ("https://elsewhere.example:8443/", "all", "*"),
        ("shop.test", "shop", "shop.test"),
    ] {
        let outcome = run(folder.path(), &["explain", url]);
        assert_code(&outcome, 0);
        let first = outcome.stdout.lines().next().expect("a line");
        assert!(
            first.contains(&format!("`{app}`")) && first.contains(&format!("`{route}`")),
            "{url}: {first}"
        );
    }
    let outcome = run(folder.path(), &["explain", "http://shop.test/"]);
    assert!(outcome.stdout.contains("all"), "what was less specific is told: {}", outcome.stdout);
    assert_code(&run(folder.path(), &["explain", "no url"]), 1);
}

#[test]
fn schema_is_a_json_schema_of_the_manifest() {
    let outcome = run(here(), &["schema"]);
    assert_code(&outcome, 0);
    let schema: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert!(
        schema["$schema"].as_str().is_some_and(|name| name.contains("json-schema.org")),
        "{}",
        schema["$schema"]
    );
    for table in ["listen", "server", "host", "defaults", "apps"] {
        assert!(schema["properties"][table].is_object(), "{table}");
    }
    assert!(outcome.stdout.contains("memory-mib") && !outcome.stdout.contains("memory_mib"));
}

#[test]
fn a_port_that_is_taken() {
    let folder = good();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let outcome = run(folder.path(), &["serve", "--listen", &address]);
    assert_code(&outcome, 1);
    assert!(
        outcome.stderr.contains(&address) && outcome.stderr.contains("127.0.0.1:0"),
        "{}",
        outcome.stderr
    );
}

/// A component that does not come from a source needs no building; one whose tool fails says so.
#[test]
fn build_runs_commands_and_says_what_failed() {
    let folder = folder(
        "[host]\ncache-dir = \"cache\"\n\
         [apps.made]\nroutes = [\"a.test\"]\ncomponent = \"made.wasm\"\nsource = { command = \"cp echo.wasm made.wasm\" }\n\
         [apps.given]\nroutes = [\"b.test\"]\ncomponent = \"echo.wasm\"\n",
    );
    let outcome = run(folder.path(), &["build"]);
    assert_code(&outcome, 0);
    assert!(folder.path().join("made.wasm").is_file());
    assert_code(&run(folder.path(), &["check"]), 0);

    let failing = "[apps.bad]\nroutes = [\"a.test\"]\ncomponent = \"x.wasm\"\n\
                   source = { command = \"echo it went wrong >&2; exit 3\" }\n";
    fs::write(folder.path().join("guesthouse.toml"), failing).expect("the manifest is written");
    let outcome = run(folder.path(), &["build"]);
    assert_code(&outcome, 1);
    assert!(outcome.stderr.contains("bad") && outcome.stderr.contains("it went wrong"), "{}", outcome.stderr);
    assert_code(&run(folder.path(), &["build", "nobody"]), 1);
}
