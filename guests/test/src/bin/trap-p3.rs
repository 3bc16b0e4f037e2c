//! Reads the whole request, then traps. At `/wait?ms=` it waits and answers, to be a neighbour in the same instance.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(request: Request, target: Target) -> Result<Response, ErrorCode> {
    if target.path == "/wait" {
        println!("waiting");
        p3::sleep(target.number("ms")).await;
        return Ok(p3::text("waited\n"));
    }
    let (mut body, _end) = p3::body(request);
    while p3::piece(&mut body).await.is_some() {}
    core::arch::wasm32::unreachable()
}
