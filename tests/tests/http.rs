//! HTTP/1.1 as RFC 9110 and RFC 9112 want it, told apart by a client that reads strictly.

use std::sync::Arc;

use guesthouse_tests::{Connection, House, Manifest, Request, SharedHouse};
use serde_json::json;

static HOUSE: SharedHouse = SharedHouse::new();

fn house() -> Arc<House> {
    HOUSE.get(|| {
        let mut manifest = Manifest::new();
        for guest in [
            "echo",
            "echo-p3",
            "sink",
            "sink-p3",
            "info",
            "info-p3",
            "respond",
            "stream",
            "stream-p3",
            "never-reads",
        ] {
            manifest = manifest.app(guest, guest, "");
        }
        manifest.app("numbers", "counter", "instances.isolation = \"reuse\"")
    })
}

#[test]
fn a_connection_carries_many_requests() {
    let house = house();
    let mut connection = house.connect();
    for path in ["/a", "/b", "/c"] {
        connection.send(Request::get("info.test", path).bytes());
        let answer = connection.response("GET");
        assert_eq!((answer.status(), &answer.json()["path"]), (200, &json!(path)));
        assert_eq!(answer.head.version, "HTTP/1.1");
        assert!(!answer.head.closes());
        assert!(
            answer.header("date").is_some(),
            "an origin server with a clock sends Date (RFC 9110, 6.6.1)"
        );
    }
}

#[test]
fn a_connection_carries_requests_of_several_apps() {
    let house = house();
    let mut connection = house.connect();
    for app in ["info", "echo-p3", "never-reads", "info-p3"] {
        connection.send(Request::get(&format!("{app}.test"), "/ok").bytes());
        assert_eq!(connection.response("GET").text(), "ok\n");
    }
}

#[test]
fn the_client_may_ask_for_a_close() {
    let house = house();
    let mut connection = house.connect();
    connection.send(Request::get("info.test", "/ok").header("connection", "close").bytes());
    let answer = connection.response("GET");
    assert!(answer.head.closes(), "{:?}", answer.head);
    assert!(connection.until_closed().is_empty());
}

#[test]
fn http_1_0_has_one_answer_and_no_chunks() {
    let house = house();
    let mut connection = house.connect();
    connection.send("GET /?bytes=5000 HTTP/1.0\r\nHost: stream.test\r\n\r\n");
    let answer = connection.response("GET");
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!((answer.status(), answer.body.len()), (200, 5000));
    assert!(connection.until_closed().is_empty());
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let house = house();
    let mut connection = house.connect();
    let mut bytes = Vec::new();
    for number in 0..20 {
        let host = if number % 2 == 0 { "info.test" } else { "info-p3.test" };
        bytes.extend(Request::get(host, &format!("/{number}")).bytes());
    }
    connection.send(bytes);
    for number in 0..20 {
        assert_eq!(connection.response("GET").json()["path"], format!("/{number}"));
    }
}

#[test]
fn pipelined_requests_keep_their_bodies() {
    let house = house();
    let mut connection = house.connect();
    let mut bytes = Vec::new();
    for number in 0..10 {
        let host = if number % 3 == 0 { "echo.test" } else { "echo-p3.test" };
        let body = format!("body {number} ").repeat(number * 100 + 1);
        bytes.extend(if number % 2 == 0 {
            Request::post(host, "/", body).bytes()
        } else {
            Request::chunked(host, "/", &[body.as_bytes(), b"end"]).bytes()
        });
    }
    connection.send(bytes);
    for number in 0..10 {
        let end = if number % 2 == 0 { "" } else { "end" };
        let body = format!("{}{end}", format!("body {number} ").repeat(number * 100 + 1));
        assert_eq!(connection.response("POST").text(), body);
    }
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let house = house();
    for app in ["stream", "stream-p3"] {
        let mut connection = house.connect();
        connection.send(Request::new("HEAD", &format!("{app}.test"), "/?bytes=1000&length=1").bytes());
        let answer = connection.response("HEAD");
        assert_eq!((answer.status(), answer.header("content-length")), (200, Some("1000")), "{app}");
        connection.send(Request::new("HEAD", &format!("{app}.test"), "/?bytes=200000").bytes());
        assert_eq!(connection.response("HEAD").status(), 200, "{app}");
        // What follows must be the next answer, not a body.
        connection.send(Request::get(&format!("{app}.test"), "/?bytes=3").bytes());
        assert_eq!(connection.response("GET").body, [0, 1, 2], "{app}");
    }
}

