//! Reads the whole body and answers what it was: JSON with the count of `bytes`, their FNV-1a hash of 64 bits in
//! hexadecimal digits, the `trailers`, and the `error` that the body ended with.

use serde_json::json;
use test_guests::{
    guest_p3, json,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(request: Request, _target: Target) -> Result<Response, ErrorCode> {
    let (mut body, end) = p3::body(request);
    println!("reading");
    let (mut bytes, mut hash) = (0_u64, 0xcbf2_9ce4_8422_2325_u64);
    while let Some(piece) = p3::piece(&mut body).await {
        bytes += piece.len() as u64;
        for byte in piece {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    drop(body);
    let (trailers, error) = match end.await {
        Ok(trailers) => (trailers.map_or_else(|| json!([]), |fields| json::fields(&fields.copy_all())), None),
        Err(error) => (json!([]), Some(format!("{error:?}"))),
    };
    println!("read {bytes} bytes");
    Ok(p3::json(
        &json!({ "bytes": bytes, "hash": format!("{hash:016x}"), "trailers": trailers, "error": error }),
    ))
}
