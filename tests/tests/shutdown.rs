//! The end of a house: no new connections, every request that had begun is answered, then a line and exit status 0.

use std::{
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use guesthouse_tests::{House, Manifest, Request, Stopped};
use rustix::process::Signal;

fn house(server: &str) -> House {
    House::start(
        &Manifest::new()
            .server(server)
            .app("wait", "wait", "limits.request-ms = 600000")
            .app("wait-p3", "wait-p3", "limits.request-ms = 600000")
            .app("spin", "spin", "limits = { request-ms = 600000, cpu-ms = 600000 }")
            .app("echo", "echo", "")
            .app("stream", "stream", ""),
    )
}

fn assert_clean(stopped: &Stopped) {
    let errors: Vec<String> = stopped.errors.iter().map(ToString::to_string).collect();
    assert_eq!(stopped.status.code(), Some(0), "{}", errors.join("\n"));
}

#[test]
fn an_idle_house_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let house = house("");
        let mut idle = house.connect();
        idle.send(Request::get("echo.test", "/ok").bytes());
        assert_eq!(idle.response("GET").text(), "ok\n");
        let begun = Instant::now();
        house.signal(signal);
        assert_clean(&house.wait());
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "a connection that is kept alive is no reason to wait"
        );
        assert!(idle.until_closed().is_empty());
    }
}

#[test]
fn requests_in_flight_are_finished_and_told_to_close() {
    let house = house("");
    let mut waiting: Vec<_> = ["wait", "wait-p3", "wait", "wait-p3"]
        .map(|app| {
            let mut connection = house.connect();
            connection.send(Request::get(&format!("{app}.test"), "/?ms=1000").bytes());
            connection
        })
        .into();
    // One whose body is on its way, and one whose answer is.
    let mut sending = house.connect();
    sending.send("POST / HTTP/1.1\r\nHost: echo.test\r\nContent-Length: 10\r\n\r\nhello");
    let head = sending.head();
    let mut reading = house.connect();
    reading.send(Request::get("stream.test", "/?bytes=10000000&length=1").bytes());
    let reading_head = reading.head();
    house.log().wait_for_count("all at work", 4, |entry| entry.message() == "waiting");

    house.signal(Signal::TERM);
    house.errors().wait_for("the beginning of the drain", |entry| entry.message().contains("SIGTERM"));
    // Nobody listens any more: a connection is refused, or reset.
    let mut refused = false;
    while !refused {
        refused = TcpStream::connect(house.address()).is_err();
    }
    sending.send("world");
    assert_eq!(sending.rest(head, "POST").expect("the whole answer").text(), "helloworld");
    assert_eq!(reading.rest(reading_head, "GET").expect("the whole answer").body.len(), 10_000_000);
    for connection in &mut waiting {
        let answer = connection.response("GET");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "waited\n"));
        assert!(answer.head.closes(), "{:?}", answer.head);
    }
    let stopped = house.wait();
    assert_clean(&stopped);
    assert!(stopped.errors.iter().any(|entry| entry.message().contains("all requests done")));
    assert_eq!(
        stopped.log.iter().filter(|entry| entry.message() == "access").count(),
        6,
        "the log is written out"
    );
}

#[test]
fn what_takes_too_long_is_cut_and_counted() {
    let house = house("drain-ms = 300");
    let mut cut: Vec<_> = ["wait", "wait-p3", "spin"]
        .map(|app| {
            let mut connection = house.connect();
            connection.send(Request::get(&format!("{app}.test"), "/").bytes());
            connection
        })
        .into();
    house.log().wait_for_count("all at work", 3, |entry| {
        entry.message() == "waiting" || entry.message() == "spinning"
    });
    let begun = Instant::now();
    house.signal(Signal::TERM);
    let stopped = house.wait();
    assert_clean(&stopped);
    assert!(begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < Duration::from_secs(10));
    let line = stopped
        .errors
        .iter()
        .find(|entry| entry.message().contains("cut"))
        .expect("a line about what was cut");
    assert!(line.message().starts_with("3 request"), "{line}");
    for connection in &mut cut {
        assert!(connection.try_response("GET").is_err());
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    for (first, second) in
        [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::INT), (Signal::TERM, Signal::INT)]
    {
        let house = house("drain-ms = 600000");
        let mut waiting = house.connect();
        waiting.send(Request::get("spin.test", "/").bytes());
        house.log().wait_for("at work", |entry| entry.is_output("spin", "spinning"));
        house.signal(first);
        house.errors().wait_for("the beginning of the drain", |entry| entry.message().contains("SIG"));
        let begun = Instant::now();
        house.signal(second);
        house.wait();
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

/// Under load, whatever was answered was answered whole, and whatever was not answered had not begun.
#[test]
fn under_load_every_request_that_had_begun_is_answered() {
    let house = house("");
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let address = house.address();
    let clients = thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|number| {
                let (stop, answered) = (&stop, &answered);
                scope.spawn(move || {
                    let mut unanswered = 0;
                    while !stop.load(Ordering::Relaxed) {
                        // A refused connection is the house's word that it is going.
                        let Ok(probe) = TcpStream::connect(address) else { break };
                        drop(probe);
                        let (counted, lost) = load(address, number);
                        answered.fetch_add(counted, Ordering::Relaxed);
                        unanswered += lost;
                    }
                    unanswered
                })
            })
            .collect();
        while answered.load(Ordering::Relaxed) < 200 {
            thread::yield_now();
        }
        house.signal(Signal::TERM);
        let stopped = house.wait();
        stop.store(true, Ordering::Relaxed);
        assert_clean(&stopped);
        let served = stopped.log.iter().filter(|entry| entry.message() == "access").count();
        let unanswered: usize = clients.into_iter().map(|client| client.join().expect("a client")).sum();
        (served, unanswered, stopped)
    });
    let (served, unanswered, stopped) = clients;
    assert_eq!(served, answered.load(Ordering::Relaxed), "as many access lines as answers");
    assert!(stopped.errors.iter().any(|entry| entry.message().contains("all requests done")));
    // Those were never read by the house: they came upon a connection that it had closed already.
    assert!(unanswered <= 8, "{unanswered}");
}

/// Requests over one connection until the house closes it: how many were answered, and whether one was not.
fn load(address: std::net::SocketAddr, number: usize) -> (usize, usize) {
    let Ok(mut connection) = std::panic::catch_unwind(|| guesthouse_tests::Connection::tcp(address)) else {
        return (0, 0);
    };
    let (host, path) =
        if number.is_multiple_of(2) { ("stream.test", "/?bytes=100000") } else { ("wait-p3.test", "/?ms=5") };
    for answered in 0..50 {
        if connection.try_send(Request::get(host, path).bytes()).is_err() {
            return (answered, 1);
        }
        match connection.try_response("GET") {
            Ok(answer) => {
                assert_eq!(answer.status(), 200);
                if answer.head.closes() {
                    return (answered + 1, 0);
                }
            }
            Err(broken) => {
                assert!(broken.head.is_none(), "an answer that had begun: {broken}");
                return (answered, 1);
            }
        }
    }
    (50, 0)
}
