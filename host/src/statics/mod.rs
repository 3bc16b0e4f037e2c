//! Static files: requests that the host answers from an app's folders before the app is asked.
//!
//! tower-http's `ServeDir` decides on the answer: conditions, ranges, encodings. What is opened for it lies in its folder
//! (`beneath`), what is said of caches is ours (`fields`), and so is how the bytes get out (`body`). A folder belongs to the
//! house, not to a generation: it is opened anew for each request, so that one that was replaced, or was not there before, is
//! found. Files are looked for and read off the threads that serve. Nothing here knows of routes, instances or guests.

mod beneath;
mod body;
mod fields;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::FutureExt;
use http::{Method, Request, Response, Uri, header, response};
use tokio::sync::Semaphore;
use tower_http::services::fs::{ServeDir, ServeFileSystemResponseBody};

use self::beneath::{Beneath, Folder};
pub(crate) use self::body::Body;
pub use self::body::BodyError;
use crate::{
    outgoing::Refusals,
    plan::{self, Asked},
    taken::Taken,
};

/// Bytes of a file that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Files of one app that are looked for at once; further requests wait. A disk that hangs then holds no more threads.
const LOOKS_MAX: usize = 32;

/// The static files of one app.
#[derive(Debug)]
pub struct StaticFiles {
    app: Arc<str>,
    folders: Arc<plan::Statics>,
    counts: Arc<Counts>,
}

/// What is counted of an app's static files, over all houses of the process.
#[derive(Debug)]
pub struct Counts {
    requests: AtomicU64,
    failures: AtomicU64,
    refused: AtomicU64,
    /// Answers that are being sent.
    sending: Taken,
    looks: Arc<Semaphore>,
    refusals: Refusals,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            requests: AtomicU64::default(),
            failures: AtomicU64::default(),
            refused: AtomicU64::default(),
            sending: Taken::default(),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
            refusals: Refusals::default(),
        }
    }
}

impl Counts {
    /// Requests that were answered with a file.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that a file was there for, but could not be read, or not to its end.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Requests that were turned away over `static-files`.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Answers that are being sent.
    pub fn sending(&self) -> usize {
        self.sending.count()
    }

    fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a file that is there is not sent.
#[derive(Debug, thiserror::Error)]
pub enum StaticFailure {
    #[error("{0} static files are being sent already, as many as static-files allows")]
    Busy(usize),
    #[error("a static file cannot be read: {0}")]
    Unreadable(io::Error),
}

impl StaticFailure {
    /// One word for programs that read the log.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Busy(_) => "static-files-limit",
            Self::Unreadable(_) => "static-file",
        }
    }
}

/// An answer with a file, or about one.
pub(crate) type Answer = (response::Parts, Body);

/// A request as far as files look at it.
pub(crate) struct Question {
    folder: plan::StaticFolder,
    /// See [`Asked`].
    name: String,
    index: String,
    slash: bool,
    /// The request's whole path, with what the route and the folder add before the name, and its query.
    target: String,
    query: Option<String>,
    method: Method,
    headers: http::HeaderMap,
}

/// Fields that an answer depends on.
const ASKED_BY: [header::HeaderName; 7] = [
    header::ACCEPT_ENCODING,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
];

impl StaticFiles {
    /// The files of an app; `before` are those of the house before, whose counts go on.
    pub fn new(app: &plan::App, before: Option<&StaticFiles>) -> Self {
        Self {
            app: app.name.clone(),
            folders: app.statics.clone(),
            counts: before.map_or_else(Arc::default, |before| before.counts.clone()),
        }
    }

    pub fn app(&self) -> &Arc<str> {
        &self.app
    }

    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Whether the app has any folder.
    pub fn are_any(&self) -> bool {
        !self.folders.folders().is_empty()
    }

    /// What a request asks of the files, if anything: GET or HEAD of what may be one. All else is the app's to answer. `path`
    /// is the request's path, `below` that part of it that is relative to the route.
    pub(crate) fn question<B>(&self, request: &Request<B>, (path, below): (&str, &str)) -> Option<Question> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let asked = self.folders.find(below)?;
        Some(Question::new(request, path, &asked))
    }

    /// Answers where there is such a file; `None` leaves the request to the app. `sending_max` is `static-files`.
    ///
    /// # Errors
    /// Where there is a file, but it cannot be sent.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        question: Question,
        sending_max: usize,
    ) -> Result<Option<Answer>, StaticFailure> {
        // The semaphore is never closed.
        let looking = self.counts.looks.clone().acquire_owned().await;
        let files = self.clone();
        let found = tokio::task::spawn_blocking(move || {
            let found = files.look(&question, sending_max);
            drop(looking);
            found
        });
        let found = found.await.unwrap_or_else(|error| Err(StaticFailure::Unreadable(error.into())));
        match &found {
            Ok(Some(_)) => {
                self.counts.requests.fetch_add(1, Ordering::Relaxed);
            }
            Ok(None) => {}
            Err(StaticFailure::Busy(max)) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                let help = format!("limits.static-files = {max} are being sent");
                self.counts.refusals.tell(&self.app, "static files", "for want of room", help);
            }
            Err(StaticFailure::Unreadable(_)) => self.counts.failed(),
        }
        found
    }

    /// Looks for the file, and makes the answer with its first bytes. Blocks.
    fn look(&self, question: &Question, sending_max: usize) -> Result<Option<Answer>, StaticFailure> {
        match self.try_look(question, sending_max) {
            Ok(found) => Ok(found),
            Err(Trouble::Busy) => Err(StaticFailure::Busy(sending_max)),
            Err(Trouble::Io(error)) if beneath::is_absent(&error) => Ok(None),
            Err(Trouble::Io(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                let path = question.folder.path.join(&question.name);
                let target = format_args!("static file {}", path.display());
                self.counts.refusals.tell(&self.app, "the", target, beneath::why(&error));
                Ok(None)
            }
            Err(Trouble::Io(error)) => Err(StaticFailure::Unreadable(error)),
        }
    }

    fn try_look(&self, question: &Question, sending_max: usize) -> Result<Option<Answer>, Trouble> {
        let folder = Folder::open(&question.folder.path)?;
        let (name, plain) = match question.slash {
            true => (question.index.clone(), folder.file(&question.index)?),
            false => match folder.open_any(&question.name)? {
                Some(plain) => (question.name.clone(), Some(plain)),
                // A folder: links within its index are relative to it, so the client has to ask with the slash.
                None if folder.file(&question.index)?.is_some() => return Ok(Some(question.redirect())),
                None => return Ok(None),
            },
        };
        let slot = self.counts.sending.take(1, sending_max).ok_or(Trouble::Busy)?;
        let Some((beneath, response)) = question.ask(&folder, &name, plain)? else { return Ok(None) };
        let (mut head, body) = response.into_parts();
        fields::complete(&mut head, &question.folder, &name);
        let body = Body::begin(&mut head, body, &beneath, (slot, self.counts.clone()))?;
        Ok(Some((head, body)))
    }
}

