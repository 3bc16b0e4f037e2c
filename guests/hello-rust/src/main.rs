//! A small app for WASI 0.2 on the crate `wstd`: says hello as its settings want it.
//!
//! It reads the same setting twice, typed through `guesthouse:settings` and as text through the standard
//! `wasi:config/store`; an app needs only one of them.

use wstd::http::{Body, Error, Request, Response};

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "guesthouse:settings/imports", generate_all });
}

use bindings::{
    guesthouse::settings::settings::{self, Value},
    wasi::config::store,
};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let greeting = match settings::get("greeting") {
        Some(Value::Text(text)) => text,
        _ => "a guest of the house".to_owned(),
    };
    let as_text = match store::get("greeting") {
        Ok(Some(text)) => text,
        Ok(None) => "not set".to_owned(),
        Err(error) => format!("not readable: {error:?}"),
    };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let body = format!(
        "Hello from {greeting}\n{method} {path}\nWASI 0.2, generation {generation}, wasi:config says: {as_text}\n",
        method = request.method(),
        generation = settings::generation(),
    );
    Ok(Response::builder().header("content-type", "text/plain; charset=utf-8").body(body.into())?)
}
