//! As much of a browser as a form of Django's wants: it keeps cookies, and sends the hidden token with what it posts.

use std::collections::BTreeMap;

use crate::{House, Request, Response};

/// One visitor of one host.
pub struct Browser<'a> {
    house: &'a House,
    host: String,
    cookies: BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    pub fn new(house: &'a House, host: &str) -> Browser<'a> {
        Browser { house, host: host.to_owned(), cookies: BTreeMap::new() }
    }

    /// # Panics
    ///
    /// When the answer breaks off.
    pub fn get(&mut self, path: &str) -> Response {
        self.send(Request::get(&self.host, path))
    }

    /// Fills in the form at `path`. Names and values have to need no escape but of spaces.
    ///
    /// # Panics
    ///
    /// Where there is no form with a token.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let form = self.get(path).text();
        let token = form
            .split("name=\"csrfmiddlewaretoken\" value=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let token = token.unwrap_or_else(|| panic!("no form at {path}: {form}"));
        let token = ("csrfmiddlewaretoken", token);
        let fields = fields.iter().chain([&token]);
        let body: Vec<_> =
            fields.map(|(name, value)| format!("{name}={}", value.replace(' ', "+"))).collect();
        let request = Request::post(&self.host, path, body.join("&"));
        self.send(request.header("content-type", "application/x-www-form-urlencoded"))
    }

    fn send(&mut self, request: Request) -> Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = self.house.send(&request.header("cookie", &cookies.join("; ")));
        for (_, cookie) in answer.head.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = cookie.split(';').next().and_then(|pair| pair.split_once('='));
            let (name, value) = pair.expect("a cookie has a name and a value");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}
