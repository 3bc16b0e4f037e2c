//! Calls itself until its stack is used up.

use test_guests::{
    guest_p3,
    p3::{ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(_request: Request, _target: Target) -> Result<Response, ErrorCode> {
    println!("{}", deeper(0));
    Err(ErrorCode::ConfigurationError)
}

#[expect(unconditional_recursion, reason = "the behaviour that this guest is for")]
fn deeper(depth: u64) -> u64 {
    let mark = std::hint::black_box([depth; 8]);
    deeper(depth + 1) + mark[usize::try_from(depth % 8).unwrap_or(0)]
}
