//! The plan: the manifest resolved and checked. Past it, configuration cannot be wrong.
//!
//! Everything the rest of the host needs to know is in these types, with paths made absolute, defaults filled in,
//! environment variables resolved and names checked. Nothing here does network I/O or knows of wasm.

mod address;
mod admin;
mod app;
mod describe;
mod explain;
mod generations;
mod grants;
mod keyvalue;
mod limits;
mod load;
mod names;
mod remote;
mod resolve;
mod routes;
mod secrets;
mod settings;
mod source;
mod statics;
mod variables;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use address::ListenError;
pub use explain::{Explanation, UrlError, explain};
pub use keyvalue::{Keyvalue, KeyvalueLimits, Password, RedisAddress, RedisServer};
pub(crate) use limits::log_lines;
pub use remote::{RemoteHost, RemoteHostError};
pub use statics::{Asked, StaticFolder, Statics};

use serde::{Deserialize, Serialize};

use crate::{
    report::{self, Report},
    router::Table,
    secrets::Secrets,
    settings::Settings,
};

/// A resolved manifest.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The manifest file that this was made from (absolute).
    pub manifest: PathBuf,
    pub listeners: Vec<ListenAddr>,
    pub server: Server,
    /// Where compiled code is kept (`[host] cache-dir`; absolute).
    pub cache_dir: PathBuf,
    /// In the order of the manifest.
    pub apps: Vec<App>,
    /// Leads from a request's host, port and path to a [`Target`].
    pub routes: Table<Target>,
    /// `[listen] admin`; `None` where it is off.
    pub admin: Option<Admin>,
    /// `[host] state-dir`: where swaps are remembered (absolute).
    pub state_dir: PathBuf,
    /// `[host] watch`: whether changes of files are taken up by themselves.
    pub watch: bool,
    /// The settings files that were read (absolute).
    pub settings_files: Vec<PathBuf>,
}

/// The admin listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    pub address: ListenAddr,
    /// `admin-token-file`: holds the bearer token that requests must bring (absolute).
    pub token_file: Option<PathBuf>,
    /// Whether the manifest names the address; where it does not, a house whose default address is taken goes without.
    pub named: bool,
}

impl Plan {
    /// Reads a manifest and the files that it names, and checks all of it.
    ///
    /// `env` looks up environment variables: those of `${VAR}` in the manifest, and those that say where caches go.
    /// Beside the plan comes what should be said about it although it can be used: warnings and notes.
    ///
    /// # Errors
    ///
    /// Every problem of the manifest, errors and warnings alike, where there is at least one error.
    pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<(Self, Report), Report> {
        load::load(path, env, true)
    }

    /// The same for commands that serve nobody: where secrets come from is checked, but none is read.
    ///
    /// # Errors
    ///
    /// As [`Plan::load`].
    pub fn load_without_secrets(
        path: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Report), Report> {
        load::load(path, env, false)
    }

    /// Leaves out the apps that are not to be kept, with their routes.
    pub fn retain(&mut self, keep: impl Fn(&App) -> bool) {
        let kept: Vec<bool> = self.apps.iter().map(&keep).collect();
        let is_kept = |app: usize| kept.get(app).copied().unwrap_or(false);
        let place = |app: usize| kept.iter().take(app).filter(|kept| **kept).count();
        let routes = self.routes.routes().iter().filter(|(_, target)| is_kept(target.app));
        let routes = routes.map(|(pattern, target)| {
            (pattern.clone(), Target { app: place(target.app), route: target.route })
        });
        // A part of routes that did not contradict each other.
        self.routes = Table::new(routes.collect()).unwrap_or_default();
        self.apps.retain(keep);
    }
}

/// The folder of caches where no manifest says otherwise; `None` where the environment names no home either.
pub fn default_cache_dir(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    load::cache_dir(None, env)
}

