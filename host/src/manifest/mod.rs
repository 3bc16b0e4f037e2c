//! The manifest: what the operator wrote, with the place of every value.
//!
//! [`Manifest`] and the types below are the one definition of what a manifest may hold. Their doc comments are the
//! descriptions in the JSON Schema ([`schema()`]), and [`parse`] checks a text against that very schema, so that the two
//! cannot differ. What a key may hold beyond its shape (that a host is a host, that a file exists) is the plan's to
//! check: nothing here resolves a path, a variable or a default.

mod located;
mod mask;
mod parse;
mod recover;
mod schema;
mod shape;
mod suggest;
mod value;

use schemars::JsonSchema;
use serde::Deserialize;

pub use located::{Entries, Located, OneOrMany};
pub(crate) use parse::parse_settings;
pub use parse::{Parsed, parse};
pub use recover::Unread;
pub(crate) use schema::OneLine;
pub use schema::schema;
pub(crate) use suggest::nearest;
pub use value::{Kind, Layer, Value};

/// What holds where the manifest says nothing. The manual names the same numbers by way of the schema.
pub mod defaults {
    pub const LISTEN: &str = "127.0.0.1:8000";
    pub const ADMIN: &str = "unix:.guesthouse/admin.sock";
    pub const STATE_DIR: &str = ".guesthouse/state";

    pub const HEADER_MS: u64 = 10_000;
    pub const IDLE_MS: u64 = 60_000;
    pub const BODY_MS: u64 = 30_000;
    pub const DRAIN_MS: u64 = 30_000;
    pub const CONNECTIONS: u64 = 10_000;
    pub const CONNECTIONS_PER_CLIENT: u64 = 2_000;
    pub const HEADER_KIB: u64 = 64;

    pub const REUSE_MAX: u64 = 1_000;
    pub const CONCURRENCY: u64 = 16;
    pub const INSTANCE_IDLE_MS: u64 = 60_000;

    pub const MEMORY_MIB: u64 = 128;
    pub const REQUEST_MS: u64 = 30_000;
    pub const CPU_MS: u64 = 5_000;
    pub const STREAM_MS: u64 = 600_000;
    pub const CONCURRENT: u64 = 64;
    pub const QUEUE: u64 = 256;
    pub const QUEUE_MS: u64 = 10_000;
    pub const BODY_MIB: u64 = 16;
    pub const APP_MEMORY: u64 = 16;
    pub const LOG_LINES: u64 = 200;
    pub const HANDLES: u64 = 1_000;
    pub const FIELDS_KIB: u64 = 32;
    pub const FILES: u64 = 256;
    pub const DIRS_MIB: u64 = 1_024;
    pub const STATIC_FILES: u64 = 256;
    pub const ANSWER_MIB: u64 = 1_024;
    pub const OUTGOING: u64 = 128;
    pub const OUTGOING_MS: u64 = 30_000;
    pub const OUTGOING_BODY_MIB: u64 = 64;

    pub const KEYVALUE_VALUE_KIB: u64 = 1_024;
    pub const KEYVALUE_KEY_BYTES: u64 = 1_024;
    pub const KEYVALUE_KEYS: u64 = 1_000;
    pub const KEYVALUE_BATCH_KIB: u64 = 4_096;
    pub const KEYVALUE_MEMORY_MIB: u64 = 64;
    pub const KEYVALUE_FILE_MIB: u64 = 1_024;
    pub const KEYVALUE_WAITING: u64 = 64;
    pub const KEYVALUE_MS: u64 = 5_000;

    pub const PROBE_PATH: &str = "/";
    pub const PROBE_STATUS: u64 = 200;
    pub const PROBE_WITHIN_MS: u64 = 5_000;

    pub const KEEP: u64 = 3;
    pub const TRIAL_MS: u64 = 300_000;
    pub const TRIAL_FAILURES: u64 = 10;
    pub const TRIAL_PERCENT: u64 = 50;
}

/// A day: no time-out of a server is meant to be longer, and a larger number is a slip of the pen.
const MS_MAX: u64 = 86_400_000;

/// A year: RFC 9111 has no use for more.
const CACHE_SECONDS_MAX: u64 = 31_536_000;

