//! The table of bad clients.

use std::time::Duration;

use super::{BadClient, Expected, wire::Wire};

/// The pace of clients that send or read a little at a time.
const PACE: Duration = Duration::from_millis(100);

/// What connections beyond those of a client may get: the others say nothing.
pub(super) const BEYOND: &[u16] = &[429];

/// A guest may answer for a body that broke off, before the host does.
const BROKEN_BODY: &[u16] = &[200, 400, 408, 413, 500, 502, 503, 504];

/// For a body that does not come, or does not come in time. 503: there were so many that the app had no more places.
const NEVER_CAME: &[u16] = &[408, 503, 504];

const HEAD: &str = "POST / HTTP/1.1\r\nHost: sink.test\r\n";
/// What must not be answered.
const HIDDEN: &str = "GET /ok HTTP/1.1\r\nHost: sink.test\r\n\r\n";

const fn answered(statuses: &'static [u16]) -> Expected {
    Expected { statuses, silence: false, answers: 1..=1 }
}

const fn closed() -> Expected {
    Expected { statuses: &[], silence: true, answers: 0..=0 }
}

/// The end of a body's time and the end of the client's patience may cross.
const fn answered_or_closed(statuses: &'static [u16]) -> Expected {
    Expected { statuses, silence: true, answers: 1..=1 }
}

const fn case(name: &'static str, sends: &'static str, expected: Expected, play: fn(&mut Wire)) -> BadClient {
    BadClient { name, sends, play, expected }
}

/// A head and nothing else, to read the answer and wait for the end.
fn head(wire: &mut Wire, text: &str) {
    wire.send(format!("{text}\r\n\r\n"));
}

