//! Sends the head and 10 bytes of its answer, then traps. With `?length=1` it has announced 100 bytes.

use test_guests::{guest, p2};

guest!(|_request, target, out| {
    let headers: &[_] = if target.get("length").is_some() { &[("content-length", "100")] } else { &[] };
    let (_body, mut stream) = p2::begin(out, 200, headers);
    p2::send(&mut stream, b"only this.").expect("the host takes the body");
    core::arch::wasm32::unreachable()
});
