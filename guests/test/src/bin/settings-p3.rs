//! Tells its settings as JSON: see `test_guests::json::settings` for the questions.

use test_guests::{
    guest_p3, json,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    Ok(p3::json(&json::settings(&target)))
}
