//! What an app finds around it while its image is taken: its settings, the names of its
//! secrets, its environment, clocks, random numbers and its
//! output. Files, sockets and outgoing requests are not there: such a call ends it, and is named.

use std::sync::Arc;

use anyhow::{Context, Result};
use wasmtime::component::{Component, Linker, ResourceTable, types::ComponentItem};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use super::Initial;
use crate::{
    bindings::{SecretsData, SecretsView, SettingsView, View},
    engine::{WASI_0_2, WASI_0_3},
    instance::{Hashing, HashingView, Limiter},
    secrets::Secrets,
    settings::Settings,
};

/// Interfaces of which every function is refused, without their versions; those that end with `/` are packages.
const REFUSED: [&str; 5] = [
    "wasi:filesystem/types",
    "wasi:sockets/",
    "wasi:http/outgoing-handler",
    "wasi:http/client",
    "wasi:keyvalue/",
];
/// Functions that are refused beside these: the number is another one in each generation, and the image may be the same; a
/// secret would be in the image, and the process that takes it is not told any.
const REFUSED_ALONE: [(&str, &str); 2] =
    [("guesthouse:settings/settings", "generation"), ("guesthouse:secrets/secrets", "[method]secret.reveal")];
/// How versions of WASI begin, and those that the linker has.
const WASI_VERSIONS: [(&str, &str); 2] = [("0.2.", WASI_0_2), ("0.3.", WASI_0_3)];

/// The end of a guest that called what is not there while its image is taken.
#[derive(Debug, thiserror::Error)]
#[error("it called {0} while its image was taken")]
pub(super) struct Refused(String);

/// The data of the store.
pub(super) struct Host {
    pub(super) table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NoRequests,
    settings: Arc<Settings>,
    /// Without their values.
    secrets: Secrets,
    pub(super) limiter: Limiter,
}

impl Host {
    /// # Errors
    /// When a granted directory cannot be opened.
    pub(super) fn new(initial: &Initial) -> Result<Self> {
        let mut wasi = WasiCtxBuilder::new();
        // The parent logs both.
        wasi.inherit_stdout().inherit_stderr().allow_tcp(false).allow_udp(false);
        for (name, value) in &initial.env {
            wasi.env(name, value);
        }
        let empty = std::env::temp_dir();
        for (guest_path, dir) in &initial.dirs {
            // Nothing is read from any of them while an image is taken.
            let path = if dir.temporary { &empty } else { &dir.path };
            wasi.preopened_dir(path, guest_path, FsPerms::ReadOnly)
                .map_err(anyhow::Error::from)
                .with_context(|| format!("opening {}, granted as {guest_path}", path.display()))?;
        }
        Ok(Self {
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks: NoRequests,
            settings: initial.settings.clone(),
            secrets: initial.secrets.clone(),
            limiter: Limiter::new(initial.memory_bytes),
        })
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

impl SettingsView for Host {
    fn settings(&mut self) -> View<'_> {
        View { settings: &self.settings, generation: 0, terminal: None }
    }
}

impl SecretsView for Host {
    fn secrets(&mut self) -> SecretsData<'_> {
        SecretsData { secrets: &self.secrets, table: &mut self.table }
    }
}

impl HashingView for Host {
    fn hashing(&mut self) -> Hashing {
        Hashing::alone(self.limiter.left())
    }
}

/// Outgoing requests are refused before they come here.
struct NoRequests;

impl WasiHttpHooks for NoRequests {}

/// Puts a function that refuses in the place of every one that the component imports and that is not to be called.
pub(super) fn refuse(linker: &mut Linker<Host>, component: &Component) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let engine = component.engine();
    for (import, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else { continue };
        let (interface, version) = import.split_once('@').unwrap_or((import, ""));
        // A draft is compatible with nothing but itself.
        let known =
            WASI_VERSIONS.iter().find(|(line, _)| version.starts_with(line) && !version.contains('-'));
        let offered = match known {
            Some((_, offered)) if interface.starts_with("wasi:") => format!("{interface}@{offered}"),
            _ => import.to_owned(),
        };
        let all = REFUSED.iter().any(|refused| {
            *refused == interface || (refused.ends_with('/') && interface.starts_with(refused))
        });
        for (name, item) in instance.exports(engine) {
            let ComponentItem::ComponentFunc(function) = item.ty else { continue };
            if !all && !REFUSED_ALONE.contains(&(interface, name)) {
                continue;
            }
            // `[method]tcp-socket.start-connect` is `start-connect` for who wrote the guest.
            let plain = name.rsplit(['.', ']']).next().unwrap_or(name);
            let called = format!("{interface} {plain}");
            let mut offered = linker.instance(&offered)?;
            if function.async_() {
                offered.func_new_concurrent(name, move |_, _, _, _| {
                    let refused = Refused(called.clone());
                    Box::pin(async move { Err(refused.into()) })
                })?;
            } else {
                offered.func_new(name, move |_, _, _, _| Err(Refused(called.clone()).into()))?;
            }
        }
    }
    Ok(())
}
