//! A house: the real binary, serving a manifest on a port of its own until it is stopped or dropped.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    Connection, Entry, Held, Log, Manifest, Memory, Outcome, Request, Response,
    binary::{guesthouse, scratch},
    run,
};

/// How long a house may take to come up: with a cold cache it compiles Python guests first, half a minute each.
const START_PATIENCE: Duration = Duration::from_secs(900);

/// A running house. Dropped, it is killed; where the test fails, its log is shown.
pub struct House {
    child: Child,
    folder: PathBuf,
    _owned: Option<TempDir>,
    log: Log,
    errors: Log,
    readers: Vec<JoinHandle<()>>,
    listeners: Vec<String>,
}

/// What a house left behind.
pub struct Stopped {
    pub status: ExitStatus,
    /// The lines on standard output.
    pub log: Vec<Entry>,
    /// The lines on standard error.
    pub errors: Vec<Entry>,
}

impl House {
    /// Starts a house and waits until all its listeners accept.
    ///
    /// # Panics
    ///
    /// When it does not come up, with what it said.
    pub fn start(manifest: &Manifest) -> House {
        House::start_with(manifest, 1, |_| {})
    }

    /// As [`House::start`], with the number of listeners to wait for and changes to the command.
    ///
    /// # Panics
    ///
    /// As [`House::start`].
    pub fn start_with(manifest: &Manifest, listeners: usize, change: impl FnOnce(&mut Command)) -> House {
        let folder = tempfile::tempdir().expect("a folder for the house");
        House::start_in(folder, &manifest.text(), listeners, change)
    }

    /// As [`House::start_with`], in a folder that may hold files which the manifest names.
    ///
    /// # Panics
    ///
    /// As [`House::start`].
    pub fn start_in(
        folder: TempDir,
        manifest: &str,
        listeners: usize,
        change: impl FnOnce(&mut Command),
    ) -> House {
        fs::write(folder.path().join("guesthouse.toml"), manifest).expect("the manifest is written");
        let mut house = House::start_at(folder.path(), listeners, change);
        house._owned = Some(folder);
        house
    }

    /// Starts a house in a folder that has its manifest, and stays when the house ends: to be started there again.
    ///
    /// # Panics
    ///
    /// As [`House::start`].
    pub fn start_at(folder: &Path, listeners: usize, change: impl FnOnce(&mut Command)) -> House {
        House::start_logging(folder, listeners, change, Log::collect)
    }

    /// Starts a house whose log is read, as fast as it comes, and not kept: for guests that print very much.
    ///
    /// # Panics
    ///
    /// As [`House::start`].
    pub fn start_unlogged(manifest: &Manifest) -> House {
        House::start_collecting(manifest, Log::discard)
    }

    /// Starts a house whose log nobody reads, unless the pipe is read that comes with it.
    ///
    /// # Panics
    ///
    /// As [`House::start`].
    pub fn start_unread(manifest: &Manifest) -> (House, ChildStdout) {
        let mut unread = None;
        let house = House::start_collecting(manifest, |pipe| {
            unread = Some(pipe);
            Log::collect(io::empty())
        });
        (house, unread.expect("a pipe"))
    }

    fn start_collecting(
        manifest: &Manifest,
        collect: impl FnOnce(ChildStdout) -> (Log, JoinHandle<()>),
    ) -> House {
        let folder = tempfile::tempdir().expect("a folder for the house");
        fs::write(folder.path().join("guesthouse.toml"), manifest.text()).expect("the manifest is written");
        let mut house = House::start_logging(folder.path(), 1, |_| {}, collect);
        house._owned = Some(folder);
        house
    }

    /// Runs `guesthouse dev` in a folder that has a manifest, and waits until it listens. Guests are built with the cache that
    /// all builds of the tests use.
    ///
    /// # Panics
    ///
    /// As [`House::start`].
    pub fn develop(folder: &Path) -> House {
        House::develop_with(folder, |command| {
            command.env_remove("GUESTHOUSE_CACHE_DIR");
        })
    }

    /// As [`House::develop`], with changes to the command.
    ///
    /// # Panics
    ///
    /// As [`House::start`].
    pub fn develop_with(folder: &Path, change: impl FnOnce(&mut Command)) -> House {
        House::run("dev", folder, 1, change, Log::collect)
    }

    fn start_logging(
        folder: &Path,
        listeners: usize,
        change: impl FnOnce(&mut Command),
        collect: impl FnOnce(ChildStdout) -> (Log, JoinHandle<()>),
    ) -> House {
        House::run("serve", folder, listeners, change, collect)
    }

    fn run(
        verb: &str,
        folder: &Path,
        listeners: usize,
        change: impl FnOnce(&mut Command),
        collect: impl FnOnce(ChildStdout) -> (Log, JoinHandle<()>),
    ) -> House {
        let file = folder.join("guesthouse.toml");
        let mut command = Command::new(guesthouse());
        command.args([verb, "-m"]).arg(&file).env("GUESTHOUSE_CACHE_DIR", cache());
        change(&mut command);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the house starts");
        let (log, out_reader) = collect(child.stdout.take().expect("a pipe"));
        let (errors, err_reader) = Log::collect(child.stderr.take().expect("a pipe"));
        let readers = vec![out_reader, err_reader];
        let folder = folder.to_owned();
        let listening = Vec::new();
        let mut house = House { child, folder, _owned: None, log, errors, readers, listeners: listening };
        house.listeners = house
            .errors
            .wait_long_for(START_PATIENCE, "listeners", listeners, |entry| {
                entry.message().starts_with("listening on ")
            })
            .iter()
            .map(|entry| entry.message().trim_start_matches("listening on ").to_owned())
            .collect();
        house
    }

