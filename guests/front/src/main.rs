//! The front page of a house: lists its sites as links, read from its settings.
//!
//! ```toml
//! [apps.front]
//! routes = ["*"]
//! [apps.front.settings]
//! title = "The demo house"                      # optional
//! sites = [{ name = "Shop", host = "shop.localhost", about = "Where things are sold" }]
//! ```
//!
//! `host` may carry a path (`example.localhost/shop`). The links keep the scheme and the port that the visitor came
//! by, so that the page is right on any listener. It answers every path alike, but only `/` with 200: any other is a
//! name or path that no site of the house has, and says so with 404.

mod page;

use serde::Deserialize;
use wstd::http::{Body, Error, Method, Request, Response, StatusCode, Uri};

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "guesthouse:settings/imports", generate_all });
}

use bindings::guesthouse::settings::settings::{self, Value};

/// One entry of the setting `sites`.
#[derive(Deserialize)]
struct Site {
    name: String,
    host: String,
    #[serde(default)]
    about: String,
}

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let refusal = Response::builder().status(StatusCode::METHOD_NOT_ALLOWED).header("allow", "GET, HEAD");
        return Ok(refusal.body(Body::empty())?);
    }
    let sites: Vec<Site> = match settings::get_json("sites") {
        Some(json) => serde_json::from_str(&json).map_err(|error| {
            Error::msg(format!("setting `sites` is not a list of {{ name, host, about }} tables: {error}"))
        })?,
        None => Vec::new(),
    };
    let title = match settings::get("title") {
        Some(Value::Text(title)) => title,
        _ => "Guesthouse".to_owned(),
    };
    let visit = page::Visit { origin: Origin::of(request.uri()), path: request.uri().path() };
    let status = if visit.path == "/" { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let html = page::render(&title, &sites, &visit);
    Ok(Response::builder()
        .status(status)
        .header("content-type", "text/html; charset=utf-8")
        .header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")
        .body(html.into())?)
}

/// Where the visitor came in.
struct Origin {
    scheme: String,
    host: String,
    /// With its colon, or empty where the visitor named none.
    port: String,
}

impl Origin {
    fn of(uri: &Uri) -> Origin {
        let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
        Origin {
            scheme: uri.scheme_str().unwrap_or("http").to_owned(),
            host: uri.host().unwrap_or("localhost").to_owned(),
            port,
        }
    }

    /// The address of a site of the same house.
    fn link(&self, site: &Site) -> String {
        let (host, path) = site.host.split_once('/').unwrap_or((&site.host, ""));
        format!("{}://{host}{}/{path}", self.scheme, self.port)
    }
}
