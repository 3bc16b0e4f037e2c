//! Python guests: unmodified Django projects of two versions in one process, Flask and plain WSGI, each with its own
//! settings and its own globals. The first run builds them, which takes minutes.

use std::{fmt::Write, sync::Arc, thread};

use guesthouse_tests::{House, Manifest, Request, Response, SharedHouse, python_component};
use serde_json::{Value, json};

static HOUSE: SharedHouse = SharedHouse::new();

const REUSE: &str = "instances.isolation = \"reuse\"";

/// Everything in one process.
fn house() -> Arc<House> {
    HOUSE.get(|| {
        let app = |manifest: Manifest, name: &str, guest: &str, keys: &str| {
            manifest.app_of(name, &python_component(guest), keys)
        };
        let site = |name: &str, settings: &str| {
            format!("routes = [\"{name}.localhost\"]\n{REUSE}\n[apps.{name}.settings]\n{settings}")
        };
        let mut manifest = Manifest::new().server("trusted-proxies = [\"127.0.0.0/8\"]");
        let legacy = "GREETINGS_SHOWN = 3\nTAX_RATE = 0.25\nFEATURES = { newsletter = true, colours = { paper = \"white\" } }";
        manifest = app(manifest, "legacy", "django-legacy", &site("legacy", legacy));
        let first = "DJANGO_SETTINGS_MODULE = \"foo.settings\"\nSITE_TITLE = \"Foo of the test\"\nPRODUCTS_PER_PAGE = 2";
        manifest = app(manifest, "foo", "django-modern", &site("foo", first));
        let second = "DJANGO_SETTINGS_MODULE = \"bar.settings\"";
        manifest = app(manifest, "bar", "django-modern", &site("bar", second));
        let mounted = "routes = [{ route = \"mall.localhost/shop\", strip-prefix = true }]\n\
                       settings = { DJANGO_SETTINGS_MODULE = \"foo.settings\" }";
        manifest = app(manifest, "mounted", "django-modern", mounted);
        let flask = "SITE_TITLE = \"Notes of the test\"\nNOTES_MAX = 2\nSECRET_KEY = \"secret\"";
        manifest = app(manifest, "flask", "flask", &site("flask", flask));
        for wsgi in ["wsgi", "wsgi-p3"] {
            let routes = format!(
                "routes = [\"{wsgi}.test\", {{ route = \"{wsgi}.test/mount/point\", strip-prefix = true }}]\n\
                 settings = {{ TEXT = \"ä\", NUMBER = 7, RATE = 0.5, ON = true, LIST = [1, \"two\"], TABLE = {{ a = {{ b = 1 }} }} }}"
            );
            manifest = app(manifest, wsgi, wsgi, &routes);
        }
        for validate in ["validate", "validate-p3"] {
            manifest = app(manifest, validate, validate, "");
        }
        for (name, guest, instances) in [
            ("mutate-a", "mutate", REUSE),
            ("mutate-b", "mutate", REUSE),
            ("mutate-fresh", "mutate", "instances.isolation = \"request\""),
            ("mutate-p3-a", "mutate-p3", "instances.concurrency = 8"),
            ("mutate-p3-b", "mutate-p3", "instances.concurrency = 8"),
        ] {
            let module = if name.ends_with('b') { "settings_two" } else { "settings_one" };
            let keys = format!("{instances}\nsettings = {{ DJANGO_SETTINGS_MODULE = \"{module}\" }}");
            manifest = app(manifest, name, guest, &keys);
        }
        manifest
    })
}

fn page(host: &str, path: &str) -> Response {
    house().send(&Request::get(host, path))
}

fn info(host: &str) -> Value {
    let answer = page(host, "/info.json");
    assert_eq!(answer.status(), 200, "{host}: {}", answer.text());
    answer.json()
}

