//! What is opened lies in its folder: no `..` and no link leads out of it, whoever changes what meanwhile.
//!
//! The kernel itself holds that (`openat2` with `RESOLVE_BENEATH`, by cap-std, which walks by hand where there is no such
//! call). A file is opened once, and looked at and read by its handle.

use std::{
    fs::File,
    future::{Ready, ready},
    io::{self, Read, Seek},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use cap_std::{
    ambient_authority,
    fs::{Dir, OpenOptions, OpenOptionsExt},
};
use rustix::fs::OFlags;
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::fs::{self, Backend};

/// Year 10000: HTTP's dates have four digits for a year.
const DATE_SECONDS_MAX: u64 = 253_402_300_800;

/// An open folder.
#[derive(Clone)]
pub(super) struct Folder(Arc<Dir>);

/// An open file and what is known of it.
pub(super) struct Open {
    file: File,
    facts: Facts,
}

/// What `ServeDir` wants to know of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    length: u64,
    /// What HTTP can say: nothing before 1970, and nothing that is still to come (RFC 9110, section 8.8.2.1).
    modified: Option<SystemTime>,
}

impl Open {
    pub(super) fn length(&self) -> u64 {
        self.facts.length
    }
}

impl Folder {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Dir::open_ambient_dir(path, ambient_authority()).map(|dir| Self(Arc::new(dir)))
    }

    /// A file of the folder; `None` for what is no file, or not there.
    pub(super) fn file(&self, name: &str) -> io::Result<Option<Open>> {
        match self.open_any(name) {
            Err(error) if is_absent(&error) => Ok(None),
            opened => opened,
        }
    }

    /// A file of the folder; `None` for what is there and no file: a folder, a pipe, a device.
    pub(super) fn open_any(&self, name: &str) -> io::Result<Option<Open>> {
        if name.is_empty() {
            return Ok(None);
        }
        let mut options = OpenOptions::new();
        // A pipe that nobody writes to would be waited for.
        options.read(true).custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
        let file = self.0.open_with(name, &options)?.into_std();
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let modified = metadata.modified().ok().filter(|modified| {
            let since = modified.duration_since(SystemTime::UNIX_EPOCH);
            since.is_ok_and(|since| since < Duration::from_secs(DATE_SECONDS_MAX))
                && *modified <= SystemTime::now()
        });
        Ok(Some(Open { file, facts: Facts { length: metadata.len(), modified } }))
    }
}

/// Whether an error says that there is no such file, rather than that something is wrong with it.
pub(super) fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename | InvalidInput)
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
        || error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error())
}

/// What to say of a file that may not be opened.
pub(super) fn why(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(_) => "this user may not read it, so the app is asked; mend its permissions",
        None => {
            "a link leads out of the folder, so the app is asked; links have to be relative and to stay within"
        }
    }
}

/// One file of a folder with its precompressed variants beside it, as `ServeDir` asks for them. Nothing waits: it is used
/// where blocking does no harm, until the answer is handed over ([`Beneath::hand_over`]).
#[derive(Clone)]
pub(super) struct Beneath(Arc<Wanted>);

struct Wanted {
    folder: Folder,
    name: PathBuf,
    /// What is known of the file itself; its variants are not its equals unless they are as new.
    facts: Option<Facts>,
    /// The file itself, until it is taken.
    plain: Mutex<Option<File>>,
    handed_over: AtomicBool,
}

impl Beneath {
    pub(super) fn new(folder: Folder, name: &str, plain: Option<Open>) -> Self {
        let facts = plain.as_ref().map(|plain| plain.facts);
        let plain = Mutex::new(plain.map(|plain| plain.file));
        Self(Arc::new(Wanted {
            folder,
            name: name.into(),
            facts,
            plain,
            handed_over: AtomicBool::new(false),
        }))
    }

    /// From now on, reading must not block.
    pub(super) fn hand_over(&self) {
        self.0.handed_over.store(true, Ordering::Release);
    }

    /// Paths come with `ServeDir`'s own folder before them, which is the empty one.
    fn find(&self, path: &Path) -> io::Result<Open> {
        let path = path.strip_prefix(".").unwrap_or(path);
        let absent = || io::Error::from(io::ErrorKind::NotFound);
        let facts = self.0.facts.ok_or_else(absent)?;
        if path == self.0.name {
            let file = self.0.plain.lock().unwrap_or_else(PoisonError::into_inner).take();
            return Ok(Open { file: file.ok_or_else(absent)?, facts });
        }
        let name = path.to_str().ok_or_else(absent)?;
        // A variant may be missing, unreadable, empty or a folder: the file itself is there, and better than an error.
        let variant = self.0.folder.open_any(name).ok().flatten();
        let as_new = |variant: &Open| variant.facts.modified >= facts.modified && variant.facts.length > 0;
        variant.filter(as_new).ok_or_else(absent)
    }
}

impl Backend for Beneath {
    type File = Reading;
    type Metadata = Facts;
    type OpenFuture = Ready<io::Result<Reading>>;
    type MetadataFuture = Ready<io::Result<Facts>>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        ready(self.find(&path).map(|open| Reading {
            facts: open.facts,
            source: Source::Here(open.file),
            wanted: self.clone(),
        }))
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let plain = path.strip_prefix(".").unwrap_or(&path) == self.0.name;
        ready(match self.0.facts {
            Some(facts) if plain => Ok(facts),
            _ => self.find(&path).map(|open| open.facts),
        })
    }
}

impl fs::Metadata for Facts {
    fn is_dir(&self) -> bool {
        false
    }

    fn modified(&self) -> io::Result<SystemTime> {
        self.modified.ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    fn len(&self) -> u64 {
        self.length
    }
}

/// A file that is read: at once at first, and by tokio's threads once its answer was handed over.
pub(super) struct Reading {
    facts: Facts,
    source: Source,
    wanted: Beneath,
}

enum Source {
    Here(File),
    Elsewhere(tokio::fs::File),
    /// While it changes hands.
    Nowhere,
}

impl fs::File for Reading {
    type Metadata = Facts;
    type MetadataFuture<'a> = Ready<io::Result<Facts>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        ready(Ok(self.facts))
    }
}

impl AsyncRead for Reading {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.wanted.0.handed_over.load(Ordering::Acquire) {
            this.source = match std::mem::replace(&mut this.source, Source::Nowhere) {
                Source::Here(file) => Source::Elsewhere(tokio::fs::File::from_std(file)),
                source => source,
            };
        }
        match &mut this.source {
            Source::Here(file) => {
                let count = file.read(buffer.initialize_unfilled())?;
                buffer.advance(count);
                Poll::Ready(Ok(()))
            }
            Source::Elsewhere(file) => Pin::new(file).poll_read(cx, buffer),
            Source::Nowhere => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncSeek for Reading {
    fn start_seek(mut self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        match &mut self.source {
            Source::Here(file) => file.seek(position).map(drop),
            // `ServeDir` seeks before it answers.
            Source::Elsewhere(_) | Source::Nowhere => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn poll_complete(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        match &mut self.source {
            Source::Here(file) => Poll::Ready(file.stream_position()),
            Source::Elsewhere(_) | Source::Nowhere => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }
}
