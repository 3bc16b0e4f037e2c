//! Has the host hash passwords: see `test_guests::hashes`.

use test_guests::{
    guest_p3, hashes,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    Ok(p3::text(&hashes::hash(&target)))
}
