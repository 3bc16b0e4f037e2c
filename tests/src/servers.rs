//! Servers that apps are to reach, or not: each treats its connections one after another until the test ends.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use crate::{PATIENCE, tools::tool};

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

/// A server written in Python: `tests/servers/NAME.py`, which prints its port first. It ends when this is dropped.
pub struct Script {
    process: Child,
    lines: Mutex<mpsc::Receiver<String>>,
    pub port: u16,
}

impl Script {
    /// # Panics
    ///
    /// Where it does not start.
    pub fn start(name: &str, arguments: &[&Path]) -> Script {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers").join(name).with_extension("py");
        let mut python = tool("python3", "python3");
        let python = python.arg(script).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = python.spawn().expect("the server starts");
        let said = BufReader::new(process.stdout.take().expect("a pipe"));
        let (tell, lines) = mpsc::channel();
        // Read on, so that the server never waits for a reader.
        thread::spawn(move || said.lines().map_while(Result::ok).for_each(|line| drop(tell.send(line))));
        let mut script = Script { process, lines: Mutex::new(lines), port: 0 };
        script.port = script.line().parse().expect("a port");
        script
    }

    /// The next line that it prints.
    ///
    /// # Panics
    ///
    /// Where none comes.
    pub fn line(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.recv_timeout(PATIENCE).expect("a line of the server")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes a certificate for `localhost` that signs itself: the files `cert.pem`, which is given back, and `key.pem`.
///
/// # Panics
///
/// Where openssl is not installed, or does not make it.
pub fn certificate(folder: &Path) -> PathBuf {
    let made = tool("openssl", "openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl makes a certificate");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    folder.join("cert.pem")
}
