//! Guests for WASI 0.3: the entry point, and the few steps of the protocol that most of them take.

use std::future::Future;

pub use wasip3::http::types::{ErrorCode, Request, Response};
use wasip3::{
    http::types::{Fields, Trailers},
    wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local},
    wit_future, wit_stream,
};

use crate::{WELL, target::Target};

/// Makes a binary of a function `async fn(Request, Target) -> Result<Response, ErrorCode>`.
#[macro_export]
macro_rules! guest_p3 {
    ($behave:expr) => {
        struct TheGuest;

        impl $crate::wasip3::exports::http::handler::Guest for TheGuest {
            async fn handle(
                request: $crate::p3::Request,
            ) -> Result<$crate::p3::Response, $crate::p3::ErrorCode> {
                $crate::p3::serve(request, $behave).await
            }
        }

        $crate::wasip3::http::service::export!(TheGuest with_types_in $crate::wasip3);

        /// The standard library wants one in a binary; a host calls `handle` instead.
        fn main() {}
    };
}

/// Answers `/ok` and leaves all else to `behave`.
///
/// # Errors
///
/// As `behave` says.
pub async fn serve<B, F>(request: Request, behave: B) -> Result<Response, ErrorCode>
where
    B: FnOnce(Request, Target) -> F,
    F: Future<Output = Result<Response, ErrorCode>>,
{
    let target = Target::parse(request.get_path_with_query().as_deref());
    if target.path == "/ok" { Ok(text(WELL)) } else { behave(request, target).await }
}

/// The body of an answer, to write on.
pub type Body = StreamWriter<u8>;

/// The end of a body: its trailers, or what went wrong.
pub type End = Result<Option<Trailers>, ErrorCode>;

/// An answer with status 200 and a text, whole.
pub fn text(text: &str) -> Response {
    let text = text.as_bytes().to_vec();
    streamed(&[("content-type", "text/plain; charset=utf-8")], |mut body| async move {
        body.write_all(text).await;
        Ok(None)
    })
}

/// An answer with status 200 and JSON, whole.
pub fn json(json: &serde_json::Value) -> Response {
    let text = json.to_string().into_bytes();
    streamed(&[("content-type", "application/json")], |mut body| async move {
        body.write_all(text).await;
        Ok(None)
    })
}

/// An answer with status 200 whose body a task of its own writes after the return.
pub fn streamed<W, F>(headers: &[(&str, &str)], write: W) -> Response
where
    W: FnOnce(Body) -> F,
    F: Future<Output = End> + 'static,
{
    streamed_then(headers, write, async {})
}

/// As [`streamed`], with what the task does once the host has taken the end of the body.
pub fn streamed_then<W, F>(
    headers: &[(&str, &str)],
    write: W,
    then: impl Future<Output = ()> + 'static,
) -> Response
where
    W: FnOnce(Body) -> F,
    F: Future<Output = End> + 'static,
{
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let headers = Fields::from_list(&headers).expect("the host takes the headers");
    let (body, body_reader) = wit_stream::new();
    let (end, end_reader) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(headers, Some(body_reader), end_reader);
    let writing = write(body);
    spawn_local(async move {
        // Nobody reads the end of a body whose client has left.
        let _ = end.write(writing.await).await;
        then.await;
    });
    response
}

/// The body of a request as a stream, and its end.
pub fn body(request: Request) -> (StreamReader<u8>, FutureReader<End>) {
    let (_, handled) = wit_future::new(|| Ok(()));
    Request::consume_body(request, handled)
}

/// The next piece of a body; none at its end.
pub async fn piece(stream: &mut StreamReader<u8>) -> Option<Vec<u8>> {
    loop {
        let (result, piece) = stream.read(Vec::with_capacity(64 * 1024)).await;
        match result {
            _ if !piece.is_empty() => return Some(piece),
            StreamResult::Complete(_) => {}
            StreamResult::Dropped | StreamResult::Cancelled => return None,
        }
    }
}

/// Sleeps, or for ever where no time is given.
pub async fn sleep(ms: Option<u64>) {
    let pause_ns = ms.map_or(u64::MAX, |ms| ms * 1_000_000);
    wasip3::clocks::monotonic_clock::wait_for(pause_ns).await;
}