#[test]
fn answers_that_have_no_body_have_no_body() {
    let house = house();
    let mut connection = house.connect();
    for status in [204, 304] {
        let path = format!("/?status={status}&header=etag:%22x%22&body=never");
        connection.send(Request::get("respond.test", &path).bytes());
        let answer = connection.response("GET");
        assert_eq!((answer.status(), answer.header("etag")), (status, Some("\"x\"")));
        assert_eq!(answer.header("transfer-encoding"), None);
        if status == 204 {
            assert_eq!(answer.header("content-length"), None, "RFC 9110, 8.6");
        }
        connection.send(Request::get("info.test", "/ok").bytes());
        assert_eq!(connection.response("GET").text(), "ok\n");
        let line = house.log().wait_for("the access log", |entry| {
            entry.is_access("respond") && entry.text("status") == status.to_string()
        });
        assert_eq!(line.text("cut"), "", "the answer was whole: {line}");
    }
}

#[test]
fn repeated_headers_stay_apart() {
    let path = "/?header=set-cookie:a=1&header=set-cookie:b=2&header=x-one:1&body=x";
    let answer = house().get("respond", path);
    let cookies: Vec<_> = answer.head.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
    assert_eq!(cookies.len(), 2, "{:?}", answer.head);
    let answer = house().send(&Request::get("info.test", "/").header("x-two", "1").header("x-two", "2"));
    let seen: Vec<_> = field(&answer.json(), "x-two");
    assert_eq!(seen, ["1", "2"]);
}

/// All values of a header that the guest `info` saw.
fn field(info: &serde_json::Value, name: &str) -> Vec<String> {
    let pairs = info["headers"].as_array().expect("pairs");
    let own = pairs.iter().filter(|pair| pair[0].as_str().is_some_and(|own| own.eq_ignore_ascii_case(name)));
    own.map(|pair| pair[1].as_str().expect("a text").to_owned()).collect()
}

#[test]
fn a_guest_cannot_set_the_framing() {
    let house = house();
    for header in
        ["transfer-encoding:gzip", "connection:upgrade", "content-length:nonsense", "keep-alive:timeout=5"]
    {
        let mut connection = house.connect();
        connection.send(Request::get("respond.test", &format!("/?header={header}&body=x")).bytes());
        let answer = connection.response("GET");
        let refused = answer.text().starts_with("headers refused");
        assert!(refused || answer.status() == 502 || answer.text() == "x", "{header}: {answer:?}");
        assert!(
            !answer.head.headers.iter().any(|(name, value)| header == format!("{name}:{value}")),
            "{header}"
        );
    }
    house.assert_well("respond");
}

#[test]
fn an_answer_that_is_none_is_a_bad_gateway() {
    let house = house();
    assert_eq!(house.get("respond", "/?status=103").status(), 502);
    house
        .log()
        .wait_for("the failure", |entry| entry.is_failure("respond") && entry.text("cause") == "bad-answer");
}

#[test]
fn hop_by_hop_headers_end_at_the_host() {
    for app in ["info", "info-p3"] {
        let request = Request::chunked(&format!("{app}.test"), "/", &[b"x"])
            .header("connection", "keep-alive, upgrade, x-hop")
            .header("keep-alive", "timeout=5")
            .header("upgrade", "websocket")
            .header("proxy-connection", "keep-alive")
            .header("x-hop", "1")
            .header("x-end-to-end", "1");
        let answer = house().send(&request);
        assert_eq!(answer.status(), 200, "an upgrade that is not offered is ignored (RFC 9110, 7.8)");
        let info = answer.json();
        for name in
            ["connection", "keep-alive", "upgrade", "proxy-connection", "transfer-encoding", "host", "x-hop"]
        {
            assert!(field(&info, name).is_empty(), "{app}: {name} in {info}");
        }
        assert_eq!(field(&info, "x-end-to-end"), ["1"]);
    }
}

#[test]
fn the_guest_sees_the_request_as_it_was_sent() {
    for app in ["info", "info-p3"] {
        let target = "/a%2Fb/c//d;x=1/?q=%20+%C3%A4&q=2&empty=";
        let request = Request::new("PROPFIND", &format!("{app}.test"), target).header("cookie", "a=1; b=2");
        let info = house().send(&request).json();
        assert!(info["method"].as_str().expect("a method").contains("PROPFIND"), "{info}");
        assert_eq!(info["path"], target);
        assert_eq!(field(&info, "cookie"), ["a=1; b=2"]);
        let scheme = info["scheme"].as_str().expect("a scheme");
        assert!(scheme.eq_ignore_ascii_case("scheme::http"), "{scheme}");
    }
}

