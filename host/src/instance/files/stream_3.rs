//! Streams of WASI 0.3 into files, counted.

use std::{
    fs::File,
    io::{self, IoSlice},
    mem,
    os::unix::fs::FileExt as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    sync::oneshot,
    task::{self, JoinHandle},
};
use wasmtime::{
    Result, StoreContextMut,
    component::{Source, StreamConsumer, StreamResult},
};
use wasmtime_wasi::p3::bindings::filesystem::types::ErrorCode;

use super::writing::{Start, Writing};

/// What is taken from a guest and written at once, at most.
const WRITE_BYTES: usize = 64 << 10;

/// How the stream ended.
pub(super) type End = std::result::Result<(), ErrorCode>;

/// Writes what a guest sends to a file, while there is room.
pub(super) struct Counted {
    file: Arc<File>,
    start: Start,
    writing: Writing,
    end: Option<oneshot::Sender<End>>,
    buffer: Vec<u8>,
    task: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl Counted {
    pub(super) fn new(file: Arc<File>, start: Start, writing: Writing, end: oneshot::Sender<End>) -> Self {
        Self { file, start, writing, end: Some(end), buffer: Vec::new(), task: None }
    }

    fn end(&mut self, end: End) {
        if let Some(tell) = self.end.take() {
            // The guest need not listen.
            let _ = tell.send(end);
        }
    }

    /// Writes these bytes in the background, and gives them back.
    fn write(&self, bytes: Vec<u8>) -> JoinHandle<io::Result<Vec<u8>>> {
        let (file, start, writing) = (self.file.clone(), self.start, self.writing.clone());
        task::spawn(async move {
            if !writing.take(start.growth(&file, bytes.len() as u64)).await {
                return Err(Writing::exceeded());
            }
            let write = move || {
                match start {
                    Start::At(offset) => file.write_all_at(&bytes, offset)?,
                    Start::End => append(&file, &bytes)?,
                }
                Ok(bytes)
            };
            task::spawn_blocking(write).await?
        })
    }
}

impl<D> StreamConsumer<D> for Counted {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        _finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let mut task = self.task.take().unwrap_or_else(|| {
            let mut bytes = mem::take(&mut self.buffer);
            bytes.extend(source.remaining().iter().take(WRITE_BYTES));
            self.write(bytes)
        });
        // What has begun is written to its end, also where the guest wants no more: how much that was is what it is told.
        let written = Pin::new(&mut task).poll(cx);
        if written.is_pending() {
            self.task = Some(task);
        }
        match ready!(written) {
            Ok(Ok(mut bytes)) => {
                source.mark_read(bytes.len());
                self.start = self.start.after(bytes.len());
                bytes.clear();
                self.buffer = bytes;
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Ok(Err(error)) => {
                let full = error.kind() == io::ErrorKind::QuotaExceeded;
                self.end(Err(if full { ErrorCode::Quota } else { error.into() }));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

/// Writes at the end of a file, wherever that is at the moment.
fn append(file: &File, mut bytes: &[u8]) -> io::Result<()> {
    use rustix::io::{ReadWriteFlags, pwritev2};
    while !bytes.is_empty() {
        let written = pwritev2(file, &[IoSlice::new(bytes)], 0, ReadWriteFlags::APPEND)?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}
