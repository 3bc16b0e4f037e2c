//! Gives an error code in place of an answer.

use test_guests::{guest, p2::ResponseOutparam, wasip2::http::types::ErrorCode};

guest!(|_request, _, out| {
    let error = ErrorCode::InternalError(Some("this guest refuses on purpose".to_owned()));
    ResponseOutparam::set(out, Err(error));
});