/// Dot segments are resolved before the route is chosen (RFC 3986, 5.2.4), so that no path climbs out of its route.
#[test]
fn a_path_does_not_climb_out_of_its_route() {
    let house = House::start(&Manifest::new().app("inner", "info", "routes = [\"a.test/inner\"]").app(
        "outer",
        "info",
        "routes = [\"a.test\"]",
    ));
    for (path, app) in [
        ("/inner/x", "inner"),
        ("/inner/../x", "outer"),
        ("/inner/%2e%2e/x", "outer"),
        ("/inner/%2E./x", "outer"),
        ("/x/../inner/y", "inner"),
        ("/../../inner", "inner"),
    ] {
        let answer = house.send(&Request::get("a.test", path));
        let number = answer.json()["headers"].clone();
        let number = field(&json!({ "headers": number }), "x-request-id").remove(0);
        let line = house.log().wait_for("the access line", |entry| {
            entry.message() == "access" && entry.text("request") == number
        });
        assert_eq!(line.text("app"), app, "{path}");
        let seen = answer.json()["path"].as_str().expect("a path").to_lowercase();
        assert!(!seen.contains("/..") && !seen.contains("%2e"), "{path}: the guest sees {seen}");
    }
}

#[test]
fn the_client_waits_for_the_leave_to_continue() {
    let house = house();
    for app in ["sink", "sink-p3"] {
        let mut connection = house.connect();
        connection.send(format!(
            "POST / HTTP/1.1\r\nHost: {app}.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        ));
        assert_eq!(connection.head().status, 100, "{app}");
        connection.send("body");
        let answer = connection.response("POST");
        assert_eq!((answer.status(), &answer.json()["bytes"]), (200, &json!(4)), "{app}");
        connection.send(Request::get("info.test", "/ok").bytes());
        assert_eq!(connection.response("GET").text(), "ok\n");
    }
}

/// A guest that wants no body gives no leave: the client learns the answer without having sent it.
#[test]
fn a_guest_that_does_not_read_gives_no_leave() {
    let house = house();
    let mut connection = house.connect();
    connection.send(
        "POST / HTTP/1.1\r\nHost: never-reads.test\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n",
    );
    let answer = connection.response("POST");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "not read\n"));
}

/// What the guest left of a body must not be taken for the next request.
#[test]
fn an_unread_body_is_not_the_next_request() {
    let house = house();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: info.test\r\n\r\n";
    for copies in [1, 10, 2000, 50_000] {
        let mut connection = house.connect();
        let request = Request::post("never-reads.test", "/", smuggled.repeat(copies));
        let _ = connection.try_send(request.bytes());
        match connection.try_response("POST") {
            Ok(answer) => assert_eq!(answer.text(), "not read\n"),
            // The rest of what was sent came upon a closed connection.
            Err(broken) => assert!(copies > 1000, "{broken}"),
        }
        let _ = connection.try_send(Request::get("info.test", "/ok").bytes());
        if let Ok(answer) = connection.try_response("GET") {
            assert_eq!(answer.text(), "ok\n");
        }
    }
}

#[test]
fn chunked_bodies_with_all_that_they_may_have() {
    let house = house();
    let chunked = "5;name=value;quoted=\"a;b\"\r\nhello\r\n0003\r\n wo\r\nA\r\nrld, again\r\n0\r\nX-Sum: 42\r\nx-other: b\r\n\r\n";
    for app in ["sink", "sink-p3"] {
        let mut connection = house.connect();
        connection.send(format!("POST / HTTP/1.1\r\nHost: {app}.test\r\nTransfer-Encoding: Chunked\r\nTrailer: X-Sum\r\n\r\n{chunked}"));
        let answer = connection.response("POST").json();
        assert_eq!((&answer["bytes"], &answer["error"]), (&json!(18), &json!(null)), "{app}");
        let trailers = answer["trailers"].to_string().to_lowercase();
        assert!(trailers.contains("[\"x-sum\",\"42\"]"), "{app}: {trailers}");
    }
}

