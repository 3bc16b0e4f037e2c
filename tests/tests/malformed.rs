//! Requests that are malformed, by mistake or with intent: each gets an error and a closed connection, or the close
//! alone, within a bound; never a hang, and never the answer to a request that was hidden in another.

use std::sync::Arc;

use guesthouse_tests::{House, Manifest, Request, SharedHouse};

static HOUSE: SharedHouse = SharedHouse::new();

fn house() -> Arc<House> {
    HOUSE.get(|| {
        Manifest::new()
            .server("header-ms = 500\nidle-ms = 500\nbody-ms = 500\nheader-kib = 16")
            .app("app", "sink", "")
            .app("app-p3", "sink-p3", "")
            .app("other", "info", "")
    })
}

/// What a client that means harm would have answered.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: other.test\r\n\r\n";

/// Sends each with a good request behind it. The answers must be of these statuses, and the last word.
fn assert_refused<R: AsRef<[u8]>>(requests: impl IntoIterator<Item = R>, statuses: &[u16]) {
    let house = house();
    let faults: Vec<String> = requests
        .into_iter()
        .filter_map(|request| {
            let fault = fault(&house, request.as_ref(), statuses)?;
            let shown = request.as_ref()[..request.as_ref().len().min(200)].escape_ascii().to_string();
            Some(format!("{shown}\n    {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    house.assert_well("app");
}

/// What is wrong with the way in which a request is refused.
fn fault(house: &House, bytes: &[u8], statuses: &[u16]) -> Option<String> {
    let mut connection = house.connect();
    // The house may close before it has read all.
    let _ = connection.try_send([bytes, HIDDEN.as_bytes()].concat());
    connection.finish_sending();
    match connection.try_response("GET") {
        Ok(answer) if !statuses.contains(&answer.status()) => {
            return Some(format!("status {}", answer.status()));
        }
        Ok(answer) if !answer.head.closes() => {
            return Some(format!("status {} without a close", answer.status()));
        }
        Err(broken) if broken.head.is_some() => return Some(broken.to_string()),
        _ => {}
    }
    let rest = connection.until_closed();
    (!rest.is_empty()).then(|| format!("and then {}", rest.escape_ascii()))
}

#[test]
fn request_lines() {
    let lines = [
        "GET",
        "GET /",
        "GET / HTTP/1.1 more",
        "GET /a b HTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP",
        "GET / HTTP/1",
        "GET / HTTP/9.9",
        "GET / HTTP/2.0",
        "GET / http/1.1",
        "GET / SPDY/1.1",
        "G\x00T / HTTP/1.1",
        "G(T / HTTP/1.1",
        "G\u{e9}T / HTTP/1.1",
        "GET relative HTTP/1.1",
        "GET //[ HTTP/1.1\r\nX: \x01",
        "GET /\x00 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET http:// HTTP/1.1",
        "GET http://[::1/ HTTP/1.1",
        "GET http://app.test:port/ HTTP/1.1",
        "GET http://user@/ HTTP/1.1",
        "GET * HTTP/1.1",
        ": / HTTP/1.1",
        "PRI * HTTP/2.0",
    ];
    assert_refused(lines.map(|line| format!("{line}\r\nHost: app.test\r\n\r\n")), &[400, 501, 505]);
}

#[test]
fn other_protocols() {
    let http_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let ssh = b"SSH-2.0-OpenSSH_9.9\r\n";
    let zeros = b"\x00\x00\x00\x00\x00\x00\x00\x00\r\n\r\n";
    assert_refused([http_2.as_slice(), tls, ssh, zeros, &[0xff; 4096]], &[400, 414, 431, 505]);
}

#[test]
fn hosts() {
    let hosts = [
        "",
        "Host: app.test\r\nHost: app.test\r\n",
        "Host: app.test\r\nHost: other.test\r\n",
        "Host: \r\nHost: app.test\r\n",
        "Host: app.test, other.test\r\n",
        "Host: app.test other.test\r\n",
        "Host: app.test/path\r\n",
        "Host: app.test?query\r\n",
        "Host: app.test#fragment\r\n",
        "Host: http://app.test\r\n",
        "Host: user@app.test\r\n",
        "Host: app.test:port\r\n",
        "Host: app.test:99999\r\n",
        "Host: app.test:-1\r\n",
        "Host: app.test:80:80\r\n",
        "Host: [::1\r\n",
        "Host: ::1\r\n",
        "Host: app..test\r\n",
        "Host: app.test..\r\n",
        "Host: app\\.test\r\n",
        "Host: <app.test>\r\n",
        "Host: \"app.test\"\r\n",
        "Host: app\u{9}.test\r\n",
        "Host: app\x00.test\r\n",
        "Host: %61pp.test%00\r\n",
        "Host : app.test\r\n",
        "Host app.test\r\n",
        "Host: app.test\r\n folded\r\n",
        " Host: app.test\r\n",
    ];
    assert_refused(hosts.map(|hosts| format!("GET / HTTP/1.1\r\n{hosts}\r\n")), &[400]);
}

/// The first of these hosts could be known, the second no house can have: the answer must not come from an app.
#[test]
fn two_hosts_are_refused_as_such() {
    let house = house();
    let mut connection = house.connect();
    connection.send("GET / HTTP/1.1\r\nHost: app.test\r\nHost: other.test\r\n\r\n");
    let answer = connection.response("GET");
    assert_eq!(answer.status(), 400, "RFC 9112, 3.2: MUST be 400");
    assert!(answer.head.closes());
    let mut connection = house.connect();
    connection.send("GET / HTTP/1.1\r\nAccept: */*\r\n\r\n");
    assert_eq!(connection.response("GET").status(), 400, "RFC 9112, 3.2: MUST be 400");
}

/// RFC 9112, 3.2: a `Host` that is none is refused even where the target has a host of its own.
#[test]
fn targets_with_a_host_of_their_own() {
    let targets = [
        ("http://app.test/", "Host: app.test/path\r\n"),
        ("http://app.test/", "Host: a b\r\n"),
        ("http://app.test/", "Host: app.test\r\nHost: app.test\r\n"),
        ("http://app.test/", ""),
        ("http://user@app.test/", "Host: app.test\r\n"),
        ("http:///ok", "Host: app.test\r\n"),
    ];
    let request = |(target, hosts)| format!("GET {target} HTTP/1.1\r\n{hosts}\r\n");
    assert_refused(targets.map(request), &[400]);
    let house = house();
    // RFC 9110, 7.4: nobody asked for these over TLS.
    for (target, status) in [
        ("http://app.test/ok", 200),
        ("HTTP://APP.test:80/ok", 200),
        ("https://app.test/ok", 421),
        ("ftp://app.test/ok", 421),
        ("http://unknown.test/ok", 404),
    ] {
        let mut connection = house.connect();
        // RFC 9112, 3.2.2: the host of the target counts.
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: other.test\r\n\r\n"));
        assert_eq!(connection.response("GET").status(), status, "{target}");
    }
    for target in ["app.test:80", "app.test", "*"] {
        for method in ["GET", "OPTIONS", "CONNECT"] {
            assert_refused([request_to(method, target)], &[400, 501]);
        }
    }
}

fn request_to(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: app.test\r\n\r\n")
}

/// RFC 9112, 2.2: a line may end with LF alone; wherever else it stands, it is no part of a field.
#[test]
fn lines_that_end_with_lf_alone() {
    let house = house();
    let mut connection = house.connect();
    connection
        .send("GET /ok HTTP/1.1\nHost: app.test\nX-One: 1\n\nGET /ok HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(connection.response("GET").text(), "ok\n");
    assert_eq!(connection.response("GET").text(), "ok\n");
    let bare = ["X: a\rX: b\r\n", "X: a\r\rX: b\r\n", "X: a\n b\r\n", "X: a\r\n\tb\r\n", "\rX: a\r\n"];
    assert_refused(bare.map(|field| format!("GET / HTTP/1.1\r\nHost: app.test\r\n{field}\r\n")), &[400]);
}

#[test]
fn header_fields() {
    let fields = [
        "No-Colon",
        ": no name",
        "Space : before the colon",
        "Sp ace: in the name",
        "Nul: a\x00b",
        "Bare: a\rb",
        "Del: a\x7fb",
        "Ctl: a\x01b",
        "N\u{e4}me: v",
        "Fold: a\r\n b",
        "Brackets[]: v",
        "Quote\": v",
    ];
    assert_refused(
        fields.map(|field| format!("GET / HTTP/1.1\r\nHost: app.test\r\n{field}\r\n\r\n")),
        &[400],
    );
}

#[test]
fn lengths() {
    let lengths = [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length: five\r\n",
        "Content-Length: \r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 99999999999999999999999999\r\n",
    ];
    assert_refused(
        lengths.map(|lengths| format!("POST / HTTP/1.1\r\nHost: app.test\r\n{lengths}\r\nhello")),
        &[400, 413],
    );
}

#[test]
fn transfer_encodings() {
    let encodings = [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding:\r\n",
    ];
    let body = "5\r\nhello\r\n0\r\n\r\n";
    for app in ["app.test", "app-p3.test"] {
        assert_refused(
            encodings.map(|encoding| format!("POST / HTTP/1.1\r\nHost: {app}\r\n{encoding}\r\n{body}")),
            &[400, 501],
        );
    }
    let old = format!("POST / HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    assert_refused([old], &[400]);
}

/// RFC 9112, 6.3: a request with both is refused, or ends the connection.
#[test]
fn a_length_beside_chunks() {
    for (first, second) in [
        ("Content-Length: 6", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 6"),
        ("Content-Length: 60", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 0"),
    ] {
        for app in ["app.test", "app-p3.test"] {
            let request = format!("POST / HTTP/1.1\r\nHost: {app}\r\n{first}\r\n{second}\r\n\r\n0\r\n\r\n");
            let house = house();
            let mut connection = house.connect();
            connection.send(request + HIDDEN);
            let status = connection.response("POST").status();
            assert!(status == 400 || status == 200, "{status}");
            let rest = connection.until_closed();
            assert!(rest.is_empty(), "{}", rest.escape_ascii());
        }
    }
}

/// Chunks that are malformed once the guest is at work: it must see no end of the body, and the client no more answers.
#[test]
fn chunks() {
    for chunks in [
        "z\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloworld\r\n0\r\n\r\n",
        "5\r\nhel\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
    ] {
        for app in ["app.test", "app-p3.test"] {
            let house = house();
            let mut connection = house.connect();
            let head = format!("POST / HTTP/1.1\r\nHost: {app}\r\nTransfer-Encoding: chunked\r\n\r\n");
            let _ = connection.try_send(format!("{head}{chunks}{HIDDEN}"));
            connection.finish_sending();
            if let Ok(answer) = connection.try_response("POST") {
                let error_seen = answer.status() == 200 && !answer.json()["error"].is_null();
                assert!(error_seen || (400..600).contains(&answer.status()), "{app} {chunks:?}: {answer:?}");
            }
            let rest = connection.until_closed();
            assert!(rest.is_empty(), "{app} {chunks:?}: {}", rest.escape_ascii());
        }
    }
}

#[test]
fn too_large_a_head() {
    let long = "x".repeat(40_000);
    let header = format!("GET / HTTP/1.1\r\nHost: app.test\r\nX-Long: {long}\r\n\r\n");
    let many = "X-Many: v\r\n".repeat(4000);
    let many = format!("GET / HTTP/1.1\r\nHost: app.test\r\n{many}\r\n");
    let method = format!("{long} / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_refused([header, many, method], &[431]);
}

/// A hundred fields are enough for everybody; one more is too many.
#[test]
fn too_many_fields() {
    let request = |fields| format!("GET /ok HTTP/1.1\r\nHost: app.test\r\n{}\r\n", "X: v\r\n".repeat(fields));
    let house = house();
    let mut connection = house.connect();
    connection.send(request(99));
    assert_eq!(connection.response("GET").text(), "ok\n");
    assert_refused([request(100), request(200)], &[431]);
}

/// What belongs to no chunk is bounded over the whole body: names and values that the house throws away anyway.
#[test]
fn endless_chunk_extensions_and_trailers() {
    let house = house();
    for app in ["app.test", "app-p3.test"] {
        let long = "x".repeat(40_000);
        for chunks in [
            format!("5;{long}\r\nhello\r\n0\r\n\r\n"),
            format!("5;a={long}\r\nhello\r\n0\r\n\r\n"),
            format!("{}0\r\n\r\n", "1;abcdefgh\r\nx\r\n".repeat(4000)),
            format!("5\r\nhello\r\n0\r\nX-Long: {long}\r\n\r\n"),
            format!("5\r\nhello\r\n0\r\n{}\r\n", "X: v\r\n".repeat(5000)),
        ] {
            let mut connection = house.connect();
            let head = format!("POST / HTTP/1.1\r\nHost: {app}\r\nTransfer-Encoding: chunked\r\n\r\n");
            let _ = connection.try_send(format!("{head}{chunks}{HIDDEN}"));
            if let Ok(answer) = connection.try_response("POST") {
                let error_seen = answer.status() == 200 && !answer.json()["error"].is_null();
                assert!(error_seen || (400..600).contains(&answer.status()), "{app} {answer:?}");
            }
            let rest = connection.until_closed();
            assert!(rest.is_empty(), "{app}: {}", rest.escape_ascii());
        }
        house.assert_well(app.trim_end_matches(".test"));
    }
}

/// The leave to continue was not given, and the client sends all the same: what it sends is no request.
#[test]
fn a_body_without_the_leave_to_continue_is_no_request() {
    let house = house();
    for (host, expect) in
        [("unknown.test", "100-continue"), ("unknown.test", "something"), ("app.test", "100-continue, more")]
    {
        for filler in [0, 500_000] {
            let mut connection = house.connect();
            let hidden = format!("{}{HIDDEN}", "x".repeat(filler));
            let length = hidden.len();
            let head = format!(
                "POST / HTTP/1.1\r\nHost: {host}\r\nExpect: {expect}\r\nContent-Length: {length}\r\n\r\n"
            );
            let _ = connection.try_send(head + &hidden);
            let mut answer = connection.head();
            if answer.status == 100 {
                answer = connection.head();
            }
            let status = if host == "app.test" { 200 } else { 404 };
            assert_eq!(answer.status, status);
            let _ = connection.rest(answer, "POST").map(|_| ());
            let _ =
                connection.try_send("GET /end HTTP/1.1\r\nHost: nobody.test\r\nConnection: close\r\n\r\n");
            let rest = String::from_utf8_lossy(&connection.until_closed()).into_owned();
            assert!(rest.is_empty() || rest.contains("nobody.test/end"), "{host} {expect} {filler}: {rest}");
        }
    }
}

/// RFC 9112, 9.6: a client that still sends when it is refused gets to read why.
#[test]
fn a_refusal_reaches_a_client_that_still_sends() {
    let house = House::start(&Manifest::new().app("small", "sink", "limits.body-mib = 1"));
    for _ in 0..3 {
        let mut connection = house.connect();
        let request = Request::post("small.test", "/", vec![0; 16 << 20]);
        connection.send(request.bytes());
        let answer = connection.response("POST");
        assert_eq!(answer.status(), 413);
        assert!(answer.head.closes());
        let mut connection = house.connect();
        connection.send(format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(16 << 20)));
        assert_eq!(connection.response("GET").status(), 431);
    }
}

#[test]
fn who_is_refused_in_the_midst_of_a_head_may_send_the_rest() {
    for start in
        [format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(1 << 20)), "GET / HTTP/1.1\r\nX : x\r\n\r\n".into()]
    {
        let mut connection = house().connect();
        connection.send(&start);
        assert!((400..500).contains(&connection.response("GET").status()));
        assert!(connection.until_closed().is_empty());
        // A connection that was closed for both is reset by the first of these.
        for _ in 0..16 {
            connection.send(vec![b'x'; 64 << 10]);
        }
    }
}

#[test]
fn too_long_a_target() {
    let long = "x".repeat(100_000);
    assert_refused(
        ["/", "/?"].map(|start| format!("GET {start}{long} HTTP/1.1\r\nHost: app.test\r\n\r\n")),
        &[414, 431],
    );
    let within = "x".repeat(8000);
    let answer = house().send(&Request::get("other.test", &format!("/{within}")));
    assert_eq!(answer.status(), 200, "RFC 9110, 4.1: 8000 bytes should do");
}

#[test]
fn requests_that_end_too_early() {
    let whole = "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhell";
    for end in 1..whole.len() {
        let house = house();
        let mut connection = house.connect();
        connection.send(&whole[..end]);
        connection.finish_sending();
        if let Ok(answer) = connection.try_response("POST") {
            let error_seen = answer.status() == 200 && !answer.json()["error"].is_null();
            assert!(error_seen || (400..600).contains(&answer.status()), "at {end}: {answer:?}");
        }
        assert!(connection.until_closed().is_empty());
    }
    house().assert_well("app");
}