/// A Guesthouse manifest: what listens, and which apps there are.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "Guesthouse manifest")]
pub struct Manifest {
    /// Where the house listens.
    pub listen: Option<Located<Listen>>,
    /// What holds for all listeners and connections.
    pub server: Option<Server>,
    /// The host process itself.
    pub host: Option<Host>,
    /// What holds for every app that does not say otherwise.
    pub defaults: Option<Defaults>,
    /// The apps, by name: lower-case letters, digits, `-` and `_`.
    #[schemars(required)]
    pub apps: Option<Located<Entries<Located<App>>>>,
}

/// Where the house listens.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Listen {
    /// Addresses for HTTP, one or several: `127.0.0.1:8000`, `[::1]:8000`, or `unix:/run/house.sock`. Port 0 takes a
    /// free port.
    #[schemars(extend("default" = defaults::LISTEN))]
    pub http: Option<Located<OneOrMany>>,
    /// The address for `guesthouse status`, `swap` and their like: a Unix socket, relative to the manifest, or an address
    /// with `admin-token-file`. `off` for none.
    #[schemars(extend("default" = defaults::ADMIN))]
    pub admin: Option<Located<String>>,
    /// A file with the token that requests to `admin` must bring, relative to the manifest; only its owner may read it.
    /// Unix sockets may do without.
    pub admin_token_file: Option<Located<String>>,
}

/// What holds for all listeners and connections.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Server {
    /// Milliseconds that a client may take for the head of a request: from its first byte, or from the connection's
    /// beginning.
    #[schemars(range(min = 1, max = MS_MAX), extend("default" = defaults::HEADER_MS))]
    pub header_ms: Option<Located<u64>>,
    /// Milliseconds that a kept-alive connection may be silent between requests.
    #[schemars(range(min = 1, max = MS_MAX), extend("default" = defaults::IDLE_MS))]
    pub idle_ms: Option<Located<u64>>,
    /// Milliseconds that a client may pause within a request body, or in reading an answer.
    #[schemars(range(min = 1, max = MS_MAX), extend("default" = defaults::BODY_MS))]
    pub body_ms: Option<Located<u64>>,
    /// Milliseconds that requests in flight may still take once the house is told to stop.
    #[schemars(range(min = 0, max = MS_MAX), extend("default" = defaults::DRAIN_MS))]
    pub drain_ms: Option<Located<u64>>,
    /// Connections open at once, over all listeners.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = defaults::CONNECTIONS))]
    pub connections: Option<Located<u64>>,
    /// Connections open at once from one client: an IPv4 address, or an IPv6 network of 64 bits. Further ones are
    /// refused. Trusted proxies and Unix sockets are not counted.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = defaults::CONNECTIONS_PER_CLIENT))]
    pub connections_per_client: Option<Located<u64>>,
    /// KiB that the head of a request may have.
    #[schemars(range(min = 8, max = 1_024), extend("default" = defaults::HEADER_KIB))]
    pub header_kib: Option<Located<u64>>,
    /// Networks whose `Forwarded` and `X-Forwarded-*` fields are believed: `10.0.0.0/8`, `::1`.
    #[schemars(extend("default" = []))]
    pub trusted_proxies: Option<Vec<Located<String>>>,
    /// Whether the peers of Unix sockets count as trusted proxies.
    #[schemars(extend("default" = false))]
    pub trust_unix: Option<bool>,
    /// The format of log lines.
    #[schemars(extend("default" = "text"))]
    pub log: Option<Log>,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Log {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The host process itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Host {
    /// The folder for compiled code, relative to the manifest. By default `guesthouse` in the user's cache folder;
    /// `GUESTHOUSE_CACHE_DIR` in the environment goes before it.
    pub cache_dir: Option<Located<String>>,
    /// The folder where swaps of apps are remembered, relative to the manifest; `GUESTHOUSE_STATE_DIR` in the environment
    /// goes before it.
    #[schemars(extend("default" = defaults::STATE_DIR))]
    pub state_dir: Option<Located<String>>,
    /// Whether changes of the manifest, of settings files and of components are taken up by themselves.
    #[schemars(extend("default" = true))]
    pub watch: Option<bool>,
}

/// What holds for every app that does not say otherwise.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Defaults {
    /// Settings that every app gets, below its own.
    pub settings: Option<Layer>,
    /// Limits of every app.
    pub limits: Option<Located<Limits>>,
    /// How instances of every app live.
    pub instances: Option<Located<Instances>>,
    /// How new generations of every app are tried, and old ones kept.
    pub generations: Option<Located<Generations>>,
}