/// Where the admin listener of a manifest is, for commands that talk to a running house; `None` where it has none, or
/// where its address cannot be told.
///
/// Whatever else is wrong with the manifest does not matter, nor whether its token file is well: the house was started
/// with an earlier state of both.
///
/// # Errors
///
/// Why the manifest's file cannot be read.
pub fn admin(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Admin>, Report> {
    let (mut resolver, manifest) = load::open(path, env)?;
    Ok(resolver.admin(manifest.listen.as_ref()))
}

/// Where the router leads: one route of one app.
#[derive(Debug, Clone)]
pub struct Target {
    /// Index into [`Plan::apps`].
    pub app: usize,
    /// Index into that app's [`App::routes`].
    pub route: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddr {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// `[server]`: what holds for all listeners.
#[derive(Debug, Clone)]
pub struct Server {
    /// `header-ms`: how long a client may take for the head of a request, from its first byte; of the first, from the
    /// beginning of the connection.
    pub header_timeout: Duration,
    /// `idle-ms`: how long a kept-alive connection may be silent between requests.
    pub idle_timeout: Duration,
    /// `body-ms`: how long a client may pause within a request body, or in reading an answer.
    pub stall_timeout: Duration,
    /// `drain-ms`: how long requests in flight may take after SIGTERM.
    pub drain_timeout: Duration,
    /// `connections`: connections open at once, over all listeners.
    pub connections_max: usize,
    /// `connections-per-client`: of them, those of one IPv4 address or IPv6 /64 that is no trusted proxy.
    pub connections_per_client_max: usize,
    /// `header-kib`: bytes of a request's head.
    pub header_bytes_max: usize,
    /// `trusted-proxies`: whose `Forwarded` and `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// `trust-unix`: whether peers of Unix sockets count as trusted proxies.
    pub trust_unix: bool,
    /// `log`: the format of log lines, the access log among them.
    pub log: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// `[apps.NAME]`.
#[derive(Debug, Clone)]
pub struct App {
    /// Lower-case letters, digits, `-` and `_`; at most 63 characters.
    pub name: Arc<str>,
    /// The component file (absolute). With `source` alone, where `build` puts it.
    pub component: PathBuf,
    /// Where the manifest names the component or its source, for what is found out about it later.
    pub place: report::Place,
    /// How `guesthouse build` makes the component, where the manifest says so.
    pub source: Option<Source>,
    pub routes: Vec<Route>,
    /// The app's settings without any route's overlay.
    pub settings: Arc<Settings>,
    /// `[apps.NAME.secrets]`: read, and none of them a setting too.
    pub secrets: Secrets,
    pub instances: Instances,
    pub limits: Limits,
    pub grants: Grants,
    /// `[apps.NAME.static]`: folders whose files the host answers with.
    pub statics: Arc<Statics>,
    /// `[apps.NAME.probe]`: what a new generation must answer before it serves.
    pub probe: Option<Probe>,
    pub generations: Generations,
}

/// `[apps.NAME.probe]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// `path` (default `/`): begins with a slash.
    pub path: String,
    /// `status` (default 200).
    pub status: u16,
    /// `within-ms` (default 5 000): from the request to the head of the answer.
    pub within: Duration,
}

/// `[apps.NAME.generations]`: how new generations are tried and old ones kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generations {
    /// `keep` (default 3): how many are kept to go back to, beside the one that serves.
    pub keep: usize,
    /// `trial-ms` (default 300 000): how long a new generation is on trial; never where zero.
    pub trial: Duration,
    /// `trial-failures` (default 10): so many failures during the trial, at least, make the house go back by itself,
    pub trial_failures: u64,
    /// `trial-percent` (default 50): if they are this part of its requests, at least.
    pub trial_percent: u64,
}

/// One entry of `routes`.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// As the operator wrote it, for messages.
    pub text: String,
    /// Path prefix of the pattern without its trailing slash: empty or `/shop`.
    pub prefix: String,
    /// `strip-prefix`: the guest sees the path without the prefix, and the prefix as its mount point (SCRIPT_NAME).
    pub strip_prefix: bool,
    /// `headers`: set on every request, in place of what the client sent under these names.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// `settings`: the app's settings with this route's overlay laid over them; the app's own object where it has none.
    pub settings: Arc<Settings>,
}

/// `[apps.NAME] source`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Python(Python),
    Rust(Rust),
    Js(Js),
    /// `{ command = "make app.wasm", component = "app.wasm" }`, run by `sh -c` in the manifest's folder.
    Command {
        command: String,
    },
}

/// `{ python = "DIR", wsgi = "module:object", ... }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    /// The project's folder (absolute): the first entry of `sys.path`.
    pub dir: PathBuf,
    /// `wsgi`: the WSGI application object, `module:object`.
    pub wsgi: String,
    /// `requirements`: a requirements file, exact versions (absolute).
    pub requirements: Option<PathBuf>,
    /// `include`: further modules to capture that nothing imports at build time (`mysite.settings`).
    pub include: Vec<String>,
    /// `wasi`: "0.2" (default) or "0.3".
    pub wasi: Wasi,
    /// Whether the project's files are mounted where it runs, not captured when it is built: `guesthouse dev` wants that,
    /// no manifest says it.
    pub mounted: bool,
}

/// `{ rust = "DIR", package = "name" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rust {
    /// The folder with `Cargo.toml` (absolute).
    pub dir: PathBuf,
    /// Which package or artifact, where the folder has several.
    pub package: Option<String>,
}

/// `{ js = "src/app.ts" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Js {
    /// The module that it begins with (absolute).
    pub entry: PathBuf,
    /// The folder with its `package.json`, the nearest above it, or its own folder (absolute).
    pub root: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wasi {
    P2,
    P3,
}

/// `[apps.NAME.instances]`: how instances live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instances {
    /// `None`: by the component, a fresh instance per request for 0.2, reuse for 0.3.
    pub isolation: Option<Isolation>,
    /// `reuse-max`: requests that one instance serves before it is let go (default 1000).
    pub reuse_max: u64,
    /// `concurrency`: requests at once in one 0.3 instance (default 16; always 1 in a 0.2 instance).
    pub concurrency: usize,
    /// `idle-ms`: how long an unused instance is kept (default 60 s).
    pub idle: Duration,
    /// `snapshot`: whether instances start from an image of the initialised app (default false).
    #[serde(default)]
    pub snapshot: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    Request,
    Reuse,
}

