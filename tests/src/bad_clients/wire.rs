//! One connection of a bad client.

use std::{
    fmt,
    io::{ErrorKind, Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};

use super::Door;
use crate::{PATIENCE, client::stream_from};

/// Bytes of what came back that are kept.
const KEPT_BYTES: usize = 64 * 1024;

/// Room for answers of a client that does not read them.
const RECEIVE_BYTES: usize = 4096;

/// How a connection ended, as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The house closed.
    Closed,
    /// The house closed while something of ours was unread or on its way.
    Reset,
    /// The client left.
    Left,
    /// The house did not close.
    Open,
}

impl fmt::Display for End {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            End::Closed => "closed",
            End::Reset => "reset",
            End::Left => "left",
            End::Open => "OPEN",
        })
    }
}

pub(super) struct Wire {
    socket: Option<TcpStream>,
    pub(super) end: End,
    received: Vec<u8>,
    door: Door,
}

impl Wire {
    pub(super) fn new(source: IpAddr, house: SocketAddr, door: Door) -> Wire {
        let socket = stream_from(source, house).expect("the house accepts");
        let set = socket.set_read_timeout(Some(PATIENCE)).and(socket.set_write_timeout(Some(PATIENCE)));
        set.expect("a time-out of the socket");
        Wire { socket: Some(socket), end: End::Open, received: Vec::new(), door }
    }

    fn socket(&mut self) -> &mut TcpStream {
        self.socket.as_mut().expect("the connection is open")
    }

    /// Sends, and says whether it was taken.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.socket().write_all(bytes.as_ref()).is_ok()
    }

    /// Sends the same again and again until it is not taken any more, or for too long.
    pub(super) fn send_for_ever(&mut self, bytes: &[u8], pause: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && self.send(bytes) {
            thread::sleep(pause);
        }
    }

    /// Sends so many pieces, or until the house takes nothing for a while. Answers have little room: what the system would
    /// buffer of them is minutes of work for the house, however it treats a client that does not read.
    pub(super) fn flood(&mut self, piece: &[u8], pieces: usize) {
        let patience = Duration::from_millis(200);
        set_socket_recv_buffer_size(self.socket(), RECEIVE_BYTES).expect("an option of the socket");
        self.socket().set_write_timeout(Some(patience)).expect("a time-out of the socket");
        (0..pieces).all(|_| self.send(piece));
    }

    pub(super) fn finish_sending(&mut self) {
        let _ = self.socket().shutdown(Shutdown::Write);
    }

    /// Reads nothing for longer than the house may wait for it.
    pub(super) fn leave_unread(&mut self) {
        thread::sleep(Duration::from_millis(2 * self.door.body_ms + self.door.request_ms));
    }

    /// Reads a little at a time, for longer than an answer may take.
    pub(super) fn read_slowly(&mut self, piece: usize, pause: Duration) {
        let begun = Instant::now();
        let longest = Duration::from_millis(self.door.request_ms + self.door.stream_ms + self.door.body_ms);
        let mut bytes = vec![0; piece];
        while begun.elapsed() < longest && self.read(&mut bytes) {
            thread::sleep(pause);
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> bool {
        let read = self.socket().read(bytes);
        match read {
            Ok(0) => self.end = End::Closed,
            Ok(count) => {
                let room = KEPT_BYTES.saturating_sub(self.received.len());
                self.received.extend(bytes.iter().take(count.min(room)));
                return true;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => self.end = End::Reset,
        }
        false
    }

    /// Closes by a reset, as a client that crashes.
    pub(super) fn reset(&mut self) {
        let _ = set_socket_linger(self.socket(), Some(Duration::ZERO));
        self.socket = None;
        self.end = End::Left;
    }

    /// Reads what is left, up to the end.
    pub(super) fn close(&mut self) {
        if self.socket.is_some() && self.end == End::Open {
            let mut bytes = [0; 16 * 1024];
            while self.read(&mut bytes) {}
        }
        self.socket = None;
    }

    /// The status of the first final answer.
    pub(super) fn status(&self) -> Option<u16> {
        self.statuses().find(|status| *status >= 200)
    }

    pub(super) fn answers(&self) -> usize {
        self.statuses().filter(|status| *status >= 200).count()
    }

    fn statuses(&self) -> impl Iterator<Item = u16> {
        self.received.split(|byte| *byte == b'\n').filter_map(|line| {
            let line = &line[line.windows(9).position(|start| start == b"HTTP/1.1 ")?..];
            std::str::from_utf8(line.get(9..12)?).ok()?.parse().ok()
        })
    }
}
