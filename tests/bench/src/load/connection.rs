//! One connection to a server: HTTP/1.1, one request at a time, reconnecting where the server wants it so.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An answer in the connection's buffer.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
}

pub(super) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: BytesMut,
    /// A chunked body, put together.
    joined: Vec<u8>,
}

/// What the head of an answer says.
struct Head {
    status: u16,
    /// Bytes of the head itself.
    length: usize,
    body: Body,
    closes: bool,
}

enum Body {
    Sized(usize),
    Chunked,
}

/// Fields of an answer's head.
const FIELDS_MAX: usize = 32;

impl Connection {
    pub(super) fn new(address: SocketAddr) -> Connection {
        Connection { address, stream: None, buffer: BytesMut::with_capacity(16 * 1024), joined: Vec::new() }
    }

    /// Connects, so that the next request does not have to.
    pub(super) async fn open(&mut self) -> Result<()> {
        self.stream = Some(connect(self.address).await?);
        Ok(())
    }

    /// Sends a request and reads its whole answer.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address).await?,
        };
        self.buffer.clear();
        self.joined.clear();
        stream.write_all(request).await.context("the request is not taken")?;
        let head = loop {
            read(&mut stream, &mut self.buffer).await?;
            if let Some(head) = Head::parse(&self.buffer)? {
                break head;
            }
        };
        let end = match head.body {
            Body::Sized(length) => head.length + length,
            Body::Chunked => self.read_chunks(&mut stream, head.length).await?,
        };
        while self.buffer.len() < end {
            read(&mut stream, &mut self.buffer).await?;
        }
        if self.buffer.len() > end {
            bail!("there are bytes after the answer: {:?}", self.buffer.split_off(end));
        }
        if !head.closes {
            self.stream = Some(stream);
        }
        let body = match head.body {
            Body::Sized(_) => &self.buffer[head.length..],
            Body::Chunked => &self.joined[..],
        };
        Ok(Answer { status: head.status, body })
    }

    /// Reads chunks from the place `at` of the buffer on, up to the last, and gives the place after it.
    async fn read_chunks(&mut self, stream: &mut TcpStream, mut at: usize) -> Result<usize> {
        loop {
            match httparse::parse_chunk_size(&self.buffer[at..]) {
                Ok(httparse::Status::Complete((line, size))) => {
                    let (start, size) = (at + line, usize::try_from(size)?);
                    let end = start + size + b"\r\n".len();
                    while self.buffer.len() < end {
                        read(stream, &mut self.buffer).await?;
                    }
                    self.joined.extend_from_slice(&self.buffer[start..start + size]);
                    at = end;
                    if size == 0 {
                        return Ok(at);
                    }
                }
                Ok(httparse::Status::Partial) => read(stream, &mut self.buffer).await?,
                Err(error) => bail!("the answer's chunks are broken: {error:?}"),
            }
        }
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("no connection to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn read(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<()> {
    match stream.read_buf(buffer).await.context("the answer breaks off")? {
        0 => bail!("the connection ends within the answer, after {} bytes", buffer.len()),
        _ => Ok(()),
    }
}

impl Head {
    /// `None` of a head that is not whole yet.
    fn parse(bytes: &[u8]) -> Result<Option<Head>> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let httparse::Status::Complete(length) = response.parse(bytes).context("the answer is not HTTP")?
        else {
            return Ok(None);
        };
        let field = |name: &str| {
            let field = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            field.map(|field| String::from_utf8_lossy(field.value))
        };
        let body = match field("content-length") {
            Some(length) => Body::Sized(length.trim().parse().context("the length of the answer")?),
            None if field("transfer-encoding").is_some_and(|coding| coding.trim() == "chunked") => {
                Body::Chunked
            }
            None => bail!("the answer has neither a length nor chunks"),
        };
        let closes = field("connection").is_some_and(|value| value.trim().eq_ignore_ascii_case("close"));
        let status = response.code.context("the answer has no status")?;
        Ok(Some(Head { status, length, body, closes }))
    }
}
