//! The servers that are measured, each started on a port of its own. A server dropped is a server ended.

mod gunicorn;
mod house;
mod limit;
mod wasmtime;

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

pub use self::{
    gunicorn::gunicorn,
    house::{App, House, Isolation},
    limit::{COMMAND as LIMIT_COMMAND, limit, serve as serve_limit},
    wasmtime::wasmtime,
};
use crate::processes::{self, Memory};

/// What a server printed last is kept for messages: so many lines.
const LINES_KEPT: usize = 40;

/// How long a server may take to listen, when all that it needs has been compiled.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// A server that listens.
pub struct Server {
    pub name: String,
    pub address: SocketAddr,
    /// From the start of its process to the line that tells its address.
    pub started_in: Duration,
    child: Child,
    said: Arc<Mutex<Said>>,
    readers: Vec<JoinHandle<()>>,
}

/// What a server printed.
#[derive(Debug, Default)]
struct Said {
    latest: VecDeque<String>,
    /// The first line that warns, or tells that a house does without an image.
    warning: Option<String>,
}

/// What marks a line that warns. What stands before a level is the time.
const WARNINGS: [&str; 3] = [" WARN ", " ERROR ", " INFO starts without an image"];

impl Server {
    /// Starts a server and waits until it prints a line with `marker`, after which its address stands.
    ///
    /// # Errors
    ///
    /// It ends or says nothing, with what it said instead.
    fn start(
        name: &str,
        command: Command,
        marker: &str,
        patience: Duration,
        heard: impl FnMut(&str),
    ) -> Result<Server> {
        Server::started(name, command, marker, patience, heard)
            .with_context(|| format!("{name} does not start"))
    }

    fn started(
        name: &str,
        mut command: Command,
        marker: &str,
        patience: Duration,
        mut heard: impl FnMut(&str),
    ) -> Result<Server> {
        command.env_remove("RUST_BACKTRACE").env_remove("RUST_LOG").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let said = Arc::new(Mutex::new(Said::default()));
        let (lines, news) = channel();
        let out = child.stdout.take().context("a pipe")?;
        let err = child.stderr.take().context("a pipe")?;
        let readers = vec![collect(out, said.clone(), lines.clone()), collect(err, said.clone(), lines)];
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        // From here on, whatever happens, the process is ended with this.
        let started_in = Duration::ZERO;
        let mut server = Server { name: name.to_owned(), address, started_in, child, said, readers };
        loop {
            let left = patience.saturating_sub(begun.elapsed());
            match news.recv_timeout(left) {
                Ok((at, line)) => {
                    heard(&line);
                    if let Some((_, rest)) = line.split_once(marker) {
                        let address = rest.split(['/', ' ']).next().unwrap_or_default();
                        server.address =
                            address.parse().with_context(|| format!("no address in `{line}`"))?;
                        server.started_in = at - begun;
                        return Ok(server);
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("it does not listen:\n{}", server.said()),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = server.child.wait()?;
                    bail!("it ended with {status}:\n{}", server.said());
                }
            }
        }
    }

    /// The latest lines that it printed.
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.latest.iter().map(|line| format!("  {line}\n")).collect()
    }

    /// Ends it, and gives the first warning that it printed, if any.
    pub fn stop(mut self) -> Option<String> {
        self.end();
        for reader in self.readers.drain(..) {
            // One that panicked has read what it could.
            let _ = reader.join();
        }
        self.said.lock().unwrap_or_else(PoisonError::into_inner).warning.take()
    }

    fn end(&mut self) {
        // Each fails where the server has ended already.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if asked.elapsed() > Duration::from_secs(5) {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its processes: workers, too.
    pub fn pids(&self) -> Vec<u32> {
        processes::with_descendants(self.pid())
    }

    /// CPU time of all its processes since their start.
    pub fn cpu_time(&self) -> Result<Duration> {
        self.pids().into_iter().map(processes::cpu_time).sum()
    }

    /// Memory of all its processes.
    pub fn memory(&self) -> Result<Memory> {
        Memory::of(&self.pids())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads lines on a thread of its own until the pipe ends.
fn collect(
    pipe: impl Read + Send + 'static,
    said: Arc<Mutex<Said>>,
    lines: Sender<(Instant, String)>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let at = Instant::now();
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.latest.len() == LINES_KEPT {
                said.latest.pop_front();
            }
            said.latest.push_back(line.clone());
            if let Some(at) = WARNINGS.iter().find_map(|mark| line.find(mark)) {
                said.warning.get_or_insert_with(|| line[at..].trim().to_owned());
            }
            drop(said);
            // Nobody listens any more once the server runs.
            let _ = lines.send((at, line));
        }
    })
}
