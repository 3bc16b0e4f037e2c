//! Has an `initialize`: see `test_guests::image` for what it does there and what it answers.

use test_guests::{
    guest_p3, image, initialised,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

initialised!();

guest_p3!(behave);

async fn behave(_request: Request, _target: Target) -> Result<Response, ErrorCode> {
    Ok(p3::json(&image::state()))
}
