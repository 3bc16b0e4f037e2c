//! Requests as a well-behaved client writes them. Those that are malformed on purpose are written out in their tests.

/// A request, put together as bytes.
#[derive(Clone)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    chunks: Option<Vec<Vec<u8>>>,
    trailers: Vec<(String, String)>,
}

impl Request {
    pub fn new(method: &str, host: &str, target: &str) -> Request {
        Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: vec![("host".to_owned(), host.to_owned())],
            body: Vec::new(),
            chunks: None,
            trailers: Vec::new(),
        }
    }

    pub fn get(host: &str, target: &str) -> Request {
        Request::new("GET", host, target)
    }

    pub fn post(host: &str, target: &str, body: impl Into<Vec<u8>>) -> Request {
        let mut request = Request::new("POST", host, target);
        request.body = body.into();
        request
    }

    /// POST with a body of unknown length (RFC 9112, section 7.1).
    pub fn chunked(host: &str, target: &str, chunks: &[&[u8]]) -> Request {
        let mut request = Request::new("POST", host, target);
        request.chunks = Some(chunks.iter().map(|chunk| chunk.to_vec()).collect());
        request
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }

    /// A trailer, of a chunked request.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Request {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn method(&self) -> &str {
        &self.method
    }

    /// The request as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut line = |name: &str, value: &str| bytes.extend(format!("{name}: {value}\r\n").bytes());
        for (name, value) in &self.headers {
            line(name, value);
        }
        match &self.chunks {
            Some(_) => line("transfer-encoding", "chunked"),
            None if !self.body.is_empty() => line("content-length", &self.body.len().to_string()),
            None if matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") => line("content-length", "0"),
            None => {}
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        if let Some(chunks) = &self.chunks {
            for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n");
            for (name, value) in &self.trailers {
                bytes.extend(format!("{name}: {value}\r\n").bytes());
            }
            bytes.extend(b"\r\n");
        }
        bytes
    }
}