/// An app: a component with routes, settings, grants and limits.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct App {
    /// The component file, relative to the manifest. May be left out where `source` says how it is built.
    pub component: Option<Located<String>>,
    /// How `guesthouse build` makes the component.
    pub source: Option<Located<Source>>,
    /// Which requests the app answers: `host[:port][/path]` each. The most specific route of all apps wins.
    #[schemars(required)]
    pub routes: Option<Located<Vec<Located<Route>>>>,
    /// The app's settings. Tables merge with those of `settings-file` and of `defaults.settings`; anything else
    /// replaces what stands there.
    pub settings: Option<Layer>,
    /// A TOML file of settings, relative to the manifest; `settings` goes before it.
    pub settings_file: Option<Located<String>>,
    /// The app's secrets, by name. Each is read when the manifest is, and reaches the app through `guesthouse:secrets` alone.
    /// Names with dots stand in quotes.
    pub secrets: Option<Entries<Located<Secret>>>,
    /// Folders whose files the host answers GET and HEAD with itself, before the app is asked, by the path below the app's
    /// routes: `"/static" = "static"`, relative to the manifest. What is no file there is the app's to answer.
    #[serde(rename = "static")]
    pub statics: Option<Entries<Located<StaticFolder>>>,
    /// How the app's instances live.
    pub instances: Option<Located<Instances>>,
    /// What one request and all requests of the app may use.
    pub limits: Option<Located<Limits>>,
    /// What the app may touch beside its settings.
    pub grants: Option<Grants>,
    /// What a new generation must answer before it serves.
    pub probe: Option<Probe>,
    /// How new generations of the app are tried, and old ones kept.
    pub generations: Option<Located<Generations>>,
}

/// Where a secret comes from: one of these. It never stands in the manifest itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Secret {
    /// The environment variable of the house that holds it.
    pub env: Option<Located<String>>,
    /// The file that holds it, relative to the manifest, with one line end or none. It belongs to the user that runs the house
    /// or to root, and nobody else may read it.
    pub file: Option<Located<String>>,
    /// The credential of systemd that holds it, by its name: `LoadCredential=NAME:...` in the house's service.
    pub credential: Option<Located<String>>,
}

/// How a component is built: by Python, by Rust, by JavaScript or by a command.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Source {
    /// The folder of a Python project, relative to the manifest: the first entry of `sys.path`.
    pub python: Option<Located<String>>,
    /// The WSGI application of a Python project: `module:object`.
    pub wsgi: Option<Located<String>>,
    /// The requirements file of a Python project, relative to its folder.
    pub requirements: Option<Located<String>>,
    /// Modules of a Python project that nothing imports while it is built, such as settings modules.
    pub include: Option<Located<Vec<Located<String>>>>,
    /// The version of WASI that a Python project is built for.
    #[schemars(extend("default" = "0.2"))]
    pub wasi: Option<Located<Wasi>>,
    /// The folder of a Rust package, relative to the manifest.
    pub rust: Option<Located<String>>,
    /// Which package of a Rust workspace.
    pub package: Option<Located<String>>,
    /// The first module of a JavaScript or TypeScript app, relative to the manifest: it exports `incomingHandler`.
    pub js: Option<Located<String>>,
    /// A command for `sh`, run in the manifest's folder; `component` names the file that it makes.
    pub command: Option<Located<String>>,
}

/// A version of WASI.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum Wasi {
    /// WASI 0.2: one request at a time in an instance.
    #[serde(rename = "0.2")]
    P2,
    /// WASI 0.3: asynchronous, many requests at a time in an instance.
    #[serde(rename = "0.3")]
    P3,
}

/// A route: a pattern, or a table with a pattern and what goes with it.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum Route {
    /// `host[:port][/path]`. The host is a name or an address, `*.suffix`, or `*`.
    Pattern(String),
    Table(Box<RouteTable>),
}

/// A route with what goes with it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RouteTable {
    /// `host[:port][/path]`. The host is a name or an address, `*.suffix`, or `*`.
    #[schemars(required)]
    pub route: Option<Located<String>>,
    /// Whether the app sees paths without the route's path, which it is then told as its mount point (SCRIPT_NAME).
    #[schemars(extend("default" = false))]
    pub strip_prefix: Option<Located<bool>>,
    /// Request header fields that are set on every request of this route, whatever the client sent.
    pub headers: Option<Entries<Located<String>>>,
    /// Settings for requests of this route, over those of the app.
    pub settings: Option<Layer>,
}

