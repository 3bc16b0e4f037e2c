//! Announces 100 bytes, sends 10 and says that this was all.

use test_guests::{guest, p2, wasip2::http::types::OutgoingBody};

guest!(|_request, _, out| {
    let (body, mut stream) = p2::begin(out, 200, &[("content-length", "100")]);
    p2::send(&mut stream, b"only this.").expect("the host takes the body");
    drop(stream);
    // The host may refuse this end, and may as well not.
    let _ = OutgoingBody::finish(body, None);
});
