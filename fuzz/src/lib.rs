//! The modules of the host that need no wasmtime, and the fuzz targets over them.
//!
//! They are the host's own files under its own names, so that what is fuzzed is what serves; without wasmtime and cranelift a
//! fuzzer's build takes a minute instead of half an hour. The suite runs the same targets over the whole host: see
//! `host/tests/fuzz.rs`.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "the rest of the host uses what is not used here"
)]

extern crate self as guesthouse;

pub mod engine;
#[path = "../../host/src/forwarded.rs"]
pub mod forwarded;
#[path = "../../host/src/manifest/mod.rs"]
pub mod manifest;
#[path = "../../host/src/plan/mod.rs"]
pub mod plan;
pub mod reload;
#[path = "../../host/src/report.rs"]
pub mod report;
#[path = "../../host/src/router/mod.rs"]
pub mod router;
#[path = "../../host/src/secrets/mod.rs"]
pub mod secrets;
#[path = "../../host/src/settings/mod.rs"]
pub mod settings;
pub mod targets;
