//! Prints lines for ever, by the stream of `wasi:cli@0.3`.

use test_guests::{
    guest_p3,
    p3::{ErrorCode, Request, Response},
    target::Target,
    wasip3::{cli::stdout, wit_stream},
};

guest_p3!(behave);

async fn behave(_request: Request, _target: Target) -> Result<Response, ErrorCode> {
    let (mut lines, reader) = wit_stream::new();
    let _end = stdout::write_via_stream(reader);
    let piece = "one of very many lines\n".repeat(1000).into_bytes();
    while lines.write_all(piece.clone()).await.is_empty() {}
    Err(ErrorCode::ConfigurationError)
}
