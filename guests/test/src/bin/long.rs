//! Announces 10 bytes and sends 100.

use test_guests::{guest, p2, wasip2::http::types::OutgoingBody};

guest!(|_request, _, out| {
    let (body, mut stream) = p2::begin(out, 200, &[("content-length", "10")]);
    for _ in 0..10 {
        // The host may refuse what is too much, and may as well drop it.
        let _ = p2::send(&mut stream, b"0123456789");
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
});
