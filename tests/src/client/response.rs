//! Answers, read as RFC 9112 says: an answer that departs from it is broken, however harmless it may look.

use std::{
    fmt,
    io::{self, BufRead, Read, Write},
};

/// The status line and the header fields.
#[derive(Debug, Clone)]
pub struct Head {
    pub version: String,
    pub status: u16,
    pub reason: String,
    /// In their order, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first field of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether the house will close the connection after this answer.
    pub fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    pub head: Head,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl Response {
    /// Reads an answer to a GET from bytes that have come.
    ///
    /// # Errors
    ///
    /// Where they are not all of it, or none that a client may accept.
    pub(crate) fn parse(mut bytes: &[u8]) -> Result<Response, Box<Broken>> {
        let head = read_head(&mut bytes)?;
        read_body(&mut bytes, head, "GET")
    }

    pub fn status(&self) -> u16 {
        self.head.status
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// # Panics
    ///
    /// When the body is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body in UTF-8")
    }

    /// # Panics
    ///
    /// When the body is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }
}

/// An answer that broke off, or that no client may accept.
#[derive(Debug)]
pub struct Broken {
    /// As far as it came.
    pub head: Option<Head>,
    pub body: Vec<u8>,
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(1000)]);
        write!(out, "the answer broke off: {}\nhead: {:?}\nbody so far: {body}", self.why, self.head)
    }
}

pub(super) fn read_head(socket: &mut impl BufRead) -> Result<Head, Box<Broken>> {
    let broken = |why: String| Box::new(Broken { head: None, body: Vec::new(), why });
    let status_line = line(socket).map_err(broken)?;
    let mut parts = status_line.splitn(3, ' ');
    let (version, status) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let status = match status.parse() {
        Ok(status) if version.starts_with("HTTP/1.") && status >= 100 => status,
        _ => return Err(broken(format!("no status line: {status_line:?}"))),
    };
    let reason = parts.next().unwrap_or_default().to_owned();
    Ok(Head { version: version.to_owned(), status, reason, headers: fields(socket).map_err(broken)? })
}

/// Reads the body of an answer to a request with this method (RFC 9112, section 6.3).
pub(super) fn read_body(
    socket: &mut impl BufRead,
    head: Head,
    method: &str,
) -> Result<Response, Box<Broken>> {
    let mut body = Vec::new();
    match fill(socket, method, &head, &mut body) {
        Ok(trailers) => Ok(Response { head, body, trailers }),
        Err(why) => Err(Box::new(Broken { head: Some(head), body, why })),
    }
}

/// As [`read_body`], of a body that nobody wants to keep.
pub(super) fn discard_body(socket: &mut impl BufRead, head: &Head, method: &str) -> Result<(), String> {
    fill(socket, method, head, &mut io::sink()).map(drop)
}

/// Reads the body, and gives its trailers.
fn fill(
    socket: &mut impl BufRead,
    method: &str,
    head: &Head,
    body: &mut impl Write,
) -> Result<Vec<(String, String)>, String> {
    let status = head.status;
    let encoding = head.header("transfer-encoding");
    let length = head.header("content-length");
    if encoding.is_some() && length.is_some() {
        return Err("both a transfer encoding and a length".to_owned());
    }
    if method == "HEAD" || status < 200 || status == 204 || status == 304 {
        return Ok(Vec::new());
    }
    match (encoding, length) {
        (Some("chunked"), _) => fill_chunked(socket, body),
        (Some(other), _) => Err(format!("the transfer encoding {other}")),
        (None, Some(length)) => {
            let length = length.parse().map_err(|_| format!("the length {length:?}"))?;
            fill_length(socket, body, length).map(|()| Vec::new())
        }
        (None, None) if head.closes() || head.version == "HTTP/1.0" => {
            io::copy(socket, body).map(|_| Vec::new()).map_err(|error| error.to_string())
        }
        (None, None) => Err("neither a length nor a close".to_owned()),
    }
}

fn fill_chunked(socket: &mut impl BufRead, body: &mut impl Write) -> Result<Vec<(String, String)>, String> {
    loop {
        let size = line(socket)?;
        let length = u64::from_str_radix(&size, 16).map_err(|_| format!("the chunk size {size:?}"))?;
        if length == 0 {
            break;
        }
        fill_length(socket, body, length)?;
        let end = line(socket)?;
        if !end.is_empty() {
            return Err(format!("{end:?} after a chunk"));
        }
    }
    fields(socket)
}

fn fill_length(socket: &mut impl BufRead, body: &mut impl Write, length: u64) -> Result<(), String> {
    let read = io::copy(&mut socket.take(length), body).map_err(|error| error.to_string())?;
    if read == length { Ok(()) } else { Err(format!("{read} of {length} bytes, then the end")) }
}

fn fields(socket: &mut impl BufRead) -> Result<Vec<(String, String)>, String> {
    let mut fields = Vec::new();
    loop {
        let field = line(socket)?;
        if field.is_empty() {
            return Ok(fields);
        }
        let (name, value) = field.split_once(':').ok_or_else(|| format!("the field {field:?}"))?;
        if name.is_empty() || name.contains(|character: char| character.is_whitespace()) {
            return Err(format!("the field name {name:?}"));
        }
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn line(socket: &mut impl BufRead) -> Result<String, String> {
    let mut line = Vec::new();
    socket.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
    match line.strip_suffix(b"\r\n") {
        Some(line) => String::from_utf8(line.to_vec()).map_err(|error| error.to_string()),
        None if line.is_empty() => Err("the connection ended".to_owned()),
        None => Err(format!("a line without CRLF: {:?}", String::from_utf8_lossy(&line))),
    }
}
