//! The smallest web app for WASI 0.2, on the crate `wasip2`.

use wasip2::{
    exports::http::incoming_handler::Guest,
    http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam},
};

/// What the benchmark expects, to the byte.
const HELLO: &str = "Hello from a guest of the house\n";

struct Hello;

wasip2::http::proxy::export!(Hello);

impl Guest for Hello {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        let headers = Fields::from_list(&[
            ("content-type".to_owned(), b"text/plain; charset=utf-8".to_vec()),
            ("content-length".to_owned(), HELLO.len().to_string().into_bytes()),
        ]);
        let response = OutgoingResponse::new(headers.expect("valid headers"));
        let body = response.body().expect("the only body");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("the only stream");
        stream.blocking_write_and_flush(HELLO.as_bytes()).expect("the host takes the body");
        drop(stream);
        OutgoingBody::finish(body, None).expect("a body of the announced length");
    }
}

/// The standard library wants one in a binary; a host calls `handle` instead.
fn main() {}
