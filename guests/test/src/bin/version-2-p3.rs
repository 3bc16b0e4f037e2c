//! Version 2 of an app that says which version it is: see `test_guests::version`.

use test_guests::{
    guest_p3,
    p3::{ErrorCode, Request, Response},
    target::Target,
    version,
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    version::answer_p3(2, target).await
}
