//! Lines on their way to standard output, which a thread of its own writes to.
//!
//! Whoever reads the log slowly, or not at all, holds no request up: lines that find no room in the queue are dropped, and it
//! is said how many. Access lines, of which clients make as many as they like, leave half of the room to all others.

use std::{
    io::{self, BufWriter, Stdout, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tracing::Metadata;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;

use super::ACCESS;

/// Bytes that may wait to be written.
const ROOM_BYTES: usize = 16 << 20;
/// Beyond which no access line enters.
const ACCESS_BYTES: usize = ROOM_BYTES / 2;
/// What a line takes of them at least: its number is bounded too.
const LINE_BYTES: usize = 1024;
/// What is written together, at most.
const WRITE_BYTES: usize = 64 * 1024;
/// How often it is looked whether lines were dropped.
const LOOK: Duration = Duration::from_secs(1);

/// The queue, which a subscriber writes to.
pub(super) struct Queue {
    lines: NonBlocking,
    room: Arc<Room>,
}

/// What waits, and what found no room.
#[derive(Debug, Default)]
pub(super) struct Room {
    taken: AtomicUsize,
    dropped: AtomicU64,
}

/// Writes to standard output what comes out of the queue: at once, where it is empty then, and otherwise many lines together.
struct Output {
    stdout: BufWriter<Stdout>,
    room: Arc<Room>,
}

/// What a line enters the queue by: it may take so much of the room together with those that wait.
pub(super) struct Sender<'a> {
    queue: &'a Queue,
    room_bytes: usize,
}

impl Queue {
    /// A queue, and what has all lines written that are still in it when it is dropped.
    pub(super) fn new() -> (Self, Arc<Room>, WorkerGuard) {
        let room = Arc::new(Room::default());
        let stdout = BufWriter::with_capacity(WRITE_BYTES, io::stdout());
        let output = Output { stdout, room: room.clone() };
        // The room is full before this is, so that nobody ever waits.
        let lines = NonBlockingBuilder::default().lossy(false).buffered_lines_limit(ROOM_BYTES / LINE_BYTES);
        let (lines, guard) = lines.finish(output);
        (Self { lines, room: room.clone() }, room, guard)
    }
}

impl Room {
    /// Takes room for a line of so many bytes, if no more than `max` bytes are taken then. Otherwise it counts as dropped.
    fn take(&self, bytes: usize, max: usize) -> bool {
        let take = |taken: usize| taken.checked_add(cost(bytes)).filter(|taken| *taken <= max);
        let free = self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok();
        if !free {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        free
    }

    fn leave(&self, bytes: usize) {
        self.taken.fetch_sub(cost(bytes), Ordering::AcqRel);
    }

    /// Says how many lines were dropped, once there is room for it.
    pub(super) async fn tell(&self) {
        let mut told = 0;
        loop {
            tokio::time::sleep(LOOK).await;
            let dropped = self.dropped.load(Ordering::Relaxed);
            if dropped > told && self.taken.load(Ordering::Acquire) < ACCESS_BYTES {
                let lines = dropped - told;
                tracing::warn!("{lines} line(s) of this log were dropped: they came faster than it is read");
                told = dropped;
            }
        }
    }
}

fn cost(bytes: usize) -> usize {
    bytes.max(LINE_BYTES)
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Sender<'a>;

    fn make_writer(&'a self) -> Sender<'a> {
        Sender { queue: self, room_bytes: ROOM_BYTES }
    }

    fn make_writer_for(&'a self, line: &Metadata<'_>) -> Sender<'a> {
        let room_bytes = if line.target() == ACCESS { ACCESS_BYTES } else { ROOM_BYTES };
        Sender { queue: self, room_bytes }
    }
}

impl Write for Sender<'_> {
    /// Takes a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.room.take(line.len(), self.room_bytes) {
            return self.queue.lines.clone().write(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Output {
    /// Takes a whole line. What cannot be written makes room as well.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let written = self.stdout.write_all(line);
        self.room.leave(line.len());
        written.map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_so_much_room_and_access_lines_half_of_it() {
        let room = Room::default();
        let fill = |bytes, max| (0..).take_while(|_| room.take(bytes, max)).count();
        assert_eq!(fill(100, ACCESS_BYTES), ROOM_BYTES / LINE_BYTES / 2);
        assert_eq!(fill(4 * LINE_BYTES, ROOM_BYTES), ROOM_BYTES / LINE_BYTES / 8);
        assert_eq!(room.dropped.load(Ordering::Relaxed), 2);
        room.leave(4 * LINE_BYTES);
        assert!(room.take(3 * LINE_BYTES, ROOM_BYTES) && room.take(1, ROOM_BYTES));
        assert!(!room.take(1, ROOM_BYTES) && !room.take(usize::MAX, ROOM_BYTES));
    }
}