#[test]
fn two_versions_of_django_live_in_one_process() {
    let _house = house();
    let (legacy, foo, bar) = (info("legacy.localhost"), info("foo.localhost"), info("bar.localhost"));
    for (site, version) in [(&legacy, "5.2"), (&foo, "6.1"), (&bar, "6.1")] {
        assert!(site["django"].as_str().expect("a version").starts_with(version), "{site}");
    }
    assert_eq!(legacy["settings_module"], "legacy.settings");
    assert_eq!(
        python_component("django-modern"),
        python_component("django-modern"),
        "foo and bar are one file"
    );
    assert_eq!(
        (&foo["settings_module"], &bar["settings_module"]),
        (&json!("foo.settings"), &json!("bar.settings"))
    );
    assert_eq!((&foo["root_urlconf"], &bar["root_urlconf"]), (&json!("foo.urls"), &json!("bar.urls")));
    assert_eq!(
        (&foo["site_title"], &bar["site_title"]),
        (&json!("Foo of the test"), &json!("Bar Tea House"))
    );
    assert_ne!(foo["secret_key_sha256"], bar["secret_key_sha256"]);
    assert_ne!(foo["process"], bar["process"]);
}

#[test]
fn settings_of_the_manifest_replace_those_of_the_project_with_their_types() {
    let _house = house();
    let legacy = info("legacy.localhost");
    assert_eq!(legacy["settings"]["GREETINGS_SHOWN"], 3);
    assert_eq!(legacy["settings"]["TAX_RATE"], 0.25);
    assert_eq!(legacy["types"]["TAX_RATE"], "float");
    assert_eq!(legacy["types"]["DEBUG"], "bool");
    let features = json!({
        "guestbook": true, "newsletter": true, "colours": { "accent": "#8a3b12", "paper": "white" }
    });
    assert_eq!(legacy["settings"]["FEATURES"], features, "tables are merged");
    assert_eq!(info("foo.localhost")["settings"]["PRODUCTS_PER_PAGE"], 2);
    assert_eq!(info("bar.localhost")["settings"]["PRODUCTS_PER_PAGE"], 4);
    let title = page("foo.localhost", "/").text();
    assert!(title.contains("<title>Foo of the test</title>"), "{title}");
}

#[test]
fn each_site_has_its_time_zone_and_language() {
    let _house = house();
    for (host, zone, offsets, language) in [
        ("legacy.localhost", "Europe/Vienna", ["+01:00", "+02:00"], "en"),
        ("foo.localhost", "Europe/Berlin", ["+01:00", "+02:00"], "en"),
        ("bar.localhost", "Asia/Tokyo", ["+09:00", "+09:00"], "fr"),
    ] {
        let site = info(host);
        assert_eq!((&site["time_zone"], &site["language"]), (&json!(zone), &json!(language)), "{host}");
        let now = site["now"].as_str().expect("a time");
        assert!(offsets.iter().any(|offset| now.ends_with(offset)), "{host}: {now}");
    }
    let german = house().send(&Request::get("legacy.localhost", "/").header("accept-language", "de")).text();
    assert!(german.contains("<html lang=\"de\">") && german.contains("Willkommen"), "{german}");
}

#[test]
fn each_site_has_its_own_addresses() {
    let _house = house();
    for (path, foo, bar) in [("/workshop/", 200, 404), ("/ceremony/", 404, 200), ("/about/", 200, 200)] {
        assert_eq!(
            (page("foo.localhost", path).status(), page("bar.localhost", path).status()),
            (foo, bar),
            "{path}"
        );
    }
    assert_eq!(page("foo.localhost", "/about").header("location"), Some("/about/"));
    let style = page("foo.localhost", "/static/pages/style.css");
    assert_eq!(style.status(), 200);
    assert!(style.header("content-type").is_some_and(|kind| kind.starts_with("text/css")));
    assert_eq!(page("legacy.localhost", "/static/guestbook/style.css").status(), 200);
    assert_eq!(page("foo.localhost", "/static/../foo/settings.py").status(), 404);
}

/// The cookies of an answer, as a client sends them back.
fn cookies(answer: &Response) -> String {
    let set = answer.head.headers.iter().filter(|(name, _)| name == "set-cookie");
    set.fold(String::new(), |mut cookies, (_, cookie)| {
        let pair = cookie.split(';').next().expect("a cookie");
        write!(cookies, "{}{pair}", if cookies.is_empty() { "" } else { "; " }).expect("a text grows");
        cookies
    })
}

#[test]
fn a_cookie_signed_by_one_site_is_refused_by_the_other() {
    let _house = house();
    let signed = cookies(&page("foo.localhost", "/"));
    assert!(signed.contains("sessionid="), "{signed}");
    let visits = |host: &str| {
        house().send(&Request::get(host, "/info.json").header("cookie", &signed)).json()["visits"].clone()
    };
    assert_eq!((visits("foo.localhost"), visits("bar.localhost")), (json!(1), json!(0)));
}