/// A folder of static files: its path, or a table with the path and what goes with it.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum StaticFolder {
    /// The folder, relative to the manifest.
    Path(String),
    Table(StaticTable),
}

/// A folder of static files with what goes with it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StaticTable {
    /// The folder, relative to the manifest.
    #[schemars(required)]
    pub path: Option<Located<String>>,
    /// Seconds for which clients and caches may keep a file without asking again. By default they ask each time, but for
    /// files with a digest in their names, as Django's `ManifestStaticFilesStorage` makes them: those are kept for good.
    #[schemars(range(min = 0, max = CACHE_SECONDS_MAX))]
    pub cache_seconds: Option<Located<u64>>,
}

/// How instances live.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Instances {
    /// Whether each request gets a fresh instance. By default `request` for WASI 0.2 and `reuse` for WASI 0.3.
    pub isolation: Option<Located<Isolation>>,
    /// Requests that one instance serves before it is let go.
    #[schemars(range(min = 1, max = 1_000_000_000), extend("default" = defaults::REUSE_MAX))]
    pub reuse_max: Option<Located<u64>>,
    /// Requests at once in one instance of WASI 0.3; in WASI 0.2 it is always one.
    #[schemars(range(min = 1, max = 10_000), extend("default" = defaults::CONCURRENCY))]
    pub concurrency: Option<Located<u64>>,
    /// Milliseconds that an unused instance is kept.
    #[schemars(range(min = 0, max = MS_MAX), extend("default" = defaults::INSTANCE_IDLE_MS))]
    pub idle_ms: Option<Located<u64>>,
    /// Whether the app is initialised once for each generation, with its settings, and every instance starts from an
    /// image of its memory. For components that export `guesthouse:settings/snapshot`; others start as before.
    #[schemars(extend("default" = false))]
    pub snapshot: Option<Located<bool>>,
}

/// Whether each request gets a fresh instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// A fresh instance for each request.
    Request,
    /// One instance serves many requests.
    Reuse,
}

