//! A client of the admin interface of a running house: JSON over its Unix socket.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Connection, House, Manifest, PATIENCE, Request, Version};

/// How long a change may take: with a cold cache a Python component is compiled in it.
const CHANGE_PATIENCE: Duration = Duration::from_secs(900);

/// How often a state is asked for that is waited for.
const POLL: Duration = Duration::from_millis(2);

/// The admin interface of one house. Each request is on a connection of its own.
#[derive(Clone)]
pub struct Admin {
    socket: PathBuf,
}

/// What the house said.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

impl House {
    /// The admin interface, once it is told on standard error where it is.
    ///
    /// # Panics
    ///
    /// Where the house has none on a Unix socket.
    pub fn api(&self) -> Admin {
        let line = self
            .errors()
            .wait_for("the admin listener", |entry| entry.message().starts_with("admin on unix:"))
            .message();
        Admin::at(Path::new(line.trim_start_matches("admin on unix:")))
    }

    /// Puts a file in place in the house's folder at once, as an editor or a deployment does: written beside, renamed.
    ///
    /// # Panics
    ///
    /// Where it cannot be written.
    pub fn replace(&self, name: &str, contents: impl AsRef<[u8]>) {
        let beside = self.folder().join(format!("{name}.new"));
        fs::write(&beside, contents).expect("the file is written");
        fs::rename(&beside, self.folder().join(name)).expect("the file is put in place");
    }

    /// Puts a manifest in place at once.
    ///
    /// # Panics
    ///
    /// Where it cannot be written.
    pub fn rewrite(&self, manifest: &Manifest) {
        self.replace("guesthouse.toml", manifest.text());
    }

    /// Asks the app of a guest `version-…` until it answers with this swap, and gives the answer's generation.
    ///
    /// # Panics
    ///
    /// When it does not, or gives an answer that is not whole from one generation.
    pub fn wait_for_swap(&self, app: &str, swap: u64) -> Version {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let version = self.get(app, "/").version();
            if version.swap() == Some(swap) {
                return version;
            }
            assert!(
                Instant::now() < deadline,
                "waited for swap {swap} of {app}, which answers {version:?}: {:#}",
                self.api().status()
            );
            thread::sleep(POLL);
        }
    }
}

impl Admin {
    pub fn at(socket: &Path) -> Admin {
        Admin { socket: socket.to_owned() }
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    ///
    /// Where the house is not there, or goes before it has answered.
    pub fn try_send(&self, request: &Request) -> Result<Reply, String> {
        let mut connection = Connection::try_unix(&self.socket).map_err(|error| error.to_string())?;
        connection.be_patient(CHANGE_PATIENCE);
        // A house that refuses an upload may answer before it has read all of it.
        let sent = connection.try_send(request.bytes());
        let answer = connection.try_response(request.method()).map_err(|broken| match sent {
            Ok(()) => broken.to_string(),
            Err(error) => format!("{error}; {broken}"),
        })?;
        let body = match serde_json::from_slice(&answer.body) {
            Ok(body) => body,
            Err(_) => Value::String(String::from_utf8_lossy(&answer.body).into_owned()),
        };
        Ok(Reply { status: answer.status(), body })
    }

    fn send(&self, request: &Request) -> Reply {
        self.try_send(request).unwrap_or_else(|why| panic!("the admin interface does not answer: {why}"))
    }

    fn get(&self, path: &str) -> Reply {
        self.send(&Request::get("localhost", path))
    }

    fn post(&self, path: &str) -> Reply {
        self.send(&Request::new("POST", "localhost", path))
    }

    fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.send(&json_request(path, body))
    }

    /// The whole `Status`.
    ///
    /// # Panics
    ///
    /// As all of these: when the house does not answer.
    pub fn status(&self) -> Value {
        self.get("/v1/status").done()
    }

    /// The `AppStatus` of one app.
    pub fn app(&self, app: &str) -> Value {
        self.get(&format!("/v1/apps/{app}")).done()
    }

    /// The number of the generation of the app that serves.
    pub fn serving(&self, app: &str) -> u64 {
        number(&self.app(app)["serving"]["number"])
    }

    /// Uploads a component and gives its digest.
    pub fn upload(&self, component: &Path) -> String {
        let bytes = fs::read(component).expect("the component");
        let reply = self.try_upload(bytes).expect("the admin interface answers");
        assert_eq!(reply.status, 201, "{reply}");
        reply.body["digest"].as_str().expect("a digest").to_owned()
    }

