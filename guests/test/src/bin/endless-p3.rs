//! Streams for ever. Prints `client left` when nobody takes its bytes any more.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(_request: Request, _target: Target) -> Result<Response, ErrorCode> {
    println!("streaming");
    Ok(p3::streamed(&[("content-type", "application/octet-stream")], |mut body| async move {
        while body.write_all(vec![b'.'; 64 * 1024]).await.is_empty() {}
        println!("client left");
        Ok(None)
    }))
}