fn chunked(wire: &mut Wire, chunks: &str) {
    wire.send(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{chunks}"));
}

/// All bad clients, by what they harm: time, memory, and the understanding of where a request ends.
pub fn all() -> Vec<BadClient> {
    [slow(), endless(), framing(), targets(), protocols(), leaving()].into_iter().flatten().collect()
}

fn slow() -> Vec<BadClient> {
    vec![
        case("silent", "nothing", closed(), |_| {}),
        case("half a head", "`GET / HTTP/1.1`, `Host: si`, then nothing", closed(), |wire| {
            wire.send("GET / HTTP/1.1\r\nHost: si");
        }),
        case("slow head", "a head, a byte every 100 ms", closed(), |wire| {
            wire.send("GET / HTTP/1.1\r\nX: ");
            wire.send_for_ever(b"x", PACE);
        }),
        case("slow fields", "a field every 100 ms, without end", closed(), |wire| {
            wire.send("GET / HTTP/1.1\r\n");
            wire.send_for_ever(b"X: x\r\n", PACE);
        }),
        case("half a body", "`Content-Length: 100`, 5 bytes, then nothing", answered(NEVER_CAME), |wire| {
            wire.send(format!("{HEAD}Content-Length: 100\r\n\r\nhello"));
        }),
        case("slow body", "a byte of the body every 100 ms", answered_or_closed(NEVER_CAME), |wire| {
            wire.send(format!("{HEAD}Content-Length: 1000000\r\n\r\n"));
            wire.send_for_ever(b"x", PACE);
        }),
        case(
            "slow chunk size",
            "`0` every 100 ms, as a chunk's size without end",
            answered_or_closed(NEVER_CAME),
            |wire| {
                chunked(wire, "");
                wire.send_for_ever(b"0", PACE);
            },
        ),
        case(
            "no reader",
            "GET of an endless answer, and reads nothing of it",
            answered_or_closed(&[200, 503, 504]),
            |wire| {
                head(wire, "GET / HTTP/1.1\r\nHost: endless.test");
                wire.leave_unread();
            },
        ),
        case(
            "slow reader",
            "GET of an endless answer, and reads 1 KiB every 100 ms",
            answered_or_closed(&[200, 503, 504]),
            |wire| {
                head(wire, "GET / HTTP/1.1\r\nHost: endless.test");
                wire.read_slowly(1024, PACE);
            },
        ),
    ]
}

fn endless() -> Vec<BadClient> {
    vec![
        case(
            "endless head",
            "fields without end, as fast as they are taken",
            answered_or_closed(&[431]),
            |wire| {
                wire.send("GET / HTTP/1.1\r\n");
                wire.send_for_ever("X: x\r\n".repeat(1000).as_bytes(), Duration::ZERO);
            },
        ),
        case("endless target", "`GET /xxx...` without end", answered_or_closed(&[414, 431]), |wire| {
            wire.send("GET /");
            wire.send_for_ever(&[b'x'; 8192], Duration::ZERO);
        }),
        case("endless method", "`xxx...` without end", answered_or_closed(&[431]), |wire| {
            wire.send_for_ever(&[b'x'; 8192], Duration::ZERO);
        }),
        case("empty lines", "CRLF without end", answered_or_closed(&[400, 431]), |wire| {
            wire.send_for_ever("\r\n".repeat(1000).as_bytes(), Duration::ZERO);
        }),
        case("4,000 fields", "4,000 fields in one head", answered(&[431]), |wire| {
            head(wire, &format!("GET / HTTP/1.1\r\nHost: sink.test\r\n{}Y: y", "X: x\r\n".repeat(4000)));
        }),
        case("long target", "a target of 100,000 bytes", answered(&[414, 431]), |wire| {
            head(wire, &format!("GET /{} HTTP/1.1\r\nHost: sink.test", "x".repeat(100_000)));
        }),
        case("large body", "8 MiB where 1 is allowed, in one piece", answered(&[413]), |wire| {
            wire.send(format!("{HEAD}Content-Length: 8388608\r\n\r\n"));
            for _ in 0..128 {
                wire.send([b'x'; 65_536]);
            }
        }),
        case(
            "large chunks",
            "8 MiB where 1 is allowed, in chunks",
            answered_or_closed(&[408, 413, 503, 504]),
            |wire| {
                chunked(wire, "");
                let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
                for _ in 0..128 {
                    wire.send(&chunk);
                }
            },
        ),
        case(
            "huge chunk",
            "a chunk of `ffffffffffffffff` bytes, and 5 of them",
            answered(BROKEN_BODY),
            |wire| chunked(wire, "ffffffffffffffff\r\nhello"),
        ),
        case("chunk beyond 64 bits", "a chunk of `fffffffffffffffff` bytes", answered(BROKEN_BODY), |wire| {
            chunked(wire, "fffffffffffffffff\r\nhello");
        }),
        case(
            "endless chunk extension",
            "`5;xxx...` without end, as fast as it is taken",
            answered_or_closed(BROKEN_BODY),
            |wire| {
                chunked(wire, "5;");
                wire.send_for_ever(&[b'x'; 8192], Duration::ZERO);
            },
        ),
        case(
            "endless trailers",
            "trailers without end, as fast as they are taken",
            answered_or_closed(BROKEN_BODY),
            |wire| {
                chunked(wire, "5\r\nhello\r\n0\r\n");
                wire.send_for_ever("X: x\r\n".repeat(1000).as_bytes(), Duration::ZERO);
            },
        ),
        case(
            "pipelined flood",
            "2,000 requests, and reads no answer until the house is done with it",
            Expected { statuses: &[404], silence: true, answers: 1..=usize::MAX },
            |wire| {
                wire.flood("GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n".repeat(200).as_bytes(), 10);
                wire.leave_unread();
            },
        ),
    ]
}

fn framing() -> Vec<BadClient> {
    vec![
        case(
            "length and chunks",
            "`Content-Length: 6` beside `Transfer-Encoding: chunked`, a request behind it",
            answered(&[200, 400, 503]),
            |wire| {
                wire.send(format!(
                    "{HEAD}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"
                ));
            },
        ),
        case("two lengths", "`Content-Length: 5` and `Content-Length: 6`", answered(&[400]), |wire| {
            wire.send(format!("{HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello{HIDDEN}"));
        }),
        case("unknown coding", "`Transfer-Encoding: gzip, chunked`", answered(&[400, 501]), |wire| {
            wire.send(format!("{HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{HIDDEN}"));
        }),
        case("bare CR", "a CR within a field", answered(&[400]), |wire| {
            head(wire, "GET / HTTP/1.1\r\nHost: sink.test\r\nX: a\rHost: b");
        }),
        case(
            "bare LF",
            "lines that end with LF alone (RFC 9112, 2.2 allows it)",
            answered(&[200, 503]),
            |wire| {
                wire.send("GET /ok HTTP/1.1\nHost: sink.test\nConnection: close\n\n");
            },
        ),
        case("folding", "a field over two lines", answered(&[400]), |wire| {
            head(wire, "GET / HTTP/1.1\r\nHost: sink.test\r\nX: a\r\n b");
        }),
        case("space before the colon", "`Host : sink.test`", answered(&[400]), |wire| {
            head(wire, "GET / HTTP/1.1\r\nHost : sink.test");
        }),
        case("NUL", "a NUL within a field", answered(&[400]), |wire| {
            head(wire, "GET / HTTP/1.1\r\nHost: sink.test\r\nX: a\0b");
        }),
        case("leave never used", "`Expect: 100-continue`, and then no body", answered(NEVER_CAME), |wire| {
            wire.send(format!("{HEAD}Expect: 100-continue\r\nContent-Length: 100\r\n\r\n"));
        }),
        case(
            "unknown expectation",
            "`Expect: something` (RFC 9110, 10.1.1: may be ignored)",
            answered(&[200, 417, 503]),
            |wire| {
                head(wire, "GET /ok HTTP/1.1\r\nHost: sink.test\r\nExpect: something\r\nConnection: close");
            },
        ),
    ]
}

fn targets() -> Vec<BadClient> {
    vec![
        case("no Host", "HTTP/1.1 without `Host`", answered(&[400]), |wire| {
            head(wire, "GET / HTTP/1.1\r\nAccept: */*");
        }),
        case("two Hosts", "`Host: sink.test` twice", answered(&[400]), |wire| {
            head(wire, "GET / HTTP/1.1\r\nHost: sink.test\r\nHost: sink.test");
        }),
        case("bad Host", "`Host: sink.test/path`", answered(&[400]), |wire| {
            head(wire, "GET / HTTP/1.1\r\nHost: sink.test/path");
        }),
        case("wrong Host", "`Host: nobody.test`, then nothing", answered(&[404]), |wire| {
            head(wire, "GET / HTTP/1.1\r\nHost: nobody.test");
        }),
        case("absolute-form, no such host", "`GET http://nobody.test/`", answered(&[404]), |wire| {
            head(wire, "GET http://nobody.test/ HTTP/1.1\r\nHost: sink.test");
        }),
        case("absolute-form, other scheme", "`GET https://sink.test/`", answered(&[421]), |wire| {
            head(wire, "GET https://sink.test/ HTTP/1.1\r\nHost: sink.test");
        }),
        case("absolute-form, bad Host", "`GET http://sink.test/`, `Host: a/b`", answered(&[400]), |wire| {
            head(wire, "GET http://sink.test/ HTTP/1.1\r\nHost: a/b");
        }),
        case("authority-form", "`CONNECT sink.test:80`", answered(&[501]), |wire| {
            head(wire, "CONNECT sink.test:80 HTTP/1.1\r\nHost: sink.test");
        }),
        case("authority-form, wrong method", "`GET sink.test:80`", answered(&[400]), |wire| {
            head(wire, "GET sink.test:80 HTTP/1.1\r\nHost: sink.test");
        }),
    ]
}

fn protocols() -> Vec<BadClient> {
    vec![
        case("HTTP/0.9", "`GET /`", answered(&[400]), |wire| {
            wire.send("GET /\r\n");
        }),
        case("HTTP/2 at once", "the preface of HTTP/2", answered_or_closed(&[400, 505]), |wire| {
            wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
        }),
        case(
            "upgrade",
            "`Upgrade: h2c, websocket` (RFC 9110, 7.8: ignored)",
            answered(&[200, 503]),
            |wire| {
                head(
                    wire,
                    "GET /ok HTTP/1.1\r\nHost: sink.test\r\nConnection: upgrade, close\r\nUpgrade: h2c, websocket",
                );
            },
        ),
        case("TLS", "the beginning of a TLS handshake", answered(&[400]), |wire| {
            wire.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
        }),
        case("zeros", "4,096 zero bytes", answered(&[400]), |wire| {
            wire.send([0; 4096]);
        }),
    ]
}

fn leaving() -> Vec<BadClient> {
    vec![
        case("half-close", "a request, and its end of the connection", closed(), |wire| {
            head(wire, "GET /?ms=60000 HTTP/1.1\r\nHost: wait.test");
            wire.finish_sending();
        }),
        case("reset", "a request, and a reset", closed(), |wire| {
            head(wire, "GET /?ms=60000 HTTP/1.1\r\nHost: wait.test");
            wire.reset();
        }),
        case("reset within a body", "half a body, and a reset", closed(), |wire| {
            wire.send(format!("{HEAD}Content-Length: 100\r\n\r\nhello"));
            wire.reset();
        }),
        case(
            "too many",
            "twice as many connections as a client may have, and nothing on them",
            answered_or_closed(BEYOND),
            |_| {},
        ),
    ]
}