#[test]
fn forms_are_protected_and_work() {
    let _house = house();
    let first = page("legacy.localhost", "/");
    let jar = cookies(&first);
    let text = first.text();
    let token = text.split("name=\"csrfmiddlewaretoken\" value=\"").nth(1).expect("a token");
    let token = token.split('"').next().expect("a token");
    let sign = |fields: &str, jar: &str| {
        let request = Request::post("legacy.localhost", "/sign/", fields)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", jar);
        house().send(&request)
    };
    assert_eq!(sign("name=Eve&text=x", &jar).status(), 403, "without the token");
    let answer = sign(&format!("name=J%C3%B6rg&text=hello&csrfmiddlewaretoken={token}"), &jar);
    assert_eq!(answer.status(), 302, "{}", answer.text());
    let next = Request::get("legacy.localhost", "/").header("cookie", &cookies(&answer));
    let text = house().send(&next).text();
    assert!(text.contains("Thank you, Jörg.") && text.contains("<blockquote>hello"), "{text}");
    assert_eq!(sign(&format!("name=&text=&csrfmiddlewaretoken={token}"), &jar).status(), 422);
}

#[test]
fn a_mounted_site_knows_its_mount_point() {
    let _house = house();
    let answer = page("mall.localhost", "/shop/info.json").json();
    assert_eq!(answer["script_name"], "/shop");
    assert_eq!(answer["url"], "http://mall.localhost/shop/info.json");
    let text = page("mall.localhost", "/shop/").text();
    assert!(text.contains("href=\"/shop/about/\""), "links begin at the mount point: {text}");
    for wsgi in ["wsgi", "wsgi-p3"] {
        let host = format!("{wsgi}.test");
        let environ = page(&host, "/mount/point/environ?q=1").json();
        assert_eq!(
            (&environ["SCRIPT_NAME"], &environ["PATH_INFO"]),
            (&json!("/mount/point"), &json!("/environ"))
        );
        let environ = page(&host, "/environ").json();
        assert_eq!((&environ["SCRIPT_NAME"], &environ["PATH_INFO"]), (&json!(""), &json!("/environ")));
    }
}

#[test]
fn the_environ_is_right() {
    let _house = house();
    for wsgi in ["wsgi", "wsgi-p3"] {
        let host = format!("{wsgi}.test");
        let request = Request::get(&format!("{host}:8443"), "/environ?a=%20b&c")
            .header("x-forwarded-for", "198.51.100.7")
            .header("x-forwarded-proto", "https")
            .header("x-two-words", "1")
            .header("x-two-words", "2")
            .header("content-type", "text/plain");
        let answer = house().send(&request);
        let environ = answer.json();
        for (key, value) in [
            ("REQUEST_METHOD", json!("GET")),
            ("QUERY_STRING", json!("a=%20b&c")),
            ("SERVER_NAME", json!(host)),
            ("SERVER_PORT", json!("8443")),
            ("HTTP_HOST", json!(format!("{host}:8443"))),
            ("REMOTE_ADDR", json!("198.51.100.7")),
            ("wsgi.url_scheme", json!("https")),
            ("HTTP_X_TWO_WORDS", json!("1,2")),
            ("CONTENT_TYPE", json!("text/plain")),
            ("wsgi.multithread", json!(false)),
            ("wsgi.multiprocess", json!(true)),
        ] {
            let seen = match &environ[key] {
                Value::String(text) if key == "HTTP_X_TWO_WORDS" => json!(text.replace(", ", ",")),
                other => other.clone(),
            };
            assert_eq!(seen, value, "{wsgi}: {key}");
        }
        assert!(
            environ.get("HTTP_CONTENT_TYPE").is_none()
                && environ.get("CONTENT_LENGTH").is_none_or(|length| length == "")
        );
    }
}

