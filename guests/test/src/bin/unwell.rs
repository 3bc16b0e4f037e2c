//! Answers, and says that it is not fit to serve: 503 to all but `/ok`.

use test_guests::{guest, p2};

guest!(|_request, _target, out| {
    let (body, mut stream) = p2::begin(out, 503, &[("content-type", "text/plain; charset=utf-8")]);
    p2::send(&mut stream, b"the database is away\n").expect("the host takes the body");
    p2::finish(body, stream);
});