/// What stands in the way of an answer.
enum Trouble {
    Busy,
    Io(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Question {
    fn new<B>(request: &Request<B>, path: &str, asked: &Asked<'_>) -> Self {
        let mut headers = http::HeaderMap::new();
        for name in ASKED_BY {
            for value in request.headers().get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        // RFC 9110, section 14.2: ranges are defined for GET alone, and of other units than bytes nothing is known here.
        let range = headers.get(header::RANGE);
        if request.method() != Method::GET
            || range.is_some_and(|range| !range.as_bytes().starts_with(b"bytes="))
        {
            headers.remove(header::RANGE);
        }
        Self {
            folder: asked.folder.clone(),
            name: asked.name.clone(),
            index: asked.index(),
            slash: asked.slash,
            target: path.to_owned(),
            query: request.uri().query().map(str::to_owned),
            method: request.method().clone(),
            headers,
        }
    }

    /// Has the answer made. A second time without the range where it does not hold after all: by `If-Range`, which
    /// `ServeDir` does not know, or where more is asked for of a file's end than it has (RFC 9110, section 14.1.2: all of it).
    fn ask(
        &self,
        folder: &Folder,
        name: &str,
        plain: Option<beneath::Open>,
    ) -> io::Result<Option<(Beneath, Response<ServeFileSystemResponseBody>)>> {
        let is_empty = plain.as_ref().is_some_and(|plain| plain.length() == 0);
        let mut headers = self.headers.clone();
        if is_empty {
            headers.remove(header::RANGE);
        }
        let Some((beneath, response)) = serve(folder, name, plain, self.request(headers.clone()))? else {
            return Ok(None);
        };
        if !headers.contains_key(header::RANGE) || fields::range_holds(&headers, &response) {
            return Ok(Some((beneath, response)));
        }
        headers.remove(header::RANGE);
        let plain = folder.file(name)?;
        serve(folder, name, plain, self.request(headers))
    }

    fn request(&self, headers: http::HeaderMap) -> Request<()> {
        let mut request = Request::new(());
        request.method_mut().clone_from(&self.method);
        *request.headers_mut() = headers;
        request
    }

    /// To the same path with a slash. Its first segment is not empty, so that it leads to no other host.
    fn redirect(&self) -> Answer {
        let query = self.query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
        let (mut head, ()) = Response::new(()).into_parts();
        head.status = http::StatusCode::PERMANENT_REDIRECT;
        if let Ok(location) = format!("{}/{query}", self.target).try_into() {
            head.headers.insert(header::LOCATION, location);
        }
        fields::complete(&mut head, &self.folder, &self.index);
        (head, Body::empty())
    }
}

/// Has `ServeDir` answer for one file, which may be open already. `None` where there is no such file.
fn serve(
    folder: &Folder,
    name: &str,
    plain: Option<beneath::Open>,
    mut request: Request<()>,
) -> io::Result<Option<(Beneath, Response<ServeFileSystemResponseBody>)>> {
    let length = plain.as_ref().map_or(CHUNK_BYTES as u64, beneath::Open::length);
    let chunk = usize::try_from(length).unwrap_or(CHUNK_BYTES).clamp(1, CHUNK_BYTES);
    let beneath = Beneath::new(folder.clone(), name, plain);
    // It takes the name from the path.
    let path = percent_encoding::utf8_percent_encode(name, fields::PATH);
    *request.uri_mut() = format!("/{path}").parse::<Uri>().map_err(io::Error::other)?;
    let mut service = ServeDir::with_backend("", beneath.clone())
        .append_index_html_on_directories(false)
        .ignore_multi_range_requests(true)
        .with_buf_chunk_size(chunk)
        .precompressed_br()
        .precompressed_gzip()
        .precompressed_zstd();
    // All that it waits for is there at once: see `beneath`.
    let response = service.try_call(request).now_or_never();
    let response = response.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))?;
    Ok((response.status() != http::StatusCode::NOT_FOUND).then_some((beneath, response)))
}
