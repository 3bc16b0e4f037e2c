//! What Python apps send out by the libraries that projects use: `urllib.request`, `http.client` and requests. By HTTPS to a
//! real server, as far as it is granted, and in both worlds.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::{Duration, Instant},
};

use guesthouse_tests::{House, Manifest, Script, certificate, python_component, tool};
use serde_json::{Value, json};
use tempfile::TempDir;

const CLIENTS: [&str; 3] = ["urllib", "http.client", "requests"];
const APPS: [&str; 2] = ["natives", "natives-p3"];

/// A house with its servers: one for HTTPS, and two for HTTP of which connections to the other alone are granted.
struct Scene {
    https: Script,
    http: Script,
    by_tcp: Script,
    house: House,
    _folder: TempDir,
}

fn scene() -> Arc<Scene> {
    static SCENE: OnceLock<Mutex<Weak<Scene>>> = OnceLock::new();
    let mut shared = SCENE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(scene) = shared.upgrade() {
        return scene;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let authority = certificate(folder.path());
    let https = Script::start("web", &[&authority, &folder.path().join("key.pem")]);
    let (http, by_tcp) = (Script::start("web", &[]), Script::start("web", &[]));
    let grants = format!(
        "grants.http = [\"https://localhost:{0}\", \"https://127.0.0.1:{0}\", \"http://127.0.0.1:{1}\", \"http://127.0.0.1:1\"]\n\
         grants.tcp = [\"127.0.0.1:{2}\"]\nlimits = {{ outgoing = 40, outgoing-ms = 20000, memory-mib = 128, cpu-ms = 60000, request-ms = 120000 }}",
        https.port, http.port, by_tcp.port
    );
    let manifest = APPS.iter().fold(Manifest::new(), |manifest, app| {
        // From an image in one of the two worlds: nothing of the network may be left in it from the build or the start.
        let instances = format!("instances = {{ isolation = \"reuse\", snapshot = {} }}", *app == "natives");
        let component = python_component(app);
        let none = "instances.isolation = \"reuse\"";
        manifest.app_of(app, &component, &format!("{grants}\n{instances}")).app_of(
            &format!("{app}-none"),
            &component,
            none,
        )
    });
    let house = House::start_with(&manifest, 1, |command| {
        command.env("SSL_CERT_FILE", &authority);
    });
    let scene = Arc::new(Scene { https, http, by_tcp, house, _folder: folder });
    *shared = Arc::downgrade(&scene);
    scene
}

impl Scene {
    /// Has an app fetch from a URL.
    fn fetch(&self, app: &str, client: &str, url: &str, more: &str) -> Value {
        let url = url.replace('%', "%25").replace('?', "%3F").replace('&', "%26");
        let answer = self.house.get(app, &format!("/fetch?client={client}&url={url}{more}"));
        assert_eq!(answer.status(), 200, "{app} {client} {url}: {}", answer.text());
        answer.json()
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.https.port)
    }

    /// What went wrong: its text, and whether it is an error of this kind.
    fn error(&self, app: &str, client: &str, url: &str, kind: &str, more: &str) -> String {
        let told = self.fetch(app, client, url, more);
        let kinds = told["kinds"].as_array().unwrap_or_else(|| panic!("{app} {client} {url}: {told}"));
        let reason = told["reason"] == kind;
        assert!(reason || kinds.contains(&json!(kind)), "{app} {client} {url}: no {kind} in {told}");
        told["error"].as_str().expect("a text").to_owned()
    }
}

/// SHA-256 of what the guest sends.
fn digest(size: usize) -> String {
    let program = format!(
        "import hashlib; d = bytes(range(256)) * {}; print(hashlib.sha256(d[:{size}]).hexdigest())",
        size / 256 + 1
    );
    let output = tool("python3", "python3").args(["-c", &program]).output().expect("python3 starts");
    String::from_utf8(output.stdout).expect("a digest").trim().to_owned()
}

#[test]
fn requests_go_out_by_https_and_http() {
    let scene = scene();
    for (app, client) in APPS.iter().flat_map(|app| CLIENTS.map(|client| (*app, client))) {
        for base in [scene.url(""), format!("http://127.0.0.1:{}", scene.http.port)] {
            let told = scene.fetch(app, client, &format!("{base}/take?a=b%20c"), "");
            assert_eq!(told["status"], 200, "{app} {client} {base}: {told}");
            let taken: Value = serde_json::from_str(told["begins"].as_str().expect("a text")).expect("JSON");
            assert_eq!((&taken["method"], &taken["bytes"]), (&json!("GET"), &json!(0)), "{taken}");
            assert_eq!(taken["headers"]["transfer-encoding"], Value::Null, "{taken}");
            assert_eq!(told["headers"]["content-type"], "application/json");
        }
        let told = scene.fetch(app, client, &scene.url("/take"), "&method=PROPFIND");
        assert!(told["begins"].as_str().is_some_and(|text| text.contains("\"PROPFIND\"")), "{told}");
    }
    let told = scene.fetch("natives", "requests", &scene.url("/take"), "");
    assert_eq!(told["cookies"]["a"], "b", "{told}");
}