#[test]
fn trailers_go_through_both_ways() {
    for app in ["echo", "echo-p3"] {
        let request = Request::chunked(&format!("{app}.test"), "/", &[b"one ", b"two"])
            .header("te", "trailers")
            // A field that is not announced is not sent on.
            .header("trailer", "x-sum")
            .trailer("x-sum", "42");
        let answer = house().send(&request);
        assert_eq!(answer.text(), "one two");
        assert_eq!(answer.trailers, [("x-sum".to_owned(), "42".to_owned())], "{app}");
    }
}

#[test]
fn a_body_of_no_bytes_is_a_body() {
    for app in ["echo", "echo-p3"] {
        assert_eq!(house().send(&Request::post(&format!("{app}.test"), "/", "")).text(), "");
        assert_eq!(house().send(&Request::chunked(&format!("{app}.test"), "/", &[])).text(), "");
        assert_eq!(house().get(app, "/").text(), "");
    }
}

#[test]
fn a_name_may_be_written_in_many_ways() {
    let port = house().address().port();
    for host in
        ["info.test", "INFO.Test", "info.test.", &format!("info.test:{port}"), "info.test:80", "info.test:"]
    {
        let answer = house().send(&Request::get(host, "/ok"));
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok\n"), "{host}");
    }
}

#[test]
fn an_unknown_name_is_not_found_and_told_how_to_become_known() {
    for host in ["unknown.test", "test", "xinfo.test", "info.test.evil", "127.0.0.1", "[::1]:80"] {
        let answer = house().send(&Request::get(host, "/"));
        assert_eq!(answer.status(), 404, "{host}");
        let text = answer.text();
        assert!(text.contains("routes") && text.contains("explain"), "{text}");
    }
}

#[test]
fn the_name_in_the_page_is_plain_text() {
    let answer = house().send(&Request::get("unknown.test", "/&quot;%3Cscript%3E"));
    assert!(
        answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")),
        "{:?}",
        answer.head
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

/// RFC 9112, 3.2.2: the authority of an absolute target counts, and `Host` is ignored.
#[test]
fn an_absolute_target_goes_before_host() {
    let house = house();
    let mut connection = house.connect();
    connection.send("GET http://info.test/x?y=1 HTTP/1.1\r\nHost: unknown.test\r\n\r\n");
    let answer = connection.response("GET");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json()["path"], "/x?y=1");
    assert_eq!(answer.json()["authority"], "info.test");
    connection.send("GET http://unknown.test/ HTTP/1.1\r\nHost: info.test\r\n\r\n");
    assert_eq!(connection.response("GET").status(), 404);
    connection.send("GET http://info.test HTTP/1.1\r\nHost: info.test\r\n\r\n");
    assert_eq!(connection.response("GET").json()["path"], "/");
}

#[test]
fn options_of_the_server_has_an_answer() {
    let house = house();
    let mut connection = house.connect();
    connection.send("OPTIONS * HTTP/1.1\r\nHost: info.test\r\n\r\n");
    let answer = connection.response("OPTIONS");
    assert!((200..500).contains(&answer.status()), "{answer:?}");
    house.assert_well("info");
}

#[test]
fn this_is_no_proxy() {
    let house = house();
    let mut connection = house.connect();
    connection.send("CONNECT info.test:443 HTTP/1.1\r\nHost: info.test:443\r\n\r\n");
    let status = connection.head().status;
    assert!((400..600).contains(&status), "{status}");
}

#[test]
fn bytes_arrive_one_by_one() {
    let house = house();
    let request = Request::chunked("echo.test", "/", &[b"slow", b"ly"]).trailer("x-end", "1").bytes();
    let mut connection: Connection = house.connect();
    for byte in request {
        connection.send([byte]);
    }
    let answer = connection.response("POST");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "slowly"));
}

#[test]
fn an_empty_line_before_a_request_is_ignored() {
    let house = house();
    // RFC 9112, 2.2.
    let mut connection = house.connect();
    connection
        .send(b"\r\n".iter().copied().chain(Request::get("info.test", "/ok").bytes()).collect::<Vec<_>>());
    assert_eq!(connection.response("GET").text(), "ok\n");
}

#[test]
fn many_headers_are_no_trouble() {
    let mut request = Request::get("info.test", "/");
    for number in 0..80 {
        request = request.header(&format!("x-many-{number}"), &"v".repeat(100));
    }
    let info = house().send(&request).json();
    assert_eq!(field(&info, "x-many-79").len(), 1);
}
