//! Streams for ever. Prints `client left` when nobody takes its bytes any more, and returns.

use test_guests::{guest, p2};

guest!(|_request, _, out| {
    let (_body, mut stream) = p2::begin(out, 200, &[("content-type", "application/octet-stream")]);
    println!("streaming");
    let piece = vec![b'.'; 64 * 1024];
    while p2::send(&mut stream, &piece).is_ok() {}
    println!("client left");
});
