//! Sends the head and 10 bytes of its answer, then traps. At `/error` it ends the body with an error instead.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    Ok(p3::streamed(&[], move |mut body| async move {
        body.write_all(b"only this.".to_vec()).await;
        if target.path == "/error" {
            return Err(ErrorCode::InternalError(Some("this guest breaks off on purpose".to_owned())));
        }
        core::arch::wasm32::unreachable()
    }))
}
