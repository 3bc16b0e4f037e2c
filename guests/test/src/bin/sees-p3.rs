//! Tells the marks that it sees: see `test_guests::marks`. Has an `initialize`, which keeps the setting `MARK` in memory.

use test_guests::{
    guest_p3, initialised, marks,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

initialised!();

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    Ok(p3::json(&marks::seen(&target)))
}
