//! As much of a browser as a form of Django's wants: it keeps cookies, and sends the hidden token with what it posts.

use std::collections::BTreeMap;

use crate::{House, Request, Response};

const TOKEN: &str = "csrfmiddlewaretoken";

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

    /// Fills in the form at `path`, which sends to the same path.
    ///
    /// # Panics
    ///
    /// Where there is no form with a token.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.submit(path, path, fields)
    }

    /// Fills in the form on the page `form`, which sends to `path`.
    ///
    /// # Panics
    ///
    /// As [`Browser::post`].
    pub fn submit(&mut self, form: &str, path: &str, fields: &[(&str, &str)]) -> Response {
        let token = self.token(form);
        let fields = fields.iter().copied().chain([(TOKEN, token.as_str())]);
        let body: Vec<_> =
            fields.map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        let request = Request::post(&self.host, path, body.join("&"));
        self.send(request.header("content-type", "application/x-www-form-urlencoded"))
    }

    /// Fills in the form at `path`, one field of which is a file with a name and a content.
    ///
    /// # Panics
    ///
    /// As [`Browser::post`].
    pub fn upload(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        (field, name, content): (&str, &str, &[u8]),
    ) -> Response {
        let token = self.token(path);
        let mut body = Vec::new();
        for (name, value) in fields.iter().copied().chain([(TOKEN, token.as_str())]) {
            let part =
                format!("--frontier\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        let head = format!(
            "--frontier\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n--frontier--\r\n");
        let request = Request::post(&self.host, path, body);
        self.send(request.header("content-type", "multipart/form-data; boundary=frontier"))
    }

    /// The hidden token of the first form on a page.
    fn token(&mut self, path: &str) -> String {
        let page = self.get(path).text();
        let token =
            page.split(&format!("name=\"{TOKEN}\" value=\"")).nth(1).and_then(|rest| rest.split('"').next());
        token.unwrap_or_else(|| panic!("no form at {path}: {page}")).to_owned()
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

/// A name or value of a form as it is sent: each byte as `%XX` but for letters and digits.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(escape).collect()
}