    /// The address of the first TCP listener.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub fn address(&self) -> SocketAddr {
        self.addresses().first().copied().expect("a TCP listener")
    }

    /// The addresses of all TCP listeners.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|text| text.strip_prefix("http://")?.parse().ok()).collect()
    }

    /// The folder with the manifest.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What the house has printed on standard output: the log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What the house has printed on standard error.
    pub fn errors(&self) -> &Log {
        &self.errors
    }

    pub fn memory(&self) -> Memory {
        Memory::of(self.pid())
    }

    /// What the house holds at this moment; none where it has ended.
    pub fn held(&self) -> Option<Held> {
        Held::of(self.pid())
    }

    /// Where the admin interface listens, as the house told it: `unix:/...` or `http://127.0.0.1:...`.
    ///
    /// # Panics
    ///
    /// When it tells none.
    pub fn admin_url(&self) -> String {
        let told =
            self.errors.wait_for("the admin listener", |entry| entry.message().starts_with("admin on "));
        told.message().trim_start_matches("admin on ").to_owned()
    }

    /// A new connection to the admin interface.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn admin_connect(&self) -> Connection {
        let url = self.admin_url();
        match url.strip_prefix("unix:") {
            Some(path) => Connection::unix(Path::new(path)),
            None => {
                let address = url.trim_start_matches("http://").parse().expect("an address");
                Connection::tcp(address)
            }
        }
    }

    /// Sends a request to the admin interface on a connection of its own and reads the whole answer.
    ///
    /// # Panics
    ///
    /// When the answer breaks off.
    pub fn admin(&self, request: &Request) -> Response {
        let mut connection = self.admin_connect();
        connection.send(request.bytes());
        connection.response(request.method())
    }

    /// Runs a `guesthouse` command that finds this house by its manifest.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn command(&self, arguments: &[&str]) -> Outcome {
        run(self.folder(), arguments)
    }

    /// A new connection to the first TCP listener.
    pub fn connect(&self) -> Connection {
        Connection::tcp(self.address())
    }

    /// Sends a request on a connection of its own and reads the whole answer.
    ///
    /// # Panics
    ///
    /// When the answer breaks off.
    pub fn send(&self, request: &Request) -> Response {
        let mut connection = self.connect();
        connection.send(request.bytes());
        connection.response(request.method())
    }

    /// GET from the app that is reached as `APP.test`.
    ///
    /// # Panics
    ///
    /// When the answer breaks off.
    pub fn get(&self, app: &str, path: &str) -> Response {
        self.send(&Request::get(&format!("{app}.test"), path))
    }

    /// Asks the app whether it is well.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub fn assert_well(&self, app: &str) {
        let answer = self.get(app, "/ok");
        assert_eq!((answer.status(), answer.text()), (200, "ok\n".to_owned()), "{app} is not well");
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the signal is sent");
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    ///
    /// When the house does not end.
    pub fn stop(self) -> Stopped {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for the end.
    ///
    /// # Panics
    ///
    /// When the house does not end.
    pub fn wait(mut self) -> Stopped {
        // Its pipes end with it.
        self.log.wait_for_end();
        let status = self.child.wait().expect("the state of the house");
        for reader in self.readers.drain(..) {
            reader.join().expect("the lines are collected");
        }
        Stopped { status, log: self.log.entries(), errors: self.errors.entries() }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // Both fail where the house has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            for (name, log) in [("log", &self.log), ("standard error", &self.errors)] {
                let lines: Vec<String> = log.entries().iter().map(Entry::to_string).collect();
                eprintln!("--- {name} of the house:\n{}", lines.join("\n"));
            }
        }
    }
}

/// The compile cache that all houses of the tests share.
pub(crate) fn cache() -> PathBuf {
    scratch().join("cache")
}

/// One house for the tests of a file that run at the same time. The last of them to end drops it.
#[derive(Default)]
pub struct SharedHouse(Mutex<Weak<House>>);

impl SharedHouse {
    pub const fn new() -> SharedHouse {
        SharedHouse(Mutex::new(Weak::new()))
    }

    /// The house, started if nobody has it.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn get(&self, manifest: impl FnOnce() -> Manifest) -> Arc<House> {
        self.get_in(|| tempfile::tempdir().expect("a folder for the house"), manifest)
    }

    /// As [`SharedHouse::get`], in a folder with files that the manifest names.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn get_in(
        &self,
        folder: impl FnOnce() -> TempDir,
        manifest: impl FnOnce() -> Manifest,
    ) -> Arc<House> {
        // A test that failed while it started the house leaves nothing half done.
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(house) = shared.upgrade() {
            return house;
        }
        let house = Arc::new(House::start_in(folder(), &manifest().text(), 1, |_| {}));
        *shared = Arc::downgrade(&house);
        house
    }
}
