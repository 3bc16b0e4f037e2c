//! Sleeps `?ms=` milliseconds, or for ever without it, then answers. Prints `waiting` first, and with `?name=` that too.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    println!("{}", format!("waiting {}", target.get("name").unwrap_or_default()).trim_end());
    p3::sleep(target.number("ms")).await;
    Ok(p3::text("waited\n"))
}
