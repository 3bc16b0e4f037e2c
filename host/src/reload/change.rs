//! What a change of a running house did, and what its state is: the answers of the admin interface, in the words of its
//! OpenAPI document. Nothing here does anything.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How clients are divided between a generation and its canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sticky {
    /// By the client's address, as trusted proxies tell it: the same address is always led to the same generation.
    #[default]
    Address,
    /// By a cookie that the host sets: clients are drawn at random once, and stay.
    Cookie,
}

/// A part of an app's clients for a new generation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryShare {
    /// More than 0, less than 100.
    pub percent: f64,
    #[serde(default)]
    pub sticky: Sticky,
}

/// What to swap in. What is left out stays as it is in the generation that serves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwapRequest {
    /// The digest of a component that was uploaded or is in use: `sha256:` and 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Settings laid over the present ones: tables merge, anything else replaces what stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<serde_json::Map<String, serde_json::Value>>,
    /// Where given, the new generation serves this part of the clients, until `promote` or `abort`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryShare>,
}

/// What to go back to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The number of a generation that is kept. Without it, the last good one before the present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
}

/// A component in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoredComponent {
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    pub bytes: u64,
}

/// What was done with an app's generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A new generation serves.
    Swapped,
    /// There was nothing to change: the generation that serves is the one that was asked for.
    Unchanged,
    /// A new generation serves a part of the clients.
    CanaryBegun,
    /// The canary serves all clients.
    Promoted,
    /// The canary is gone.
    Aborted,
    /// An earlier generation serves again.
    RolledBack,
    /// The app is new.
    Added,
    /// The app is gone.
    Removed,
    /// The app has other routes, or other folders of static files.
    Rerouted,
    /// What was to be swapped in was refused; the old generation serves on.
    Refused,
}

/// What a change did to one app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    pub app: String,
    pub action: Action,
    /// The generation that served before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The generation that serves now, or the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// What of the app differs: `component`, `settings`, `instances`, `limits`, `grants`, `routes`, `static`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
    /// Why it was refused, or what led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Milliseconds by stage: `compile`, `check`, `image`, `start`, `probe`, `save`, and `all`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub took_ms: BTreeMap<String, f64>,
}

/// What a reload of the manifest did. Nothing but what is named here was touched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    pub changes: Vec<Change>,
    /// Listeners that were opened, as URLs.
    pub listeners_added: Vec<String>,
    /// Listeners that were closed, as URLs.
    pub listeners_removed: Vec<String>,
    /// Warnings, and what takes effect only with a restart.
    pub notes: Vec<String>,
    pub took_ms: f64,
}

/// Why a change was not made. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    pub reason: Reason,
    /// What is wrong and how to mend it; of a manifest, the whole report.
    pub message: String,
}

/// Why a change was not made, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The request makes no sense.
    BadRequest,
    /// There is no such app, generation or component.
    NotFound,
    /// The state of the app does not allow it: no canary, nothing to go back to, or the house is ending.
    Conflict,
    /// The upload is too large.
    TooLarge,
    /// The manifest, or what was to be swapped in, is not fit to serve.
    Unfit,
    /// The state folder could not be written: the change would not have survived a restart.
    NotSaved,
}

/// A running house.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub manifest: String,
    /// RFC 3339.
    pub started: String,
    pub uptime_seconds: f64,
    /// URLs.
    pub listeners: Vec<String>,
    pub requests_in_flight: usize,
    /// Connections that are open.
    pub connections: usize,
    /// Connections refused so far because their client had `[server] connections-per-client` already.
    pub connections_refused: u64,
    /// The house is finishing its requests and will end.
    pub draining: bool,
    /// The last reload of the manifest, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reload: Option<LastReload>,
    pub apps: Vec<AppStatus>,
}

/// How the last reload ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastReload {
    /// RFC 3339.
    pub at: String,
    /// What asked for it: `watch`, `SIGHUP` or `admin`.
    pub by: String,
    /// Why it was refused, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// One app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppStatus {
    pub name: String,
    pub routes: Vec<String>,
    pub serving: GenerationStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStatus>,
    /// What can be gone back to, the latest number first.
    pub kept: Vec<GenerationStatus>,
    /// Generations that finish their last requests.
    pub draining: Vec<DrainingStatus>,
    /// What the host answered with static files, in place of the app; only where the app has folders of them.
    #[serde(default, rename = "static", skip_serializing_if = "Option::is_none")]
    pub statics: Option<StaticStatus>,
    /// Whether the component or the settings are not the manifest's, because of a swap or a rollback.
    pub differs_from_manifest: bool,
    /// What was last refused or undone, until a swap succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// A generation that serves a part of the clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryStatus {
    pub share: CanaryShare,
    pub generation: GenerationStatus,
}

/// One generation of an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GenerationStatus {
    pub number: u64,
    /// `sha256:` and 64 hexadecimal digits.
    pub component: String,
    /// RFC 3339: when it was made.
    pub since: String,
    /// What made it: `start`, `manifest`, `swap`.
    pub origin: String,
    /// Why the host went back from it by itself, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Whether instances start from an image of the initialised app; only with `instances.snapshot = true`, and not
    /// known of a kept generation that has not served since the house started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageStatus>,
    /// Requests that were led to it.
    pub requests: u64,
    /// Requests of those that it failed: traps, time-outs, and answers that the host had to make in its place.
    pub failures: u64,
    /// Requests that were not served whole, whoever's doing it was, and what instances were refused, by the cause that the log
    /// names: `cpu-limit`, `queue-full`, `trapped`, `files-limit` and their like.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub causes: BTreeMap<String, u64>,
    /// Milliseconds until the head of the answer.
    pub latency_ms: Latency,
    pub in_flight: usize,
    pub waiting: usize,
    pub instances: usize,
    /// Its outgoing requests, open sockets and look-ups of names at this moment.
    #[serde(default)]
    pub outgoing: usize,
    /// Outgoing calls that were refused, for want of a grant or over a limit.
    #[serde(default)]
    pub refused: u64,
    /// Operations on key-value stores that were refused, for want of a grant or over a limit.
    #[serde(default)]
    pub keyvalue_refused: u64,
    /// Bytes of memory that its instances have been given.
    #[serde(default)]
    pub memory_bytes: usize,
    /// How often an instance was refused more memory, for what all have together.
    #[serde(default)]
    pub memory_refused: u64,
    /// Lines that its instances printed and that were not logged, being too many.
    #[serde(default)]
    pub lines_dropped: u64,
    /// It crashes again and again: requests are turned away for this long, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_ms: Option<u64>,
}

/// Whether instances start from an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageStatus {
    pub taken: bool,
    /// Why they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Times until the head of the answer, in milliseconds; at most a fifth above the true value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

/// A generation that finishes its last requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrainingStatus {
    pub number: u64,
    pub in_flight: usize,
}

/// Requests that were answered with static files of an app, since the house began. No generation counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StaticStatus {
    /// Answered with a file, or with what is to be known of it.
    pub requests: u64,
    /// A file was there, but could not be read, or not to its end.
    pub failures: u64,
    /// Turned away, because `static-files` were being sent already.
    pub refused: u64,
    /// Answers that are being sent at this moment.
    pub in_flight: usize,
}

/// Something that an operator should look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trouble {
    /// RFC 3339.
    pub at: String,
    pub message: String,
}
