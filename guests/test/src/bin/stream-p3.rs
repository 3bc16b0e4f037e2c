//! Answers with `?bytes=` bytes in chunks of `?chunk=` (64 KiB without it); byte number i is i modulo 251.
//! With `?length=1` the length is announced.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    let bytes = target.number("bytes").unwrap_or(0);
    let chunk = target.number("chunk").unwrap_or(64 * 1024);
    let length = bytes.to_string();
    let mut headers = vec![("content-type", "application/octet-stream")];
    if target.get("length").is_some() {
        headers.push(("content-length", &length));
    }
    Ok(p3::streamed(&headers, move |mut body| async move {
        let mut sent = 0;
        while sent < bytes {
            let end = bytes.min(sent + chunk);
            let piece: Vec<u8> = (sent..end).map(|index| (index % 251) as u8).collect();
            if !body.write_all(piece).await.is_empty() {
                break;
            }
            sent = end;
        }
        Ok(None)
    }))
}
