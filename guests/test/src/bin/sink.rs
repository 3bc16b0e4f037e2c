//! Reads the whole body and answers what it was: JSON with the count of `bytes`, their FNV-1a hash of 64 bits in
//! hexadecimal digits, the `trailers`, and the `error` that the body ended with.

use serde_json::json;
use test_guests::{guest, json, p2};

guest!(|request, _, out| {
    println!("reading");
    let (mut bytes, mut hash) = (0_u64, 0xcbf2_9ce4_8422_2325_u64);
    let end = p2::read(&request, |piece| {
        bytes += piece.len() as u64;
        for byte in piece {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    });
    let (trailers, error) = match end {
        Ok(trailers) => (json::fields(&trailers), None),
        Err(error) => (json!([]), Some(error)),
    };
    println!("read {bytes} bytes");
    p2::answer_json(
        out,
        &json!({ "bytes": bytes, "hash": format!("{hash:016x}"), "trailers": trailers, "error": error }),
    );
});
