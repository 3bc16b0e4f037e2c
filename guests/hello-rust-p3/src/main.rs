//! A small app for WASI 0.3 on the crate `wasip3`: says hello as its settings want it.
//!
//! It reads the same setting twice, typed through `guesthouse:settings` and as text through the standard
//! `wasi:config/store`; an app needs only one of them. The target is `wasm32-wasip2`: the standard library still
//! speaks WASI 0.2, only this program speaks 0.3.

use wasip3::{
    exports::http::handler::Guest,
    http::types::{ErrorCode, Fields, Method, Request, Response},
    wit_bindgen::spawn_local,
    wit_future, wit_stream,
};

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "guesthouse:settings/imports", generate_all });
}

use bindings::{
    guesthouse::settings::settings::{self, Value},
    wasi::config::store,
};

struct Hello;

wasip3::http::service::export!(Hello);

impl Guest for Hello {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let body = greet(&request);
        let headers = Fields::new();
        let plain = b"text/plain; charset=utf-8".to_vec();
        headers.set("content-type", &[plain]).map_err(|_| ErrorCode::ConfigurationError)?;
        headers
            .set("content-length", &[body.len().to_string().into_bytes()])
            .map_err(|_| ErrorCode::ConfigurationError)?;

        let (mut contents, contents_reader) = wit_stream::new();
        // The trailers future must be answered once the body is done; dropping its writer answers with the default.
        let (_, trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(headers, Some(contents_reader), trailers);
        // The body is written while the host already sends the head, so this task goes on beyond the return.
        spawn_local(async move {
            contents.write_all(body.into_bytes()).await;
        });
        Ok(response)
    }
}

fn greet(request: &Request) -> String {
    let greeting = match settings::get("greeting") {
        Some(Value::Text(text)) => text,
        _ => "a guest of the house".to_owned(),
    };
    let as_text = match store::get("greeting") {
        Ok(Some(text)) => text,
        Ok(None) => "not set".to_owned(),
        Err(error) => format!("not readable: {error:?}"),
    };
    let path = request.get_path_with_query().unwrap_or_else(|| "/".to_owned());
    format!(
        "Hello from {greeting}\n{method} {path}\nWASI 0.3, generation {generation}, wasi:config says: {as_text}\n",
        method = method_name(&request.get_method()),
        generation = settings::generation(),
    )
}

fn method_name(method: &Method) -> String {
    match method {
        Method::Other(name) => name.clone(),
        known => format!("{known:?}").trim_start_matches("Method::").to_uppercase(),
    }
}

/// The standard library wants one in a binary; a host calls `handle` instead.
fn main() {}
