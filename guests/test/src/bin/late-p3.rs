//! Answers whole, then goes on as `?then=` says: `trap`, or `wait` for `?ms=` milliseconds. Prints `finished late` when
//! it comes to an end.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
    wasip3::wit_bindgen::spawn_local,
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    spawn_local(async move {
        p3::sleep(Some(target.number("ms").unwrap_or(0))).await;
        if target.get("then") == Some("trap") {
            core::arch::wasm32::unreachable()
        }
        println!("finished late");
    });
    Ok(p3::text("answered\n"))
}
