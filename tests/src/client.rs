//! A small blocking HTTP/1.1 client that reads answers strictly (RFC 9112) and hides nothing: it sends whatever bytes a
//! test wants, and tells a body that ended from one that broke off. It shares no code with the host.

mod request;
mod response;

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

pub use request::Request;
pub use response::{Broken, Head, Response};
use rustix::net::{
    AddressFamily, SocketType, bind, connect, socket,
    sockopt::{Timeout, set_socket_timeout},
};

use crate::PATIENCE;

/// One connection to a house.
pub struct Connection {
    socket: BufReader<Socket>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    /// # Panics
    ///
    /// When the house does not accept.
    pub fn tcp(address: SocketAddr) -> Connection {
        let socket = TcpStream::connect(address).expect("the house accepts");
        socket.set_nodelay(true).expect("an option of the socket");
        Connection::over(Socket::Tcp(socket))
    }

    /// # Panics
    ///
    /// When the house does not accept.
    pub fn unix(path: &Path) -> Connection {
        Connection::over(Socket::Unix(UnixStream::connect(path).expect("the house accepts")))
    }

    /// A connection to a house that may not be there.
    ///
    /// # Errors
    ///
    /// When the house does not accept.
    pub fn try_tcp(address: SocketAddr) -> io::Result<Connection> {
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_nodelay(true)?;
        Ok(Connection::over(Socket::Tcp(socket)))
    }

    /// As [`Connection::try_tcp`], over a Unix socket.
    ///
    /// # Errors
    ///
    /// When the house does not accept.
    pub fn try_unix(path: &Path) -> io::Result<Connection> {
        Ok(Connection::over(Socket::Unix(UnixStream::connect(path)?)))
    }

    /// A connection that comes from an address of its own, such as 127.0.0.9.
    ///
    /// # Panics
    ///
    /// When the machine has no such address, or the house does not accept.
    pub fn tcp_from(source: IpAddr, address: SocketAddr) -> Connection {
        Connection::try_tcp_from(source, address)
            .expect("an address of this machine, and a house that accepts")
    }

    /// As [`Connection::tcp_from`], to a house that may not be there.
    ///
    /// # Errors
    ///
    /// When the machine has no such address, or no port of it that is free, or the house does not accept.
    pub fn try_tcp_from(source: IpAddr, address: SocketAddr) -> io::Result<Connection> {
        Ok(Connection::over(Socket::Tcp(stream_from(source, address)?)))
    }

    fn over(socket: Socket) -> Connection {
        let connection = Connection { socket: BufReader::with_capacity(64 * 1024, socket) };
        connection.be_patient(PATIENCE);
        connection
    }

    /// Sets how long each wait on the connection may take: at first [`PATIENCE`].
    ///
    /// # Panics
    ///
    /// When the socket does not take it.
    pub fn be_patient(&self, patience: Duration) {
        match self.socket.get_ref() {
            Socket::Tcp(tcp) => {
                tcp.set_read_timeout(Some(patience)).and(tcp.set_write_timeout(Some(patience)))
            }
            Socket::Unix(unix) => {
                unix.set_read_timeout(Some(patience)).and(unix.set_write_timeout(Some(patience)))
            }
        }
        .expect("a time-out of the socket");
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    ///
    /// When the house does not take them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the house takes the bytes");
    }