#[test]
fn settings_keep_their_types_in_python() {
    let _house = house();
    for wsgi in ["wsgi", "wsgi-p3"] {
        let ask = |path: &str| page(&format!("{wsgi}.test"), &format!("/settings?path={path}")).json();
        for (path, kind, value) in [
            ("TEXT", "str", json!("ä")),
            ("NUMBER", "int", json!(7)),
            ("RATE", "float", json!(0.5)),
            ("ON", "bool", json!(true)),
            ("LIST", "list", json!([1, "two"])),
            ("TABLE", "dict", json!({ "a": { "b": 1 } })),
            ("TABLE.a.b", "int", json!(1)),
            ("ABSENT", "NoneType", Value::Null),
        ] {
            let found = ask(path);
            assert_eq!((&found["type"], &found["value"]), (&json!(kind), &value), "{wsgi}: {path}");
        }
    }
}

#[test]
fn flask_keeps_sessions_and_settings() {
    let _house = house();
    let first = page("flask.localhost", "/");
    assert!(first.text().contains("<title>Notes of the test</title>"), "{}", first.text());
    let request = Request::post("flask.localhost", "/notes", "text=remember+%E2%9C%93")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("cookie", &cookies(&first));
    let answer = house().send(&request);
    assert_eq!((answer.status(), answer.header("location")), (302, Some("/")));
    let jar = cookies(&answer);
    let home = house().send(&Request::get("flask.localhost", "/").header("cookie", &jar));
    assert!(home.text().contains("remember ✓") && home.text().contains("Noted."), "{}", home.text());
    let facts = info("flask.localhost");
    assert_eq!((&facts["notes_max"], &facts["generation"]), (&json!(2), &json!(1)));
    assert_eq!(page("flask.localhost", "/notes/9").status(), 404);
}

/// `wsgiref.validate` checks every step of the protocol from within: a breach is a 500.
#[test]
fn the_bridge_keeps_to_pep_3333() {
    let house = house();
    for app in ["validate", "validate-p3"] {
        let answer = house.get(app, "/some/p%C3%A4th?q=%20");
        assert_eq!(answer.status(), 200, "{app}: {}", answer.text());
        assert!(answer.text().starts_with("GET |/some/p"), "{app}: {}", answer.text());
        let twice: Vec<_> = answer.head.headers.iter().filter(|(name, _)| name == "x-twice").collect();
        assert_eq!(twice.len(), 2, "{:?}", answer.head);
        assert_eq!(house.get(app, "/write").text(), "one two three\n");
        assert_eq!(house.get(app, "/none").status(), 204);
        let answer = house.get(app, "/exc-info");
        assert_eq!((answer.status(), answer.text().as_str()), (503, "replaced\n"));
        assert_eq!(house.get(app, "/fail").status(), 500);
        assert_eq!(house.get(app, "/hop").status(), 500, "hop-by-hop headers are not the application's");
        let head = house.send(&Request::new("HEAD", &format!("{app}.test"), "/"));
        assert_eq!((head.status(), head.body.len()), (200, 0));

        let body = b"abcdef\nghij\nkl\nmn";
        let read = "b'abc'\nb'def\\n'\nb'gh'\nb'ij\\n'\nb'kl\\nmn'\nb''\n";
        for request in [
            Request::post(&format!("{app}.test"), "/read", body),
            Request::chunked(&format!("{app}.test"), "/read", &[&body[..4], &body[4..5], &body[5..]]),
        ] {
            assert_eq!(house.send(&request).text(), read, "{app}");
        }
        house.log().wait_for("what it wrote to wsgi.errors", |entry| entry.is_output(app, "reading done"));

        let mut connection = house.connect();
        connection.send(Request::get(&format!("{app}.test"), "/fail-late").bytes());
        let broken = connection.try_response("GET").expect_err("a body that fails does not end well");
        assert!(b"begun\n".starts_with(&broken.body), "{broken}");
        assert_eq!(house.get(app, "/").status(), 200, "{app} is well again");
    }
}

#[test]
fn answers_stream_out_of_python() {
    let house = house();
    for app in ["wsgi", "wsgi-p3"] {
        let answer = house.get(app, "/stream?lines=2000&bytes=1000");
        assert_eq!(answer.body.len(), 2_000_000, "{app}");
        assert_eq!(answer.text().lines().count(), 2000);
        // The first line is there long before the last is made.
        let mut connection = house.connect();
        connection.send(Request::get(&format!("{app}.test"), "/stream?lines=3&bytes=16&pause=0.3").bytes());
        let head = connection.head();
        assert_eq!(head.header("content-length"), None);
        connection.skip(2 + 2 + 16 + 2);
        assert!(house.log().matching(|entry| entry.is_access(app) && entry.text("bytes") == "48").is_empty());
        let rest = connection.rest(head, "GET").expect("the rest");
        assert_eq!(rest.body.len(), 32);
    }
}

