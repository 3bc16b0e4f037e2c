//! An app for WASI 0.2: every request is handled by a fresh instance.

use wstd::http::{Body, Error, Request, Response, StatusCode};

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "app", generate_all });
}

// The manifest's settings, as text.
use bindings::wasi::config::store as settings;

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    match request.uri().path() {
        "/" => home(),
        _ => Ok(Response::builder().status(StatusCode::NOT_FOUND).body("There is nothing here.\n".into())?),
    }
}

fn home() -> Result<Response<Body>, Error> {
    let greeting = settings::get("greeting").ok().flatten().unwrap_or_else(|| "Hello".to_owned());
    let body = format!("{greeting} from Rust.\n");
    Ok(Response::builder().header("content-type", "text/plain; charset=utf-8").body(body.into())?)
}
