//! The smallest web app for WASI 0.3, on the crate `wasip3`.

use wasip3::{
    exports::http::handler::Guest,
    http::types::{ErrorCode, Fields, Request, Response},
    wit_bindgen::spawn_local,
    wit_future, wit_stream,
};

/// What the benchmark expects, to the byte.
const HELLO: &str = "Hello from a guest of the house\n";

struct Hello;

wasip3::http::service::export!(Hello);

impl Guest for Hello {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let headers = Fields::new();
        for (name, value) in
            [("content-type", "text/plain; charset=utf-8"), ("content-length", &HELLO.len().to_string())]
        {
            headers
                .set(name, &[value.as_bytes().to_vec()])
                .map_err(|_| ErrorCode::ConfigurationError)?;
        }
        let (mut contents, contents_reader) = wit_stream::new();
        // The trailers future must be answered once the body is done; dropping its writer answers with the default.
        let (_, trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(headers, Some(contents_reader), trailers);
        // The body is written while the host already sends the head, so this task goes on beyond the return.
        spawn_local(async move {
            contents.write_all(HELLO.as_bytes().to_vec()).await;
        });
        Ok(response)
    }
}

/// The standard library wants one in a binary; a host calls `handle` instead.
fn main() {}
