//! Answers with `?bytes=` bytes in chunks of `?chunk=` (64 KiB without it); byte number i is i modulo 251.
//! With `?length=1` the length is announced.

use std::io::Write;

use test_guests::{guest, p2};

guest!(|_request, target, out| {
    let bytes = target.number("bytes").unwrap_or(0);
    let chunk = target.number("chunk").unwrap_or(64 * 1024);
    let length = bytes.to_string();
    let mut headers = vec![("content-type", "application/octet-stream")];
    if target.get("length").is_some() {
        headers.push(("content-length", &length));
    }
    let (body, mut stream) = p2::begin(out, 200, &headers);
    let mut sent = 0;
    while sent < bytes {
        let end = bytes.min(sent + chunk);
        let piece: Vec<u8> = (sent..end).map(|index| (index % 251) as u8).collect();
        stream.write_all(&piece).expect("the host takes the body");
        sent = end;
    }
    p2::finish(body, stream);
});
