//! Log lines: one for each request, one for each line that a guest prints, as text or as JSON.

use std::thread;

use guesthouse_tests::{Entry, House, Log, Manifest, Request};

fn manifest() -> Manifest {
    Manifest::new().app("say", "say", "").app("info-p3", "info-p3", "").app("respond", "respond", "")
}

#[test]
fn one_access_line_for_each_request() {
    let house = House::start(&manifest());
    house.send(&Request::post("info-p3.test", "/some/path?secret=1", "body"));
    house.get("respond", "/?status=418&body=short");
    house.get("nobody", "/x");
    let mut malformed = house.connect();
    malformed.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert_eq!(malformed.response("GET").status(), 400);
    let lines = house.log().wait_for_count("four lines", 4, |entry| entry.message() == "access");
    assert_eq!(lines.len(), 4);

    let first = &lines[0];
    for (field, value) in [
        ("level", "INFO"),
        ("app", "info-p3"),
        ("generation", "1"),
        ("client", "127.0.0.1"),
        ("method", "POST"),
        ("host", "info-p3.test"),
        ("path", "/some/path"),
        ("status", "200"),
    ] {
        assert_eq!(first.text(field), value, "{field} in {first}");
    }
    assert!(!first.to_string().contains("secret"), "queries may hold secrets: {first}");
    assert!(first.field("status").is_u64() && first.field("bytes").is_u64(), "{first}");
    assert!(first.field("bytes").as_u64() > Some(100), "{first}");
    assert!(first.field("ms").as_f64().is_some_and(|ms| (0.0..60_000.0).contains(&ms)), "{first}");
    assert!(first.field("request").is_u64(), "{first}");
    let timestamp = first.text("timestamp");
    assert!(timestamp.len() >= 20 && timestamp.ends_with('Z') && timestamp.contains('T'), "{timestamp}");

    assert_eq!((lines[1].text("status"), lines[1].text("bytes")), ("418".to_owned(), "5".to_owned()));
    assert_eq!((lines[2].text("status"), lines[2].text("app")), ("404".to_owned(), String::new()));
    assert_eq!(lines[3].text("status"), "400");
}

#[test]
fn what_a_guest_prints_is_logged_under_its_name() {
    let house = House::start(&manifest());
    let query = "stdout=first&stdout=second&stderr=on%20error&stdout=%7B%22app%22:%22forged%22%7D&partial=un&partial=finished";
    assert_eq!(house.get("say", &format!("/?{query}")).text(), "said\n");
    for (stream, line) in [
        ("stdout", "first"),
        ("stdout", "second"),
        ("stderr", "on error"),
        ("stdout", "{\"app\":\"forged\"}"),
        ("stdout", "unfinished"),
    ] {
        let entry = house.log().wait_for(line, |entry| entry.is_output("say", line));
        assert_eq!(entry.text("stream"), stream);
        assert_eq!(entry.text("generation"), "1");
        assert!(entry.field("request").is_u64(), "{entry}");
    }
    let order: Vec<_> =
        house.log().matching(|entry| entry.text("stream") == "stdout").iter().map(Entry::message).collect();
    assert_eq!(order, ["first", "second", "{\"app\":\"forged\"}", "unfinished"]);
}

/// Whatever a guest prints, it is one line of the log, and harmless to a terminal.
#[test]
fn a_guest_cannot_forge_lines() {
    for log in ["json", "text"] {
        let manifest = Manifest::new().server(&format!("log = \"{log}\"")).app("say", "say", "");
        let house = House::start(&manifest);
        house.get("say", "/?stdout=before%0dafter%1b%5B2J%08&stdout=last");
        house.log().wait_for("the last line", |entry| entry.message().contains("last"));
        let stopped = house.stop();
        let lines: Vec<_> = stopped.log.iter().map(Entry::message).collect();
        let line = lines.iter().find(|line| line.contains("before")).expect("the line");
        assert!(line.contains("after"), "{line:?}");
        if log == "text" {
            assert!(!line.contains('\u{1b}') && !line.contains('\r') && !line.contains('\u{8}'), "{line:?}");
        }
    }
}

#[test]
fn a_very_long_line_is_no_danger() {
    let house = House::start(&Manifest::new().server("header-kib = 256").app("say", "say", ""));
    // Twice what any line has reason to be, printed again and again.
    let part = "x".repeat(4000);
    let query = vec![format!("partial={part}"); 10].join("&");
    for _ in 0..10 {
        assert_eq!(house.get("say", &format!("/?{query}")).text(), "said\n");
    }
    let lines = house.log().wait_for_count("lines", 10, |entry| entry.text("stream") == "stdout");
    assert!(lines.iter().all(|entry| entry.message().starts_with("xxx")));
}

#[test]
fn the_log_may_be_text() {
    let manifest = Manifest::new().server("log = \"text\"").app("say", "say", "").app("trap", "trap", "");
    let house = House::start(&manifest);
    house.get("say", "/?stdout=hello%20log");
    assert_eq!(house.get("trap", "/").status(), 500);
    let stopped = house.stop();
    let text: Vec<_> = stopped.log.iter().map(Entry::message).collect();
    let line = |word: &str| {
        let found: Vec<_> = text.iter().filter(|line| line.contains(word)).collect();
        assert!(!found.is_empty(), "{word} in {text:#?}");
        found[0].clone()
    };
    assert!(line("hello log").contains("say"));
    assert!(line("unreachable").contains("trap"));
    let access = line("access");
    for part in ["say", "127.0.0.1", "GET", "200"] {
        assert!(access.contains(part), "{part} in {access}");
    }
    assert!(!access.contains('\u{1b}'), "no colours where nobody looks: {access:?}");
}

/// The queue has room for 8,192 of these lines, and the pipe for some hundred.
#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    let (house, pipe) = House::start_unread(&manifest());
    let (clients, each) = (4, 5_000);
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut connection = house.connect();
                for _ in 0..each {
                    connection.send(Request::get("nobody.test", "/").bytes());
                    assert_eq!(connection.response("GET").status(), 404);
                }
            });
        }
    });
    // There is still room for what is no access line.
    house.get("say", "/?stdout=hello");

    let (log, reader) = Log::collect(pipe);
    let told = log.wait_for("what was dropped", |entry| entry.message().contains("were dropped"));
    let dropped: usize = told.message().split(' ').next().expect("a number").parse().expect("a number");
    assert_eq!(told.text("level"), "WARN");
    house.get("nobody", "/last");
    log.wait_for("a line as before", |entry| entry.message() == "access" && entry.text("path") == "/last");
    drop(house);
    reader.join().expect("the log is read");
    assert_eq!(log.matching(|entry| entry.is_output("say", "hello")).len(), 1);
    let seen = log.matching(|entry| entry.message() == "access").len();
    assert_eq!(seen + dropped, clients * each + 2, "{seen} seen, {dropped} dropped");
}
