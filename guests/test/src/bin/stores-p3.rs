//! Uses key-value stores as requests say: see `test_guests::stores` for the operations.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    stores,
    target::Target,
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    Ok(p3::json(&stores::act(&target)))
}