    /// Sends bytes to a house that may have closed.
    ///
    /// # Errors
    ///
    /// When the house does not take them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let socket = self.socket.get_mut();
        socket.write_all(bytes.as_ref())?;
        socket.flush()
    }

    /// Says that nothing more will be sent, and still reads.
    pub fn finish_sending(&mut self) {
        let _ = match self.socket.get_ref() {
            Socket::Tcp(tcp) => tcp.shutdown(Shutdown::Write),
            Socket::Unix(unix) => unix.shutdown(Shutdown::Write),
        };
    }

    /// Another handle of the same connection, to send by while this one reads.
    ///
    /// # Panics
    ///
    /// When the system has no more handles.
    #[must_use]
    pub fn second_handle(&self) -> Connection {
        Connection::over(match self.socket.get_ref() {
            Socket::Tcp(tcp) => Socket::Tcp(tcp.try_clone().expect("a second handle")),
            Socket::Unix(unix) => Socket::Unix(unix.try_clone().expect("a second handle")),
        })
    }

    /// Reads the whole answer to a request with this method.
    ///
    /// # Panics
    ///
    /// When it breaks off.
    pub fn response(&mut self, method: &str) -> Response {
        self.try_response(method).unwrap_or_else(|broken| panic!("{broken}"))
    }

    /// Reads the answer to a request with this method.
    ///
    /// # Errors
    ///
    /// When it breaks off, with what has come of it.
    pub fn try_response(&mut self, method: &str) -> Result<Response, Box<Broken>> {
        let head = self.try_head()?;
        response::read_body(&mut self.socket, head, method)
    }

    /// Reads the head of an answer, and no more.
    ///
    /// # Panics
    ///
    /// When it breaks off.
    pub fn head(&mut self) -> Head {
        self.try_head().unwrap_or_else(|broken| panic!("{broken}"))
    }

    /// Reads the head of an answer, and no more.
    ///
    /// # Errors
    ///
    /// When the connection ends before it.
    pub fn try_head(&mut self) -> Result<Head, Box<Broken>> {
        response::read_head(&mut self.socket)
    }

    /// Reads the rest of an answer whose head is known.
    ///
    /// # Errors
    ///
    /// When it breaks off, with what has come of it.
    pub fn rest(&mut self, head: Head, method: &str) -> Result<Response, Box<Broken>> {
        response::read_body(&mut self.socket, head, method)
    }

    /// Reads the rest of an answer whose head is known, and keeps nothing of it.
    ///
    /// # Errors
    ///
    /// Why it broke off.
    pub fn discard(&mut self, head: &Head, method: &str) -> Result<(), String> {
        response::discard_body(&mut self.socket, head, method)
    }

    /// Reads that many bytes of what comes next, framing and all.
    ///
    /// # Panics
    ///
    /// When fewer come.
    pub fn skip(&mut self, bytes: u64) {
        let skipped = io::copy(&mut (&mut self.socket).take(bytes), &mut io::sink());
        assert_eq!(skipped.expect("the house sends"), bytes, "the house ended the connection");
    }

    /// Reads what comes next up to the end of a line, framing and all.
    ///
    /// # Errors
    ///
    /// When the connection ends or breaks before it.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.socket.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }

    /// Reads until the house closes, and gives what came before.
    ///
    /// # Panics
    ///
    /// When it does not close.
    pub fn until_closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.socket.read_to_end(&mut rest) {
            Ok(_) => {}
            // What the house had not read of ours when it closed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the house keeps the connection open: {error}"),
        }
        rest
    }

    /// Whether the house has more to say within this time. For what must not happen, such as a second answer.
    pub fn speaks_within(&mut self, time: Duration) -> bool {
        let set = |socket: &Socket, time| match socket {
            Socket::Tcp(tcp) => tcp.set_read_timeout(Some(time)),
            Socket::Unix(unix) => unix.set_read_timeout(Some(time)),
        };
        set(self.socket.get_ref(), time).expect("a time-out of the socket");
        let speaks = matches!(self.socket.fill_buf(), Ok(bytes) if !bytes.is_empty());
        set(self.socket.get_ref(), PATIENCE).expect("a time-out of the socket");
        speaks
    }
}

/// A stream that comes from an address of its own.
pub(crate) fn stream_from(source: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::new(source, 0))?;
    // It is how long connecting may take, too (`socket(7)`).
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    connect(&socket, &address)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(tcp) => tcp.read(bytes),
            Socket::Unix(unix) => unix.read(bytes),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(tcp) => tcp.write(bytes),
            Socket::Unix(unix) => unix.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Socket::Tcp(tcp) => tcp.flush(),
            Socket::Unix(unix) => unix.flush(),
        }
    }
}