/// What one request and all requests of an app may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// MiB of memory, over all memories of one instance.
    #[schemars(range(min = 1, max = 16_384), extend("default" = defaults::MEMORY_MIB))]
    pub memory_mib: Option<Located<u64>>,
    /// Milliseconds until the head of the answer. By default not more than `stream-ms`.
    #[schemars(range(min = 1, max = MS_MAX), extend("default" = defaults::REQUEST_MS))]
    pub request_ms: Option<Located<u64>>,
    /// Milliseconds of computing for one request. By default not more than `stream-ms`.
    #[schemars(range(min = 1, max = MS_MAX), extend("default" = defaults::CPU_MS))]
    pub cpu_ms: Option<Located<u64>>,
    /// Milliseconds for a whole request, its bodies included. By default not less than `request-ms` and `cpu-ms`.
    #[schemars(range(min = 1, max = MS_MAX), extend("default" = defaults::STREAM_MS))]
    pub stream_ms: Option<Located<u64>>,
    /// Requests of the app at once.
    #[schemars(range(min = 1, max = 100_000), extend("default" = defaults::CONCURRENT))]
    pub concurrent: Option<Located<u64>>,
    /// Requests that may wait for one of those places; 0 for none.
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = defaults::QUEUE))]
    pub queue: Option<Located<u64>>,
    /// Milliseconds that a request may wait there.
    #[schemars(range(min = 1, max = MS_MAX), extend("default" = defaults::QUEUE_MS))]
    pub queue_ms: Option<Located<u64>>,
    /// MiB that the body of a request may have.
    #[schemars(range(min = 1, max = 1_048_576), extend("default" = defaults::BODY_MIB))]
    pub body_mib: Option<Located<u64>>,
    /// MiB that the body of an answer may have.
    #[schemars(range(min = 1, max = 1_048_576), extend("default" = defaults::ANSWER_MIB))]
    pub answer_mib: Option<Located<u64>>,
    /// MiB of memory, over all instances of one generation of the app. By default 16 times `memory-mib`.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub app_memory_mib: Option<Located<u64>>,
    /// Lines a second that the app may print into the log, over all its instances; ten times as many at once after a
    /// silence. A line counts once for each KiB that it begins. What is beyond is dropped and counted.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = defaults::LOG_LINES))]
    pub log_lines: Option<Located<u64>>,
    /// Handles to what the host keeps for an instance at once: requests, answers, bodies, streams, files, sockets.
    #[schemars(range(min = 16, max = 1_000_000), extend("default" = defaults::HANDLES))]
    pub handles: Option<Located<u64>>,
    /// Files and folders that the app may have open at once, over all its instances.
    #[schemars(range(min = 0, max = 100_000), extend("default" = defaults::FILES))]
    pub files: Option<Located<u64>>,
    /// MiB that the folders may hold together which the app may write to (`grants.dirs` with `write`), with 4 KiB for each
    /// file, folder and link beside its contents.
    #[schemars(range(min = 0, max = 1_000_000_000), extend("default" = defaults::DIRS_MIB))]
    pub dirs_mib: Option<Located<u64>>,
    /// Answers with static files of the app that are being sent at once; further ones get 503.
    #[schemars(range(min = 1, max = 100_000), extend("default" = defaults::STATIC_FILES))]
    pub static_files: Option<Located<u64>>,
    /// KiB of the header fields that the app makes for one request or answer, each with some bytes more for its place in
    /// memory.
    #[schemars(range(min = 1, max = 1_024), extend("default" = defaults::FIELDS_KIB))]
    pub fields_kib: Option<Located<u64>>,
    /// Outgoing requests, open sockets and look-ups of names of the app at once; 0 for none.
    #[schemars(range(min = 0, max = 100_000), extend("default" = defaults::OUTGOING))]
    pub outgoing: Option<Located<u64>>,
    /// Milliseconds that an outgoing request may wait for a connection, for the head of its answer, and for each further
    /// piece of it. A guest may ask for less.
    #[schemars(range(min = 1, max = MS_MAX), extend("default" = defaults::OUTGOING_MS))]
    pub outgoing_ms: Option<Located<u64>>,
    /// MiB that the body of an outgoing request may have, and that of its answer.
    #[schemars(range(min = 1, max = 1_048_576), extend("default" = defaults::OUTGOING_BODY_MIB))]
    pub outgoing_body_mib: Option<Located<u64>>,
    /// KiB that a value in a key-value store may have.
    #[schemars(range(min = 1, max = 524_288), extend("default" = defaults::KEYVALUE_VALUE_KIB))]
    pub keyvalue_value_kib: Option<Located<u64>>,
    /// Bytes that a key in a key-value store may have.
    #[schemars(range(min = 1, max = 65_536), extend("default" = defaults::KEYVALUE_KEY_BYTES))]
    pub keyvalue_key_bytes: Option<Located<u64>>,
    /// Keys that one operation on a key-value store may name, and that a page of a list has.
    #[schemars(range(min = 1, max = 100_000), extend("default" = defaults::KEYVALUE_KEYS))]
    pub keyvalue_keys: Option<Located<u64>>,
    /// KiB that the values of one operation on several keys may have together.
    #[schemars(range(min = 1, max = 524_288), extend("default" = defaults::KEYVALUE_BATCH_KIB))]
    pub keyvalue_batch_kib: Option<Located<u64>>,
    /// MiB of each key-value store in memory.
    #[schemars(range(min = 1, max = 1_048_576), extend("default" = defaults::KEYVALUE_MEMORY_MIB))]
    pub keyvalue_memory_mib: Option<Located<u64>>,
    /// MiB of each key-value store in an SQLite file.
    #[schemars(range(min = 1, max = 16_777_216), extend("default" = defaults::KEYVALUE_FILE_MIB))]
    pub keyvalue_file_mib: Option<Located<u64>>,
    /// Operations on key-value stores that the app may have at work at once, over all its instances.
    #[schemars(range(min = 1, max = 100_000), extend("default" = defaults::KEYVALUE_WAITING))]
    pub keyvalue_waiting: Option<Located<u64>>,
    /// Milliseconds that an operation on a key-value store may take.
    #[schemars(range(min = 1, max = MS_MAX), extend("default" = defaults::KEYVALUE_MS))]
    pub keyvalue_ms: Option<Located<u64>>,
}