    /// Uploads what may be refused, to a house that may end before it answers.
    ///
    /// # Errors
    ///
    /// Where it does.
    pub fn try_upload(&self, bytes: Vec<u8>) -> Result<Reply, String> {
        let request = Request::new("PUT", "localhost", "/v1/components");
        self.try_send(&request.header("content-type", "application/wasm").body(bytes))
    }

    /// Swaps by a `SwapRequest`.
    pub fn swap(&self, app: &str, request: &Value) -> Reply {
        self.post_json(&format!("/v1/apps/{app}/swap"), request)
    }

    /// As [`Admin::swap`], of a house that may end before it answers.
    ///
    /// # Errors
    ///
    /// Where it does.
    pub fn try_swap(&self, app: &str, request: &Value) -> Result<Reply, String> {
        self.try_send(&json_request(&format!("/v1/apps/{app}/swap"), request))
    }

    /// Swaps the component alone, by its bytes; `query` is empty or such as `?canary=5`.
    pub fn swap_bytes(&self, app: &str, bytes: Vec<u8>, query: &str) -> Reply {
        let request = Request::post("localhost", &format!("/v1/apps/{app}/swap{query}"), bytes);
        self.send(&request.header("content-type", "application/wasm"))
    }

    /// Goes back: to this generation, or to the last good one.
    pub fn rollback(&self, app: &str, to: Option<u64>) -> Reply {
        let path = format!("/v1/apps/{app}/rollback");
        match to {
            Some(number) => self.post_json(&path, &json!({ "to": number })),
            None => self.post(&path),
        }
    }

    pub fn promote(&self, app: &str) -> Reply {
        self.post(&format!("/v1/apps/{app}/promote"))
    }

    pub fn abort(&self, app: &str) -> Reply {
        self.post(&format!("/v1/apps/{app}/abort"))
    }

    pub fn reload(&self) -> Reply {
        self.post("/v1/reload")
    }

    /// Asks for the state of an app until it is as wanted, and gives it.
    ///
    /// # Panics
    ///
    /// When it does not become so, with what it is.
    pub fn wait_for_app(&self, app: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_until(what, || self.app(app), wanted)
    }

    /// As [`Admin::wait_for_app`], of the whole house.
    pub fn wait_for_status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_until(what, || self.status(), wanted)
    }
}

fn json_request(path: &str, body: &Value) -> Request {
    Request::post("localhost", path, body.to_string()).header("content-type", "application/json")
}

/// Asks until the answer is as wanted.
fn wait_until(what: &str, ask: impl Fn() -> Value, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask();
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited for {what}, and it is {answer:#}");
        // Often enough, and without taking the processor from the house.
        thread::sleep(POLL);
    }
}

/// A whole number in JSON.
///
/// # Panics
///
/// Where it is none.
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a number, not {value}"))
}

impl Reply {
    /// The answer of what was done.
    ///
    /// # Panics
    ///
    /// Where it was not.
    pub fn done(self) -> Value {
        assert!(matches!(self.status, 200..=202), "not done: {self}");
        self.body
    }

    /// As [`Reply::done`], of a change: it must be of this kind.
    ///
    /// # Panics
    ///
    /// Where it was not done, or is another.
    pub fn action(self, action: &str) -> Value {
        let change = self.done();
        assert_eq!(change["action"], action, "{change:#}");
        change
    }

    /// The generation that a change led to.
    ///
    /// # Panics
    ///
    /// Where it was not done.
    pub fn to(self) -> u64 {
        number(&self.done()["to"])
    }

    /// The message of a refusal with this status and reason.
    ///
    /// # Panics
    ///
    /// Where it was not refused so.
    pub fn refused(self, status: u16, reason: &str) -> String {
        assert_eq!((self.status, self.body["reason"].as_str()), (status, Some(reason)), "{self}");
        self.body["message"].as_str().expect("a message").to_owned()
    }

    /// The message of the refusal of what was not fit to serve.
    ///
    /// # Panics
    ///
    /// Where it was not refused so.
    pub fn unfit(self) -> String {
        self.refused(422, "unfit")
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {:#}", self.status, self.body)
    }
}