/// `[apps.NAME.limits]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// `memory-mib` (default 128): over all memories of one instance.
    pub memory_bytes: usize,
    /// `request-ms` (default 30 000): wall time from admission to the end of the answer's head; see also `stream_max`.
    pub request: Duration,
    /// `cpu-ms` (default 5 000): computing time of one request.
    pub cpu: Duration,
    /// `stream-ms` (default 600 000): wall time of a whole request, its bodies included.
    pub stream: Duration,
    /// `concurrent` (default 64): requests of this app at once.
    pub concurrent: usize,
    /// `queue` (default 256): requests that may wait for one of those places.
    pub queue: usize,
    /// `queue-ms` (default 10 000): how long a request may wait there.
    pub queue_wait: Duration,
    /// `body-mib` (default 16): bytes of a request's body.
    pub body_bytes: u64,
    /// `app-memory-mib` (default 16 times `memory-mib`): over all instances of one generation.
    #[serde(default = "limits::app_memory_bytes")]
    pub app_memory_bytes: usize,
    /// `log-lines` (default 200): lines a second that instances may print into the log, over all of them.
    #[serde(default = "log_lines")]
    pub log_lines: usize,
    /// `handles` (default 1 000): handles that an instance may hold at once.
    #[serde(default = "limits::handles")]
    pub handles: usize,
    /// `files` (default 256): files and folders that are open at once, over all instances.
    #[serde(default = "limits::files")]
    pub files: usize,
    /// `dirs-mib` (default 1 024): bytes that the folders may hold together which the app may write to.
    #[serde(default = "limits::dirs_bytes")]
    pub dirs_bytes: u64,
    /// `static-files` (default 256): answers with static files that are being sent at once.
    #[serde(default = "limits::static_files")]
    pub static_files: usize,
    /// `answer-mib` (default 1 024): bytes of an answer's body.
    #[serde(default = "limits::answer_bytes")]
    pub answer_bytes: u64,
    /// `fields-kib` (default 32): bytes of the header fields that a guest makes for one request or answer.
    #[serde(default = "limits::fields_bytes")]
    pub fields_bytes: usize,
    /// `outgoing` (default 128): outgoing requests, open sockets and look-ups of names of this app at once.
    #[serde(default = "limits::outgoing")]
    pub outgoing: usize,
    /// `outgoing-ms` (default 30 000): each wait of an outgoing request: for its connection, for the head of its answer,
    /// for a piece of its body.
    #[serde(default = "limits::outgoing_wait")]
    pub outgoing_wait: Duration,
    /// `outgoing-body-mib` (default 64): bytes of an outgoing request's body, and of the body of its answer.
    #[serde(default = "limits::outgoing_body_bytes")]
    pub outgoing_body_bytes: u64,
    /// `keyvalue-*`: what may be done with key-value stores.
    #[serde(default)]
    pub keyvalue: KeyvalueLimits,
}

/// `[apps.NAME.grants]`: all that a guest may touch beside its settings. Nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// `http`: origins of outgoing requests, `scheme://host[:port]`.
    pub http: Vec<Origin>,
    /// `tcp`: services for outgoing TCP connections, `host:port`.
    pub tcp: Vec<Service>,
    /// `udp`: services for datagrams, `host:port`.
    #[serde(default)]
    pub udp: Vec<Service>,
    /// `networks`: what granted names may resolve to beside public addresses.
    #[serde(default)]
    pub networks: Vec<ipnet::IpNet>,
    /// `dirs`: guest path to host directory.
    pub dirs: BTreeMap<String, Dir>,
    /// `keyvalue`: stores by the names that the app opens them with.
    #[serde(default)]
    pub keyvalue: BTreeMap<String, Keyvalue>,
    /// `env`: environment variables, given as written. The host's own environment is never inherited.
    pub env: BTreeMap<String, String>,
}

/// A scheme and a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `http` or `https`.
    #[serde(with = "scheme")]
    pub scheme: http::uri::Scheme,
    /// Its port is the scheme's default where the manifest names none.
    pub service: Service,
}

/// A host and a port of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub host: GrantedHost,
    pub port: u16,
}

/// The hosts that a grant names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantedHost {
    One(RemoteHost),
    /// `*.suffix`: every name below it, however deep. Held without the `*.`: ASCII, lower case, without a trailing dot.
    Below(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dir {
    /// Absolute; exists and is a directory. Empty where it is `temporary`.
    pub path: PathBuf,
    pub write: bool,
    /// Not one folder, but an empty one for each instance, which goes with it.
    #[serde(default)]
    pub temporary: bool,
}

impl Dir {
    /// The folder of the host that all instances may write to, if this is one.
    pub fn written(&self) -> Option<&PathBuf> {
        (self.write && !self.temporary).then_some(&self.path)
    }
}

/// A scheme as text.
mod scheme {
    use http::uri::Scheme;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(scheme: &Scheme, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(scheme.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scheme, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
