//! The admin interface: who may use it, what it refuses, its document, the log lines, and the commands that ask it.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
};

use guesthouse_tests::{House, Log, Manifest, Outcome, Request, component, guesthouse, run};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

fn manifest() -> Manifest {
    Manifest::new().app("hello", "echo", "").app("say", "say", "")
}

fn house() -> House {
    House::start(&manifest())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn write_token(folder: &TempDir, token: &str) {
    let file = folder.path().join("admin.token");
    fs::write(&file, token).expect("the token is written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("the token is private");
}

fn assert_code(outcome: &Outcome, code: i32) {
    assert_eq!(outcome.code, Some(code), "{}{}", outcome.stdout, outcome.stderr);
}

#[test]
fn the_socket_is_this_users_alone_while_the_house_is() {
    let house = house();
    let socket = house.folder().join(".guesthouse/admin.sock");
    assert_eq!(house.admin_url(), format!("unix:{}", socket.display()));
    assert!(fs::metadata(&socket).expect("the socket").file_type().is_socket());
    assert_eq!((mode(&socket), mode(socket.parent().expect("a folder"))), (0o600, 0o700));
    house.signal(Signal::TERM);
    let folder = house.folder().to_owned();
    assert!(house.wait().status.success());
    assert!(!folder.join(".guesthouse/admin.sock").exists());
}

#[test]
fn a_socket_of_a_dead_house_is_in_nobodys_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("admin.sock");
    let head = format!("[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"unix:{}\"", socket.display());
    let manifest = Manifest::new().head(&head).app("hello", "echo", "");
    let killed = House::start(&manifest);
    killed.signal(Signal::KILL);
    assert!(!killed.wait().status.success());
    assert!(socket.exists(), "left behind");
    let house = House::start(&manifest);
    assert_eq!(house.admin(&Request::get("house", "/v1/status")).status(), 200);

    // A second house that is told to listen there says what is in the way.
    let second = tempfile::tempdir().expect("a folder");
    fs::write(second.path().join("guesthouse.toml"), manifest.text()).expect("the manifest is written");
    let outcome = run(second.path(), &["serve"]);
    assert_code(&outcome, 1);
    assert!(outcome.stderr.contains("another server listens there"), "{}", outcome.stderr);
    assert_eq!(house.admin(&Request::get("house", "/v1/status")).status(), 200, "the first is as it was");
}

/// A house that was not told where does without, until the one before it has ended.
#[test]
fn a_second_house_waits_for_the_default_socket() {
    let manifest = Manifest::new().head("[host]\nstate-dir = \"state\"").app("hello", "echo", "");
    let first = House::start(&manifest);
    first.admin_url();
    let folder = tempfile::tempdir().expect("a folder");
    symlink(first.folder().join(".guesthouse"), folder.path().join(".guesthouse")).expect("a link");
    let second = House::start_in(folder, &manifest.text(), 1, |_| {});
    second.assert_well("hello");
    second.log().wait_for("the warning", |entry| {
        entry.text("level") == "WARN" && entry.message().contains("another server listens there")
    });
    assert!(second.errors().matching(|entry| entry.message().starts_with("admin on")).is_empty());
    first.signal(Signal::TERM);
    second.admin_url();
    assert_eq!(second.admin(&Request::get("house", "/v1/status")).status(), 200);
}

#[test]
fn tcp_needs_the_token() {
    let folder = tempfile::tempdir().expect("a folder");
    write_token(&folder, "  a-long-secret\n");
    let head =
        "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nadmin-token-file = \"admin.token\"";
    let manifest = Manifest::new().head(head).app("hello", "echo", "");
    let house = House::start_in(folder, &manifest.text(), 1, |_| {});
    let url = house.admin_url();
    assert!(url.starts_with("http://127.0.0.1:") && !url.ends_with(":0"), "{url}");
    let get = |fields: &[(&str, &str)]| {
        let request = Request::get("house", "/v1/status");
        house.admin(&fields.iter().fold(request, |request, (name, value)| request.header(name, value)))
    };
    let good = ("authorization", "Bearer a-long-secret");
    assert_eq!(get(&[good]).status(), 200);
    for wrong in
        [&[] as &[(&str, &str)], &[("authorization", "Bearer a-long-secreT")], &[("authorization", "x")]]
    {
        let answer = get(wrong);
        assert_eq!((answer.status(), answer.header("www-authenticate")), (401, Some("Bearer")), "{wrong:?}");
        assert!(answer.json()["message"].as_str().expect("a message").contains("token"));
    }
    // A stranger does not even learn what there is.
    assert_eq!(house.admin(&Request::get("house", "/v1/nothing")).status(), 401);
    let answer = get(&[good, ("origin", "https://evil.test")]);
    assert_eq!(answer.status(), 403);
    assert!(!house.log().entries().iter().any(|line| line.to_string().contains("a-long-secret")));

    let address = url.trim_start_matches("http://");
    let with = |more: &[&str]| house.command(&[&["status", "--json", "--admin", address], more].concat());
    let outcome = with(&["--token-file", "admin.token"]);
    assert_code(&outcome, 0);
    let outcome = with(&[]);
    assert_code(&outcome, 1);
    assert!(outcome.stderr.contains("--token-file"), "{}", outcome.stderr);
    fs::write(house.folder().join("admin.token"), "another").expect("written");
    let outcome = with(&["--token-file", "admin.token"]);
    assert_code(&outcome, 1);
    assert!(outcome.stderr.contains("not that of this house"), "{}", outcome.stderr);
}

#[test]
fn a_socket_may_need_a_token_too() {
    let folder = tempfile::tempdir().expect("a folder");
    write_token(&folder, "secret");
    let head = "[listen]\nhttp = \"127.0.0.1:0\"\nadmin-token-file = \"admin.token\"";
    let manifest = Manifest::new().head(head).app("hello", "echo", "");
    let house = House::start_in(folder, &manifest.text(), 1, |_| {});
    house.admin_url();
    let request = Request::get("house", "/v1/status");
    assert_eq!(house.admin(&request).status(), 401);
    assert_eq!(house.admin(&request.header("authorization", "Bearer secret")).status(), 200);
    // The command finds the token as it finds the socket.
    assert_code(&house.command(&["status"]), 0);
}

#[test]
fn off_is_off() {
    let head = "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"off\"";
    let house = House::start(&Manifest::new().head(head).app("hello", "echo", ""));
    let outcome = house.command(&["status"]);
    assert_code(&outcome, 1);
    assert!(outcome.stderr.contains("--admin"), "{}", outcome.stderr);
    assert!(!house.folder().join(".guesthouse/admin.sock").exists());
    assert!(house.errors().matching(|entry| entry.message().starts_with("admin on")).is_empty());
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let house = house();
    let json = |path: &str, body: &str| {
        Request::post("house", path, body).header("content-type", "application/json")
    };
    let swap = "/v1/apps/hello/swap";
    let wasm = |query: &str| {
        Request::post("house", &format!("{swap}{query}"), "x").header("content-type", "application/wasm")
    };
    let long = format!("{{\"settings\": {{\"x\": \"{}\"}}}}", "x".repeat(1 << 20));
    let digest = format!("/v1/components/sha256:{}", "0".repeat(64));
    for (request, status, words) in [
        (Request::get("house", "/"), 404, "/v1/openapi.json"),
        (Request::get("house", "/v1/status/"), 404, "/v1/openapi.json"),
        (Request::get("house", "/v1/apps/nobody"), 404, "`nobody`"),
        (Request::get("house", &digest), 404, "upload"),
        (Request::get("house", "/v1/components/sha256:0"), 400, "64"),
        (Request::post("house", "/v1/status", ""), 405, "POST"),
        (Request::new("DELETE", "house", "/v1/apps/hello"), 405, "DELETE"),
        (json(swap, "{\n  \"component\": 5\n}"), 400, "line 2 column"),
        (json(swap, "{"), 400, "line 1 column"),
        (json(swap, "{\"compnent\": \"x\"}"), 400, "unknown field `compnent`"),
        (json(swap, "{\"canary\": {\"percent\": 5, \"stick\": 1}}"), 400, "unknown field `stick`"),
        (json(swap, "{\"canary\": {\"percent\": 100}}"), 400, "less than 100"),
        (json(swap, ""), 400, "empty"),
        (json(&format!("{swap}?canary=5"), "{}"), 400, "in the JSON"),
        (json("/v1/apps/hello/rollback", "{\"to\": -1}"), 400, "line 1 column"),
        (json(swap, &long), 413, "bytes"),
        (Request::post("house", swap, "{}"), 415, "application/json"),
        (Request::post("house", "/v1/apps/hello/rollback", "to=1"), 415, "application/json"),
        (wasm("?canary=0"), 400, "more than 0"),
        (wasm("?canary=NaN"), 400, "more than 0"),
        (wasm("?canary=many"), 400, "canary"),
        (wasm("?sticky=cookie"), 400, "canary"),
        (wasm("?canary=5&sticky=glue"), 400, "sticky"),
        (wasm("?canry=5"), 400, "canry"),
        (Request::new("PUT", "house", "/v1/components"), 400, "empty"),
        (Request::get("house", "/v1/logs?lines=many"), 400, "lines"),
        (Request::get("house", "/v1/logs?lines=1001"), 400, "1000"),
        (Request::get("house", "/v1/logs?folow=true"), 400, "folow"),
        (Request::get("house", "/v1/logs?app=nobody"), 404, "`nobody`"),
    ] {
        let head = String::from_utf8_lossy(&request.bytes()).lines().next().unwrap_or_default().to_owned();
        let answer = house.admin(&request);
        let body = answer.json();
        assert_eq!(answer.status(), status, "{head}: {body}");
        assert!(body["message"].as_str().expect("a message").contains(words), "{head}: {words} in {body}");
        assert!(body["reason"].is_string() && body.as_object().expect("an object").len() == 2, "{body}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{head}");
    }
    house.assert_well("hello");
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                found.insert(reference.clone());
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// What the document says is there, and nothing else of these paths.
#[test]
fn the_document_tells_what_there_is() {
    let house = house();
    let document = house.admin(&Request::get("house", "/v1/openapi.json")).json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Status"), "{found:?}");
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let paths = document["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), 13);
    for (path, item) in paths {
        let target =
            path.replace("{app}", "hello").replace("{digest}", &format!("sha256:{}", "0".repeat(64)));
        for method in ["get", "put", "post", "delete", "patch"] {
            if path == "/v1/drain" && method == "post" {
                // The house would end.
                continue;
            }
            let operation = &item[method];
            let answer = house.admin(&Request::new(&method.to_uppercase(), "house", &target));
            let status = answer.status();
            let known = !String::from_utf8_lossy(&answer.body).contains("there is nothing at");
            assert!(known, "{method} {path}");
            assert_eq!(status == 405, operation.is_null(), "{method} {path}: {status}");
            if !operation.is_null() {
                let responses = operation["responses"].as_object().expect("responses");
                let told = responses.contains_key(&status.to_string()) || status == 415;
                assert!(told, "{method} {path}: {status} is not in the document");
            }
        }
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

/// The same lines as the log has, whatever its format.
#[test]
fn the_latest_lines_of_the_log() {
    for format in ["json", "text"] {
        let server = format!("log = \"{format}\"");
        let house =
            House::start(&Manifest::new().server(&server).app("hello", "echo", "").app("say", "say", ""));
        house.get("hello", "/ok");
        house.get("say", "/?stdout=said%20%22this%22");
        house.log().wait_for_count("access lines", 2, |entry| entry.message().contains("access"));
        let get = |query: &str| house.admin(&Request::get("house", &format!("/v1/logs{query}")));
        let answer = get("?app=say");
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        let of_say = lines(&answer.text());
        let messages: Vec<_> = of_say.iter().filter_map(|line| line["message"].as_str()).collect();
        assert_eq!(messages, ["said \"this\"", "access"]);
        let access = &of_say[1];
        assert_eq!(
            (&access["level"], &access["app"], &access["method"], &access["status"], &access["client"]),
            (&json!("INFO"), &json!("say"), &json!("GET"), &json!(200), &json!("127.0.0.1"))
        );
        if format == "json" {
            let logged = house.log().wait_for("the line", |entry| entry.is_access("say"));
            let mut logged: Value = serde_json::from_str(&logged.to_string()).expect("JSON");
            let mut kept = access.clone();
            for line in [&mut logged, &mut kept] {
                let at = line.as_object_mut().expect("an object").remove("timestamp");
                assert!(at.is_some_and(|at| at.as_str().is_some_and(|at| at.ends_with('Z'))));
            }
            assert_eq!(logged, kept);
        }
        assert_eq!(lines(&get("?lines=1").text()), of_say[1..]);
        assert!(get("?lines=0").text().is_empty());

        let outcome = house.command(&["logs", "say"]);
        assert_code(&outcome, 0);
        assert!(outcome.stdout.contains(" INFO  say said \"this\" generation=1"), "{}", outcome.stdout);
        assert_eq!(outcome.stdout.lines().count(), 2);
        let outcome = house.command(&["logs", "say", "--json", "--lines", "1"]);
        assert_eq!(lines(&outcome.stdout), of_say[1..]);
        assert_code(&house.command(&["logs", "nobody"]), 1);
    }
}

#[test]
fn lines_can_be_followed() {
    let house = house();
    house.get("say", "/?stdout=before");
    house.log().wait_for("the access line", |entry| entry.is_access("say"));
    let mut follower = Command::new(guesthouse())
        .args(["logs", "say", "-n", "1", "--follow", "--json", "-m"])
        .arg(house.folder().join("guesthouse.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let (followed, reader) = Log::collect(follower.stdout.take().expect("a pipe"));
    // From the latest line on, without a gap.
    followed.wait_for("the latest line", |entry| entry.is_access("say"));
    house.get("hello", "/ok");
    house.get("say", "/?stdout=after");
    followed.wait_for("the line that came", |entry| entry.is_output("say", "after"));
    let all = followed.entries();
    assert!(all.iter().all(|entry| entry.text("app") == "say" && entry.message() != "before"));
    // The end of the house ends the stream, and is no failure.
    assert!(house.stop().status.success());
    assert!(follower.wait().expect("the command ends").success());
    reader.join().expect("the lines are collected");
}

#[test]
fn commands_say_what_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(component("echo"), folder.path().join("echo.wasm")).expect("a component");
    let manifest = "[apps.hello]\ncomponent = \"echo.wasm\"\nroutes = [\"*\"]\n";
    fs::write(folder.path().join("guesthouse.toml"), manifest).expect("the manifest is written");
    for command in [
        &["status"] as &[&str],
        &["status", "--json"],
        &["swap", "hello", "echo.wasm"],
        &["rollback", "hello"],
        &["logs"],
        &["reload"],
        &["drain"],
        &["status", "--admin", "unix:nobody.sock"],
        &["status", "--admin", "127.0.0.1:1"],
    ] {
        let outcome = run(folder.path(), command);
        assert_code(&outcome, 1);
        let said = &outcome.stderr;
        assert!(said.contains("no house listens on") && said.contains("--admin"), "{command:?}: {said}");
        assert!(outcome.stdout.is_empty(), "{}", outcome.stdout);
    }
    for usage in [
        &["swap", "hello"] as &[&str],
        &["swap", "hello", "x.wasm", "--canary", "0"],
        &["swap", "hello", "x.wasm", "--canary", "101%"],
        &["swap", "hello", "x.wasm", "--sticky", "cookie"],
        &["swap", "hello", "x.wasm", "--canary", "5%", "--sticky", "glue"],
        &["swap", "hello", "--set", "key"],
        &["swap", "hello", "--set", "a..b=1"],
        &["rollback", "hello", "--to", "one"],
        &["promote"],
    ] {
        assert_code(&run(folder.path(), usage), 2);
    }
}

#[test]
fn status_is_for_people_or_for_programs() {
    let house = house();
    house.assert_well("hello");
    let outcome = house.command(&["status", "--json"]);
    assert_code(&outcome, 0);
    let status: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let document = house.admin(&Request::get("house", "/v1/openapi.json")).json();
    let required = document["components"]["schemas"]["Status"]["required"].as_array().expect("fields");
    for field in required {
        assert!(status.get(field.as_str().expect("a name")).is_some(), "{field} in {status}");
    }
    assert_eq!(status["pid"], house.pid().as_raw_nonzero().get());
    let app = &status["apps"][0];
    assert_eq!((&app["name"], &app["serving"]["number"]), (&json!("hello"), &json!(1)));
    assert_eq!(house.admin(&Request::get("house", "/v1/apps")).json().as_array().map(Vec::len), Some(2));
    let one = house.admin(&Request::get("house", "/v1/apps/hello")).json();
    assert_eq!(one["routes"], app["routes"]);

    let outcome = house.command(&["status"]);
    assert_code(&outcome, 0);
    for part in ["GENERATION", "hello", "REQUESTS", "listening on http://127.0.0.1:"] {
        assert!(outcome.stdout.contains(part), "{part} in {}", outcome.stdout);
    }
}

/// By command: code, then settings, then back, with an upload of the file on the way.
#[test]
fn an_app_is_swapped_and_rolled_back_by_command() {
    let house = House::start(&Manifest::new().app("hello", "hello-rust", "settings.greeting = \"Good day\""));
    let greeting = || house.get("hello", "/").text().lines().next().unwrap_or_default().to_owned();
    let (first, file) = (greeting(), component("echo"));
    assert!(first.contains("Good day"), "{first}");
    let file = file.to_string_lossy();
    let outcome = house.command(&["swap", "hello", &file]);
    assert_code(&outcome, 0);
    assert!(
        outcome.stdout.starts_with("hello: generation 2 serves (was 1): component"),
        "{}",
        outcome.stdout
    );
    assert!(outcome.stdout.contains(", all "), "{}", outcome.stdout);
    house.assert_well("hello");

    let outcome = house.command(&["rollback", "hello"]);
    assert_code(&outcome, 0);
    assert!(outcome.stdout.starts_with("hello: generation 1 serves again (was 2)"), "{}", outcome.stdout);
    assert_eq!(greeting(), first);

    let outcome = house.command(&["swap", "hello", "--set", "greeting=Good night"]);
    assert_code(&outcome, 0);
    assert!(outcome.stdout.contains("generation 3 serves (was 1): settings"), "{}", outcome.stdout);
    assert!(greeting().contains("Good night"), "{}", greeting());

    let outcome = house.command(&["status"]);
    assert!(outcome.stdout.contains("2 kept") && outcome.stdout.contains("1 kept"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("differs from the manifest"), "{}", outcome.stdout);
    for refused in [
        &["swap", "nobody", &*file] as &[&str],
        &["swap", "hello", "missing.wasm"],
        &["swap", "hello", "guesthouse.toml"],
        &["rollback", "hello", "--to", "77"],
        &["promote", "hello"],
    ] {
        let outcome = house.command(refused);
        assert_code(&outcome, 1);
        assert!(outcome.stderr.starts_with("error: "), "{}", outcome.stderr);
    }
    assert!(greeting().contains("Good night"), "what was refused changed nothing");
    assert_code(&house.command(&["drain"]), 0);
    assert!(house.wait().status.success());
}