#[test]
fn bodies_stream_both_ways() {
    let scene = scene();
    // More than the guest has memory for, were it kept.
    for (size, more) in [(1000, ""), (100_000, ""), (100_000, "&stream=1"), (60 << 20, "&stream=1")] {
        let expected = digest(size);
        for app in APPS {
            for client in if size > 1 << 20 { &["requests"][..] } else { &CLIENTS[..] } {
                let told =
                    scene.fetch(app, client, &scene.url("/take"), &format!("&method=POST&size={size}{more}"));
                let taken: Value =
                    serde_json::from_str(told["begins"].as_str().unwrap_or_else(|| panic!("{told}")))
                        .expect("JSON");
                assert_eq!(
                    (&taken["bytes"], &taken["sha256"]),
                    (&json!(size), &json!(expected)),
                    "{app} {client}"
                );
                let chunked = taken["headers"]["transfer-encoding"] == "chunked";
                assert_eq!(chunked, !more.is_empty(), "{app} {client}: {taken}");
            }
        }
    }
    for (app, client) in APPS.iter().flat_map(|app| CLIENTS.map(|client| (*app, client))) {
        let told = scene.fetch(app, client, &scene.url("/give?size=62914560"), "");
        assert_eq!(told["bytes"], 62_914_560, "{app} {client}: {told}");
        let told = scene.fetch(app, client, &scene.url("/chunks"), "");
        let expected = (0..100).fold(String::new(), |mut text, number| {
            write!(text, "piece {number};").expect("text");
            text
        });
        assert_eq!(told["bytes"], expected.len(), "{app} {client}: {told}");
    }
}

#[test]
fn what_is_left_to_the_garbage_collector_is_ended_by_it() {
    let scene = scene();
    let url = scene.url("/give%3Fsize=62914560");
    for app in APPS {
        // Each time more than an app may have at once, were they not ended.
        for _ in 0..4 {
            let answer = scene.house.get(app, &format!("/leave?count=12&url={url}"));
            assert_eq!(answer.status(), 200, "{app}: {}", answer.text());
            assert!(answer.json()["collected"].as_u64() > Some(0), "{app}: {}", answer.text());
        }
    }
}

#[test]
fn redirects_and_codings_are_the_librarys() {
    let scene = scene();
    let there = format!("http://127.0.0.1:{}/take", scene.http.port);
    for app in APPS {
        for client in ["urllib", "requests"] {
            let told = scene.fetch(app, client, &scene.url(&format!("/redirect?to={there}")), "");
            assert_eq!(
                (&told["status"], &told["url"]),
                (&json!(200), &json!(there)),
                "{app} {client}: {told}"
            );
            // What is not granted is not granted to a redirect.
            let elsewhere = scene.url("/redirect?to=https://example.com/");
            assert!(scene.error(app, client, &elsewhere, "OSError", "").contains("https://example.com"));
        }
        let told = scene.fetch(app, "requests", &scene.url("/gzip"), "");
        assert_eq!(
            (&told["bytes"], &told["headers"]["content-encoding"]),
            (&json!(7000), &json!("gzip")),
            "{told}"
        );
    }
}

#[test]
fn what_is_not_granted_is_said_with_the_line_that_grants_it() {
    let scene = scene();
    for (app, client) in APPS.iter().flat_map(|app| CLIENTS.map(|client| (*app, client))) {
        let line = format!("grants.http = [\"https://localhost:{}\"]", scene.https.port);
        for more in ["", "&method=POST&size=1000", "&method=POST&size=5000000&stream=1"] {
            let error = scene.error(&format!("{app}-none"), client, &scene.url("/take"), "OSError", more);
            assert!(error.contains(&line), "{app} {client}: {error}");
        }
        let denied = format!("http://127.0.0.1:{}/take", scene.http.port);
        let error = scene.error(&format!("{app}-none"), client, &denied, "OSError", "");
        assert!(error.contains("grants.http = [\"http://127.0.0.1:"), "{app} {client}: {error}");
    }
    let kinds = [("urllib", "URLError"), ("http.client", "PermissionError"), ("requests", "ConnectionError")];
    for (client, kind) in kinds {
        scene.error("natives-none", client, &scene.url("/"), kind, "");
    }
}

#[test]
fn plain_http_goes_where_connections_are_granted() {
    let scene = scene();
    let url = format!("http://127.0.0.1:{}/take", scene.by_tcp.port);
    for (app, client) in APPS.iter().flat_map(|app| CLIENTS.map(|client| (*app, client))) {
        for (size, more) in [(0, ""), (100_000, "&method=POST"), (3_000_000, "&method=POST&stream=1")] {
            let told = scene.fetch(app, client, &url, &format!("&size={size}{more}"));
            assert!(
                told["begins"].as_str().is_some_and(|text| text.contains(&format!("\"bytes\": {size},"))),
                "{app} {client}: {told}"
            );
        }
    }
}

#[test]
fn failures_are_those_of_sockets() {
    let scene = scene();
    for (app, client) in APPS.iter().flat_map(|app| CLIENTS.map(|client| (*app, client))) {
        let error = |url: &str, kind: &str, more: &str| scene.error(app, client, url, kind, more);
        let refused = if client == "requests" { "ConnectionError" } else { "ConnectionRefusedError" };
        error("http://127.0.0.1:1/", refused, "");
        let begun = Instant::now();
        let slow = if client == "requests" { "Timeout" } else { "TimeoutError" };
        error(&scene.url("/never"), slow, "&timeout=0.5");
        let took = begun.elapsed();
        assert!(
            took >= Duration::from_millis(400) && took < Duration::from_secs(15),
            "{app} {client}: {took:?}"
        );
        // A certificate for another name.
        let other = format!("https://127.0.0.1:{}/take", scene.https.port);
        let untrusted = if client == "requests" { "SSLError" } else { "SSLCertVerificationError" };
        assert!(error(&other, untrusted, "").contains("certificate verify failed"));
        let broken = if client == "requests" { "RequestException" } else { "Exception" };
        error(&scene.url("/broken"), broken, "");
        // And the instance is as good as before.
        assert_eq!(scene.fetch(app, client, &scene.url("/take"), "")["status"], 200, "{app} {client}");
    }
}