#[test]
fn bodies_stream_through_python() {
    let house = house();
    let body: Vec<u8> = (0..3_000_000).map(|index: u32| (index % 251) as u8).collect();
    for app in ["wsgi", "wsgi-p3"] {
        let host = format!("{app}.test");
        for request in
            [Request::post(&host, "/echo", body.clone()), Request::chunked(&host, "/echo", &[&body])]
        {
            let mut connection = house.connect();
            let mut sender = connection.second_handle();
            let answer = thread::scope(|scope| {
                scope.spawn(move || sender.send(request.bytes()));
                connection.response("POST")
            });
            assert!(answer.body == body, "{app}: {} bytes came back", answer.body.len());
        }
    }
}

fn state(app: &str, path: &str) -> Value {
    page(&format!("{app}.test"), path).json()
}

/// What each global must be where nobody has marked it.
fn assert_clean(state: &Value, module: &str) {
    let title = module.trim_start_matches("settings_");
    for (key, value) in [
        ("settings_module", json!(module)),
        ("marks", json!([])),
        ("environ", Value::Null),
        ("locale", json!(".")),
        ("builtin", Value::Null),
        ("patched_len", json!(0)),
        ("class", json!("plain")),
        ("site_title", json!(title)),
        ("allowed_hosts", json!([format!("{title}.localhost")])),
    ] {
        assert_eq!(state[key], value, "{key} in {state}");
    }
    assert!(!state["path"].to_string().contains("secret"), "{state}");
}

#[test]
fn no_app_sees_the_changed_globals_of_another_under_reuse() {
    let _house = house();
    assert_clean(&state("mutate-b", "/state"), "settings_two");
    for round in 0..3 {
        let marked =
            house().send(&Request::post("mutate-a.test", &format!("/mutate?mark=secret{round}"), "")).json();
        assert_eq!(marked["site_title"], format!("secret{round}"), "the guest itself sees it: {marked}");
        assert_clean(&state("mutate-b", "/state"), "settings_two");
        assert_clean(&state("mutate-fresh", "/state"), "settings_one");
    }
    // The test would prove nothing if the changes did not last.
    let again: Vec<_> = (0..5).map(|_| state("mutate-a", "/state")).collect();
    assert!(again.iter().any(|state| state["builtin"] != Value::Null), "{again:?}");
}

#[test]
fn a_fresh_instance_sees_nothing_of_the_one_before() {
    let _house = house();
    for _ in 0..3 {
        let marked = house().send(&Request::post("mutate-fresh.test", "/mutate?mark=secret", "")).json();
        assert_eq!(marked["builtin"], "secret");
        assert_clean(&state("mutate-fresh", "/state"), "settings_one");
    }
}

#[test]
fn no_app_sees_the_changed_globals_of_another_under_concurrency() {
    let house = house();
    thread::scope(|scope| {
        let marking: Vec<_> = (0..4)
            .map(|number| {
                let house = &house;
                scope.spawn(move || {
                    let answer = house.get("mutate-p3-a", &format!("/slow?mark=secret{number}&chunks=200"));
                    assert_eq!(answer.text().lines().count(), 200);
                    assert!(answer.text().contains("secret"));
                })
            })
            .collect();
        while marking.iter().any(|thread| !thread.is_finished()) {
            assert_clean(&state("mutate-p3-b", "/state"), "settings_two");
        }
    });
    assert_clean(&state("mutate-p3-b", "/state"), "settings_two");
}

#[test]
fn many_clients_at_once_get_their_own_sites() {
    let house = house();
    thread::scope(|scope| {
        for number in 0..6 {
            let house = &house;
            scope.spawn(move || {
                let (host, title) = [
                    ("foo.localhost", "Foo of the test"),
                    ("bar.localhost", "Bar Tea House"),
                    ("legacy.localhost", "The Old Guestbook"),
                ][number % 3];
                let mut connection = house.connect();
                for visit in 1..=10 {
                    connection.send(Request::get(host, "/info.json").bytes());
                    let answer = connection.response("GET").json();
                    assert_eq!(answer["site_title"], title, "{host}, visit {visit}");
                }
            });
        }
    });
}
