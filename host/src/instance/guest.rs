//! What the host keeps for one instance: its view of WASI, its settings, its limits.
//!
//! A [`Template`] is made once per generation and route overlay; each instance is born from it with nothing of another
//! instance. Everything that a guest may touch is named by the manifest's grants.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Context as _;
use http::{HeaderName, Uri};
use tokio_util::sync::CancellationToken;
use wasmtime::{Store, UpdateDeadline, component::ResourceTable};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error as HttpError, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
    handler::ProxyPre,
};

use super::{control::Control, limiter::Limiter, output::Output};
use crate::{
    bindings::{SettingsView, View},
    engine::{self, Linked},
    generation::{Living, Stats},
    plan::{Grants, Limits, Origin},
    settings::Settings,
};

/// Handles to host resources (streams, bodies, files) that one instance may hold at once.
const RESOURCES_MAX: usize = 10_000;

/// Whose instance this is, for log lines.
#[derive(Debug)]
pub struct Identity {
    pub app: Arc<str>,
    pub generation: u64,
    /// The request that the instance began last.
    request: AtomicU64,
}

impl Identity {
    pub(crate) fn new(app: Arc<str>, generation: u64) -> Self {
        Self { app, generation, request: AtomicU64::new(0) }
    }

    pub fn current(&self) -> u64 {
        self.request.load(Ordering::Relaxed)
    }

    pub fn begin(&self, request: u64) {
        self.request.store(request, Ordering::Relaxed);
    }
}

/// All that instances of one generation and one route overlay have in common.
pub struct Template {
    pub app: Arc<str>,
    pub generation: u64,
    pub engine: Arc<engine::Engine>,
    pub linked: Arc<Linked>,
    pub settings: Arc<Settings>,
    pub limits: Limits,
    pub grants: Grants,
    pub stats: Arc<Stats>,
    /// Ends what still runs of the generation.
    pub cut: CancellationToken,
}

impl Template {
    /// A new store with nothing in it but what the template grants.
    ///
    /// # Errors
    /// When a granted directory cannot be opened any more.
    pub(super) fn store(
        self: &Arc<Self>,
        pre: &ProxyPre<Guest>,
        control: &Arc<Control>,
    ) -> anyhow::Result<Store<Guest>> {
        let identity = Arc::new(Identity::new(self.app.clone(), self.generation));
        // The one of wasmtime's engines that the component was compiled for.
        let wasmtime = match pre {
            ProxyPre::P2(pre) => pre.engine(),
            ProxyPre::P3(pre) => pre.engine(),
        };
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let guest = Guest {
            table,
            wasi: self.wasi(&identity)?,
            http: WasiHttpCtx::new(),
            hooks: Hooks { template: self.clone() },
            limiter: Limiter::new(self.limits.memory_bytes),
            template: self.clone(),
            identity,
            control: control.clone(),
            _living: self.stats.instance(),
        };
        let mut store = Store::new(wasmtime, guest);
        store.limiter(|guest| &mut guest.limiter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            let guest = store.data_mut();
            if guest.control.computed() > guest.template.limits.cpu {
                return Err(OutOfTime.into());
            }
            // The tick may have come just after the guest was given its core.
            Ok(if guest.control.yields() { UpdateDeadline::Yield(1) } else { UpdateDeadline::Continue(1) })
        });
        Ok(store)
    }

    fn wasi(&self, identity: &Arc<Identity>) -> anyhow::Result<WasiCtx> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(Output::new("stdout", identity.clone()));
        wasi.stderr(Output::new("stderr", identity.clone()));
        wasi.allow_udp(false);
        for (name, value) in &self.grants.env {
            wasi.env(name, value);
        }
        for (guest_path, dir) in &self.grants.dirs {
            let permissions = if dir.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            wasi.preopened_dir(&dir.path, guest_path, permissions)
                .map_err(anyhow::Error::from)
                .with_context(|| format!("opening {}, granted as {guest_path}", dir.path.display()))?;
        }
        let addresses = self.grants.tcp.clone();
        wasi.allow_tcp(!addresses.is_empty());
        let app = self.app.clone();
        wasi.socket_addr_check(move |address, usage| {
            use wasmtime_wasi::sockets::SocketAddrUse;
            let allowed = match usage {
                SocketAddrUse::TcpConnect => addresses.contains(&address),
                // wasmtime binds the unspecified address on its own before it connects.
                SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
                _ => false,
            };
            if !allowed {
                tracing::warn!(
                    app = &*app,
                    "refused a TCP connection to {address}: grant it with `grants.tcp = [\"{address}\"]`"
                );
            }
            Box::pin(async move { allowed })
        });
        Ok(wasi.build())
    }
}

/// The trap of a guest that computed longer than its limit.
#[derive(Debug, thiserror::Error)]
#[error("the guest computed longer than its limit")]
pub(super) struct OutOfTime;

/// The data of one store.
pub struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    limiter: Limiter,
    template: Arc<Template>,
    identity: Arc<Identity>,
    control: Arc<Control>,
    _living: Living,
}

impl SettingsView for Guest {
    fn settings(&mut self) -> View<'_> {
        View { settings: &self.template.settings, generation: self.template.generation }
    }
}

impl Guest {
    /// A new request begins: its computing time counts from nothing.
    pub(super) fn begin(&mut self, request: u64) {
        self.control.count_anew();
        self.identity.begin(request);
    }

    pub(super) fn memory_refused(&self) -> bool {
        self.limiter.refused()
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Checks outgoing HTTP requests against the grants before anything is resolved or connected.
struct Hooks {
    template: Arc<Template>,
}

impl Hooks {
    fn granted(&self, uri: &Uri) -> bool {
        let scheme = uri.scheme().unwrap_or(&http::uri::Scheme::HTTPS);
        let default_port = if *scheme == http::uri::Scheme::HTTP { 80 } else { 443 };
        let Some(host) = uri.host() else { return false };
        let host = host.to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(default_port);
        self.template.grants.http.iter().any(|origin| origin.matches(scheme, &host, port))
    }
}

impl Origin {
    /// Whether a request to this scheme, lower-case host and port is within the grant.
    pub fn matches(&self, scheme: &http::uri::Scheme, host: &str, port: u16) -> bool {
        let host_matches = if self.wildcard {
            host.strip_suffix(self.host.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        } else {
            host == self.host
        };
        host_matches && *scheme == self.scheme && port == self.port
    }
}

type SendResult =
    Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), HttpError>> + Send>), HttpError>;

/// In one place, where wasmtime's own look would make the list anew for each field of each request.
static FORBIDDEN_FIELDS: [HeaderName; 9] = wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        FORBIDDEN_FIELDS.contains(name)
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), HttpError>> + Send>,
    ) -> Box<dyn Future<Output = SendResult> + Send> {
        if !self.granted(request.uri()) {
            let app = &*self.template.app;
            let uri = request.uri();
            let origin = format!(
                "{}://{}",
                uri.scheme_str().unwrap_or("https"),
                uri.authority().map_or("", |a| a.as_str())
            );
            tracing::warn!(
                app,
                "refused a request to {origin}: grant it with `grants.http = [\"{origin}\"]`"
            );
            return Box::new(async { Err(HttpError::HttpRequestDenied) });
        }
        Box::new(async move {
            use http_body_util::BodyExt;
            let (response, io) = wasmtime_wasi_http::default_send_request(request, options).await?;
            Ok((response.map(BodyExt::boxed_unsync), Box::new(io) as Box<dyn Future<Output = _> + Send>))
        })
    }
}
