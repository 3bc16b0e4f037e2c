//! Gives an error code in place of an answer.

use test_guests::{
    guest_p3,
    p3::{ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(_request: Request, _target: Target) -> Result<Response, ErrorCode> {
    Err(ErrorCode::InternalError(Some("this guest refuses on purpose".to_owned())))
}
