//! Guests for WASI 0.2: the entry point, and the few steps of the protocol that most of them take.

use std::io::Write;

pub use wasip2::http::types::{IncomingRequest, ResponseOutparam};
use wasip2::{
    http::types::{Fields, FutureTrailers, IncomingBody, OutgoingBody, OutgoingResponse},
    io::streams::{InputStream, OutputStream, StreamError},
};

use crate::{WELL, target::Target};

/// Makes a binary of a function `fn(IncomingRequest, &Target, ResponseOutparam)`.
#[macro_export]
macro_rules! guest {
    ($behave:expr) => {
        struct TheGuest;

        impl $crate::wasip2::exports::http::incoming_handler::Guest for TheGuest {
            fn handle(request: $crate::p2::IncomingRequest, out: $crate::p2::ResponseOutparam) {
                $crate::p2::serve(request, out, $behave);
            }
        }

        $crate::wasip2::http::proxy::export!(TheGuest with_types_in $crate::wasip2);

        /// The standard library wants one in a binary; a host calls `handle` instead.
        fn main() {}
    };
}

/// Answers `/ok` and leaves all else to `behave`.
pub fn serve(
    request: IncomingRequest,
    out: ResponseOutparam,
    behave: impl FnOnce(IncomingRequest, &Target, ResponseOutparam),
) {
    let target = Target::parse(request.path_with_query().as_deref());
    if target.path == "/ok" { answer(out, WELL) } else { behave(request, &target, out) }
}

/// Answers with status 200 and a text, whole.
pub fn answer(out: ResponseOutparam, text: &str) {
    let (body, mut stream) = begin(out, 200, &[("content-type", "text/plain; charset=utf-8")]);
    stream.write_all(text.as_bytes()).expect("the host takes the body");
    finish(body, stream);
}

/// Answers with status 200 and JSON, whole.
pub fn answer_json(out: ResponseOutparam, json: &serde_json::Value) {
    let (body, mut stream) = begin(out, 200, &[("content-type", "application/json")]);
    stream.write_all(json.to_string().as_bytes()).expect("the host takes the body");
    finish(body, stream);
}

/// Hands the head of the answer to the host, and gives its body to write on.
pub fn begin(out: ResponseOutparam, status: u16, headers: &[(&str, &str)]) -> (OutgoingBody, OutputStream) {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let response = OutgoingResponse::new(Fields::from_list(&headers).expect("the host takes the headers"));
    response.set_status_code(status).expect("the host takes the status");
    let body = response.body().expect("the first taking of the body");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the first taking of the stream");
    (body, stream)
}

/// Writes and waits until the host has taken it all.
///
/// # Errors
///
/// What the host says, for example when the client has left.
pub fn send(stream: &mut OutputStream, bytes: &[u8]) -> Result<(), String> {
    stream.write_all(bytes).map_err(|error| error.to_string())?;
    stream.blocking_flush().map_err(|error| error.to_string())
}

/// Ends a body without trailers.
pub fn finish(body: OutgoingBody, stream: OutputStream) {
    stream.blocking_flush().expect("the host takes the body");
    drop(stream);
    OutgoingBody::finish(body, None).expect("the host takes the end of the body");
}

/// Reads the whole body in pieces and gives its trailers.
///
/// # Errors
///
/// What the host says of a body that did not come whole.
pub fn read(
    request: &IncomingRequest,
    mut take: impl FnMut(&[u8]),
) -> Result<Vec<(String, Vec<u8>)>, String> {
    let body = request.consume().expect("the first taking of the body");
    let stream = body.stream().expect("the first taking of the stream");
    while let Some(piece) = piece(&stream)? {
        take(&piece);
    }
    drop(stream);
    trailers(&IncomingBody::finish(body))
}

/// The next piece of a body; none at its end.
///
/// # Errors
///
/// What the host says of a body that does not come whole.
pub fn piece(stream: &InputStream) -> Result<Option<Vec<u8>>, String> {
    match stream.blocking_read(64 * 1024) {
        Ok(piece) => Ok(Some(piece)),
        Err(StreamError::Closed) => Ok(None),
        Err(StreamError::LastOperationFailed(error)) => Err(error.to_debug_string()),
    }
}

fn trailers(future: &FutureTrailers) -> Result<Vec<(String, Vec<u8>)>, String> {
    future.subscribe().block();
    match future.get().expect("trailers after the wait").expect("the first taking of the trailers") {
        Ok(trailers) => Ok(trailers.map_or_else(Vec::new, |fields| fields.entries())),
        Err(error) => Err(format!("{error:?}")),
    }
}

/// Sleeps, or for ever where no time is given.
pub fn sleep(ms: Option<u64>) {
    let pause_ns = ms.map_or(u64::MAX, |ms| ms * 1_000_000);
    wasip2::clocks::monotonic_clock::subscribe_duration(pause_ns).block();
}