/// What an app may touch beside its settings: nothing that is not named here.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grants {
    /// Origins that the app may send requests to: `https://api.example.com`, `https://*.example.com`,
    /// `http://localhost:9000`.
    pub http: Option<Vec<Located<String>>>,
    /// Services that the app may open TCP connections to: `127.0.0.1:6379`, `db.example.com:5432`. It may look up the
    /// names that stand here, and no others.
    pub tcp: Option<Vec<Located<String>>>,
    /// Services that the app may exchange datagrams with: `192.0.2.1:53`, `time.example.com:123`.
    pub udp: Option<Vec<Located<String>>>,
    /// Networks beside the public Internet that granted names may lead to: `10.0.0.0/8`, `192.168.1.7`. An address that
    /// is granted as such, and `localhost`, need none.
    #[schemars(extend("default" = []))]
    pub networks: Option<Vec<Located<String>>>,
    /// Folders of the host, by the absolute path under which the app sees them.
    pub dirs: Option<Entries<Located<Dir>>>,
    /// Key-value stores, by the names that the app opens them with: `memory`, `sqlite:data/kv.sqlite3` (relative to the
    /// manifest), `redis://127.0.0.1:6379/0`.
    pub keyvalue: Option<Entries<Located<KeyvalueStore>>>,
    /// Environment variables of the app. Those of the host are never passed on.
    pub env: Option<Entries<Located<String>>>,
}

/// A folder of the host that an app sees.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dir {
    /// The folder, relative to the manifest. Needed, unless it is `temporary`.
    pub path: Option<Located<String>>,
    /// Whether the app may write there.
    #[schemars(extend("default" = false))]
    pub write: Option<bool>,
    /// In place of `path`: an empty folder for each instance to write to, which goes with the instance.
    #[schemars(extend("default" = false))]
    pub temporary: Option<Located<bool>>,
}

/// A key-value store: where it is, or a table with that and what goes with it.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum KeyvalueStore {
    /// `memory`, `sqlite:PATH`, `redis://[user[:password]@]host[:port][/database][?prefix=...]` or
    /// `redis+unix:///PATH[?db=0&prefix=...]`. A password is to come from a variable: `${REDIS_PASSWORD}`.
    Url(String),
    Table(KeyvalueTable),
}

/// A key-value store with what goes with it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KeyvalueTable {
    /// Where it is, as in the short form.
    #[schemars(required)]
    pub url: Option<Located<String>>,
    /// What all keys on a Redis server begin with; the app does not see it. By default the names of the app and of the
    /// store, `shop:default:`. Apps with the same prefix share their keys.
    pub prefix: Option<Located<String>>,
}

/// A request that a new generation of an app must answer before it serves.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Probe {
    /// The path that is asked for, with a query if need be: `/healthz`.
    #[schemars(extend("default" = defaults::PROBE_PATH))]
    pub path: Option<Located<String>>,
    /// The status that the answer must have.
    #[schemars(range(min = 100, max = 599), extend("default" = defaults::PROBE_STATUS))]
    pub status: Option<Located<u64>>,
    /// Milliseconds until the head of the answer.
    #[schemars(range(min = 1, max = MS_MAX), extend("default" = defaults::PROBE_WITHIN_MS))]
    pub within_ms: Option<Located<u64>>,
}

/// How new generations of an app are tried, and old ones kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Generations {
    /// Generations that are kept to go back to, beside the one that serves.
    #[schemars(range(min = 0, max = 100), extend("default" = defaults::KEEP))]
    pub keep: Option<Located<u64>>,
    /// Milliseconds that a new generation is on trial: if it fails too often, the house goes back by itself. 0 for no
    /// trial.
    #[schemars(range(min = 0, max = MS_MAX), extend("default" = defaults::TRIAL_MS))]
    pub trial_ms: Option<Located<u64>>,
    /// How many of its requests a generation on trial must at least have failed for that.
    #[schemars(range(min = 1, max = 1_000_000_000), extend("default" = defaults::TRIAL_FAILURES))]
    pub trial_failures: Option<Located<u64>>,
    /// How many percent of its requests these must at least be.
    #[schemars(range(min = 0, max = 100), extend("default" = defaults::TRIAL_PERCENT))]
    pub trial_percent: Option<Located<u64>>,
}
