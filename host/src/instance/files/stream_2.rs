//! Streams of WASI 0.2 into files, counted.

use std::{fs::File, sync::Arc};

use bytes::Bytes;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::writing::{Start, Writing};

/// As wasmtime's stream, but that it ends with an error where there is no room.
pub(super) struct Counted {
    stream: DynOutputStream,
    file: Arc<File>,
    start: Start,
    writing: Writing,
    full: bool,
}

impl Counted {
    pub(super) fn new(stream: DynOutputStream, file: Arc<File>, start: Start, writing: Writing) -> Self {
        Self { stream, file, start, writing, full: false }
    }

    fn exceeded() -> StreamError {
        StreamError::LastOperationFailed(Writing::exceeded().into())
    }

    /// Whether so many bytes could be written without a measurement.
    fn has_room(&self, bytes: u64) -> bool {
        self.start.growth(&self.file, bytes) <= self.writing.left()
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Counted {
    async fn ready(&mut self) {
        self.stream.ready().await;
        if !self.has_room(1) {
            self.full = !self.writing.take(self.start.growth(&self.file, 1)).await;
        }
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Counted {
    /// Without room this is 0, until `ready` has measured whether there is some.
    fn check_write(&mut self) -> StreamResult<usize> {
        let permitted = self.stream.check_write()?;
        if permitted == 0 || self.has_room(permitted as u64) {
            return Ok(permitted);
        }
        let beyond = self.start.growth(&self.file, permitted as u64).saturating_sub(self.writing.left());
        let room = permitted.saturating_sub(usize::try_from(beyond).unwrap_or(usize::MAX));
        if room == 0 && self.full {
            return Err(Self::exceeded());
        }
        Ok(room)
    }

    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.writing.count(self.start.growth(&self.file, bytes.len() as u64));
        self.start = self.start.after(bytes.len());
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.stream.flush()
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        if !self.writing.take(self.start.growth(&self.file, bytes.len() as u64)).await {
            return Err(Self::exceeded());
        }
        self.start = self.start.after(bytes.len());
        self.stream.blocking_write_and_flush(bytes).await
    }

    async fn cancel(&mut self) {
        self.stream.cancel().await;
    }
}
