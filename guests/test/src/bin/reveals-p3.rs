//! Reveals its secrets: see `test_guests::secrets` for the questions.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    secrets,
    target::Target,
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    Ok(p3::json(&secrets::secrets(&target)))
}
