//! Answers whole, then goes on as `?then=` says: `trap`, or `wait` for `?ms=` milliseconds. Prints `finished late` when
//! it comes to an end.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    let write = |mut body: p3::Body| async move {
        body.write_all(b"answered\n".to_vec()).await;
        Ok(None)
    };
    Ok(p3::streamed_then(&[], write, async move {
        if target.get("then") == Some("trap") {
            core::arch::wasm32::unreachable()
        }
        p3::sleep(Some(target.number("ms").unwrap_or(0))).await;
        println!("finished late");
    }))
}
