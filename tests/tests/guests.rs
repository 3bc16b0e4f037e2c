//! The guests that are apps rather than tests: one that was built for any WASI host, and the front page.

use std::sync::Arc;

use guesthouse_tests::{House, Manifest, Request, SharedHouse};

static HOUSE: SharedHouse = SharedHouse::new();

fn house() -> Arc<House> {
    HOUSE.get(|| {
        let front = r#"
            routes = ["*"]
            [apps.front.settings]
            title = "A <small> house"
            sites = [
                { name = "Legacy \"Django\"", host = "legacy.localhost", about = "an <old> friend & more" },
                { name = "Shop", host = "mall.localhost/shop" },
            ]
        "#;
        Manifest::new()
            .app("wstd", "wstd-example", "")
            .app("wstd-reused", "wstd-example", "instances.isolation = \"reuse\"")
            .app("front", "front", front)
    })
}

/// The example server of the crate `wstd`, as it is published: everything that it offers works.
#[test]
fn a_guest_built_for_any_host_runs_unchanged() {
    let house = house();
    for app in ["wstd", "wstd-reused"] {
        let host = format!("{app}.test");
        assert_eq!(house.get(app, "/").text(), "Hello, wasi:http/proxy world!\n");
        assert!(house.get(app, "/wait-response").text().starts_with("slept for 1"));
        assert!(house.get(app, "/wait-body").text().starts_with("slept for 1"));
        assert_eq!(house.get(app, "/stream-body").text().lines().count(), 5);
        assert_eq!(house.send(&Request::post(&host, "/echo", "to and fro")).text(), "to and fro");
        let answer = house.send(&Request::get(&host, "/echo-headers").header("x-mine", "yes"));
        assert_eq!(answer.header("x-mine"), Some("yes"));
        // Its trailers are not announced, and so not sent; the answer is whole without them.
        let request =
            Request::chunked(&host, "/echo-trailers", &[b"x"]).header("te", "trailers").trailer("x-end", "1");
        assert_eq!(house.send(&request).status(), 200);
        let request = Request::get(&host, "/response-status").header("x-response-status", "302");
        assert_eq!(house.send(&request).header("location"), Some("http://localhost/response-status"));
        assert_eq!(house.get(app, "/response-fail").status(), 500);
        assert_eq!(house.get(app, "/no-such-path").status(), 404);
        let mut connection = house.connect();
        connection.send(Request::get(&host, "/response-body-fail").bytes());
        assert!(connection.try_response("GET").is_err(), "a body that failed does not end well");
        assert_eq!(house.get(app, "/").status(), 200);
        house.log().wait_for("its output", |entry| entry.is_output(app, "serving /echo"));
    }
}

#[test]
fn the_front_page_lists_the_sites_of_the_house() {
    let house = house();
    let port = house.address().port();
    let answer = house.send(&Request::get(&format!("anything.localhost:{port}"), "/"));
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let page = answer.text();
    for part in [
        &format!("href=\"http://legacy.localhost:{port}/\""),
        &format!("href=\"http://mall.localhost:{port}/shop\""),
        "<title>A &lt;small&gt; house</title>",
        "Legacy &quot;Django&quot;",
        "an &lt;old&gt; friend &amp; more",
        "2 sites live here",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    // Links keep to the way by which the visitor came: here, without a port.
    assert!(
        house
            .send(&Request::get("anything.localhost", "/"))
            .text()
            .contains("href=\"http://legacy.localhost/\"")
    );
    let page = house.send(&Request::get("<b>.localhost", "/"));
    assert!(page.status() == 400 || !page.text().contains("<b>.localhost"), "{}", page.text());
}

#[test]
fn the_front_page_is_not_what_was_asked_for_elsewhere() {
    let house = house();
    let answer = house.send(&Request::get("nobody.localhost", "/pa%3Cth?q"));
    assert_eq!(answer.status(), 404);
    assert!(answer.text().contains("<code>nobody.localhost/pa%3Cth</code>"), "{}", answer.text());
    assert_eq!(house.send(&Request::post("nobody.localhost", "/", "x")).status(), 405);
    assert_eq!(house.send(&Request::new("HEAD", "nobody.localhost", "/")).status(), 200);
}
