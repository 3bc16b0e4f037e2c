//! Servers that apps are to reach, or not: each treats its connections one after another until the test ends.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

/// A server on a free port of 127.0.0.1 that treats each connection as told. Answers its port.
///
/// # Panics
///
/// Where there is no port.
pub fn server(serve: impl FnMut(TcpStream) -> io::Result<()> + Send + 'static) -> u16 {
    server_at("127.0.0.1:0", serve)
}

/// The same at an address.
///
/// # Panics
///
/// Where it is taken.
pub fn server_at(address: &str, mut serve: impl FnMut(TcpStream) -> io::Result<()> + Send + 'static) -> u16 {
    let listener = TcpListener::bind(address).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let _ = connection.and_then(&mut serve);
        }
    });
    port
}

/// A server that sends one line to whoever connects.
pub fn greeter(line: &'static str) -> u16 {
    server(move |mut connection| connection.write_all(line.as_bytes()))
}

/// An HTTP server that gives every request this answer once its head has come whole: an answer before the request would
/// be a breach of the protocol, and a client may take it for one.
pub fn http_server(answer: impl Into<Vec<u8>>) -> u16 {
    let answer = answer.into();
    server(move |mut connection| {
        let mut lines = BufReader::new(connection.try_clone()?).lines();
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        connection.write_all(&answer)
    })
}
