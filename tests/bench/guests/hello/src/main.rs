//! The smallest web app for WASI 0.2, on the crate `wstd`.

use wstd::http::{Body, Error, Request, Response};

/// What the benchmark expects, to the byte.
const HELLO: &str = "Hello from a guest of the house\n";

#[wstd::http_server]
async fn main(_request: Request<Body>) -> Result<Response<Body>, Error> {
    Ok(Response::builder()
        .header("content-type", "text/plain; charset=utf-8")
        .header("content-length", HELLO.len())
        .body(HELLO.into())?)
}
