//! An app for WASI 0.3: one instance handles many requests at once.

use wasip3::{
    exports::http::handler::Guest,
    http::types::{ErrorCode, Fields, Request, Response},
    wit_bindgen::spawn_local,
    wit_future, wit_stream,
};

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "app", generate_all });
}

// The manifest's settings, as text.
use bindings::wasi::config::store as settings;

struct App;

wasip3::http::service::export!(App);

impl Guest for App {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        match path.split('?').next() {
            Some("/" | "") => home(),
            _ => respond(404, "There is nothing here.\n".to_owned()),
        }
    }
}

fn home() -> Result<Response, ErrorCode> {
    let greeting = settings::get("greeting").ok().flatten().unwrap_or_else(|| "Hello".to_owned());
    respond(200, format!("{greeting} from Rust.\n"))
}

/// A whole answer of plain text.
fn respond(status: u16, body: String) -> Result<Response, ErrorCode> {
    let headers = Fields::new();
    let plain = b"text/plain; charset=utf-8".to_vec();
    headers.set("content-type", &[plain]).map_err(|_| ErrorCode::ConfigurationError)?;
    let (mut contents, reader) = wit_stream::new();
    // No trailers: dropping the writer answers with the default.
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(headers, Some(reader), trailers);
    response.set_status_code(status).map_err(|()| ErrorCode::ConfigurationError)?;
    // Goes on when this function has returned the head.
    spawn_local(async move {
        contents.write_all(body.into_bytes()).await;
    });
    Ok(response)
}
