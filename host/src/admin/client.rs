//! Asks a running house by its admin interface: what `guesthouse status`, `swap` and their like are made of.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{
    body::{Body, Frame, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_util::task::AbortOnDropHandle;

use super::guard;
use crate::{
    plan::{self, ListenAddr},
    reload::change::{Reason, Refusal, StoredComponent},
};

/// Bytes of a file that are read at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes of a line of the log, far above what the house sends.
const LINE_BYTES_MAX: usize = 8 << 20;

/// Where a house is asked, and by what token.
pub struct Client {
    address: ListenAddr,
    authorization: Option<HeaderValue>,
}

/// The house refused; `message` says why and how to mend it.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub struct Refused(pub Refusal);

impl Refused {
    /// Whether the message is a whole report of problems with their places, rather than a sentence.
    pub fn is_report(&self) -> bool {
        ["error: ", "error[", "warning: "].iter().any(|begin| self.0.message.starts_with(begin))
    }
}

type Sent = Pin<Box<dyn Body<Data = Bytes, Error = io::Error> + Send>>;

/// An answer that is being read. The connection is the task, and ends with it.
struct Answer {
    response: Response<Incoming>,
    _connection: AbortOnDropHandle<()>,
}

impl Client {
    /// Reads the token, and connects to nothing yet.
    ///
    /// # Errors
    /// A token file that cannot be read or used.
    pub fn new(admin: &plan::Admin) -> Result<Self> {
        let token = admin.token_file.as_deref().map(guard::read_token).transpose()?;
        let authorization = match token {
            Some(token) => {
                let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(Self { address: admin.address.clone(), authorization })
    }

    /// # Errors
    /// [`Refused`]; or no house listens there; or the answer broke off.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(self.send(Method::GET, path, None, empty()).await?).await
    }

    /// As [`Client::get`], or nothing where there is nothing.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(error) => match error.downcast_ref::<Refused>() {
                Some(Refused(refusal)) if refusal.reason == Reason::NotFound => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// # Errors
    /// As [`Client::get`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: Option<&impl Serialize>) -> Result<T> {
        let (kind, body) = match body {
            Some(body) => (Some("application/json"), full(serde_json::to_vec(body)?)),
            None => (None, empty()),
        };
        read(self.send(Method::POST, path, kind, body).await?).await
    }

    /// POST whose answer has no body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn tell(&self, path: &str) -> Result<()> {
        self.send(Method::POST, path, None, empty()).await.map(drop)
    }

    /// Puts a file into the store of components as it is read.
    ///
    /// # Errors
    /// As [`Client::get`]; and a file that cannot be read.
    pub async fn upload(&self, file: &Path) -> Result<StoredComponent> {
        let opened = File::open(file).await.with_context(|| format!("reading {}", file.display()))?;
        read(self.send(Method::PUT, "/v1/components", Some("application/wasm"), streamed(opened)).await?)
            .await
    }

    /// Gives each line of an answer to `each` as it comes, without its line break.
    ///
    /// # Errors
    /// As [`Client::get`]; and what `each` has to say.
    pub async fn lines(&self, path: &str, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut answer = self.send(Method::GET, path, None, empty()).await?;
        let mut unfinished = Vec::new();
        while let Some(frame) = answer.response.frame().await {
            let Ok(bytes) = frame.context("the house broke off")?.into_data() else { continue };
            for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
                unfinished.extend_from_slice(piece);
                if let Some(line) = unfinished.strip_suffix(b"\n") {
                    each(line)?;
                    unfinished.clear();
                }
                anyhow::ensure!(unfinished.len() <= LINE_BYTES_MAX, "the house sends no lines");
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&'static str>,
        body: Sent,
    ) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "guesthouse");
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(body)?;
        let answer = match &self.address {
            ListenAddr::Tcp(address) => {
                exchange(TcpStream::connect(address).await.map_err(|error| self.no_house(error))?, request)
                    .await
            }
            ListenAddr::Unix(path) => {
                exchange(UnixStream::connect(path).await.map_err(|error| self.no_house(error))?, request)
                    .await
            }
        };
        let answer = answer.with_context(|| format!("asking the house at {}", self.address))?;
        if answer.response.status().is_success() { Ok(answer) } else { Err(refused(answer).await) }
    }

    fn no_house(&self, error: io::Error) -> anyhow::Error {
        let address = &self.address;
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => anyhow::anyhow!(
                "no house listens on {address}: start one with `guesthouse serve`, or name its admin listener with \
                 `--admin ADDR`"
            ),
            io::ErrorKind::PermissionDenied => anyhow::anyhow!(
                "the house on {address} is another user's: its admin listener is for that user alone"
            ),
            _ => anyhow::Error::new(error).context(format!("connecting to the house on {address}")),
        }
    }
}

async fn exchange<S>(stream: S, request: Request<Sent>) -> Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        // What breaks is told to the request and to the answer's body.
        let _ = connection.await;
    }));
    let response = sender.send_request(request).await?;
    Ok(Answer { response, _connection: connection })
}

async fn read<T: DeserializeOwned>(answer: Answer) -> Result<T> {
    let bytes = answer.response.into_body().collect().await.context("the house broke off")?.to_bytes();
    serde_json::from_slice(&bytes)
        .context("this is not what a house answers: is the other side one, and of the same version?")
}

async fn refused(answer: Answer) -> anyhow::Error {
    let status = answer.response.status();
    match read::<Refusal>(answer).await {
        Ok(refusal) => Refused(refusal).into(),
        Err(_) if status == StatusCode::NOT_FOUND => {
            anyhow::anyhow!("this is not the admin listener of a house")
        }
        Err(error) => error.context(format!("the house answers {status}")),
    }
}

fn empty() -> Sent {
    full(Vec::new())
}

fn full(bytes: Vec<u8>) -> Sent {
    Box::pin(Full::from(bytes).map_err(|never| match never {}))
}

fn streamed(file: File) -> Sent {
    let chunks = stream::try_unfold(file, async |mut file| {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        match (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk).await? {
            0 => Ok(None),
            _ => Ok(Some((Frame::data(Bytes::from(chunk)), file))),
        }
    });
    Box::pin(StreamBody::new(chunks))
}

/// Where `--admin` leads, or the manifest.
///
/// # Errors
/// Where the manifest switches the admin listener off.
pub fn find(
    named: Option<ListenAddr>,
    token_file: Option<PathBuf>,
    by_manifest: impl FnOnce() -> Result<Option<plan::Admin>>,
) -> Result<plan::Admin> {
    let found = match named {
        Some(address) => plan::Admin { address, token_file: None, named: true },
        None => match by_manifest()? {
            Some(plan::Admin { address: ListenAddr::Tcp(address), .. }) if address.port() == 0 => bail!(
                "this manifest has its house take any free port for `[listen] admin`: name the one that it told at its                  start with `--admin ADDR`"
            ),
            Some(admin) => admin,
            None => bail!(
                "this manifest has no admin listener (`[listen] admin`): name the house's with `--admin ADDR`"
            ),
        },
    };
    Ok(plan::Admin { token_file: token_file.or(found.token_file), ..found })
}
