//! What the host keeps for one instance: its view of WASI, its settings, its limits.
//!
//! A [`Template`] is made once per generation and route overlay; each instance is born from it with nothing of another
//! instance. Everything that a guest may touch is named by the manifest's grants.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wasmtime::{Store, UpdateDeadline, component::ResourceTable};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, sockets::WasiSocketsCtxView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView, handler::ProxyPre};

use super::{
    clocks,
    command::Command,
    control::Control,
    exchange::Failure,
    files::Files,
    hashing::{Hashing, HashingView},
    keyvalue,
    limiter::Limiter,
    outgoing::{self, Access, Hooks, Reached},
    output::Output,
};
use crate::{
    bindings::{SecretsData, SecretsView, SettingsView, View},
    engine::{self, Linked, Room},
    generation::{Folder, Lines, Living, Stats},
    keyvalue::Granted,
    plan::{self, Grants, Limits},
    secrets::Secrets,
    settings::Settings,
};

/// How long a request waits for room for its instance.
const ROOM_PATIENCE: Duration = Duration::from_secs(1);

/// Whose instance this is, for log lines.
#[derive(Debug)]
pub struct Identity {
    pub app: Arc<str>,
    pub generation: u64,
    /// The request that the instance began last.
    request: AtomicU64,
    printing: Printing,
}

/// How much may be printed, together with all that have the same lines.
#[derive(Debug)]
pub struct Printing {
    pub lines: Arc<Lines>,
    pub per_second: usize,
}

impl Default for Printing {
    fn default() -> Self {
        Self { lines: Arc::default(), per_second: plan::log_lines() }
    }
}

impl Identity {
    pub(crate) fn new(app: Arc<str>, generation: u64, printing: Printing) -> Self {
        Self { app, generation, request: AtomicU64::new(0), printing }
    }

    /// Whether a line of so many bytes is logged.
    pub(super) fn may_print(&self, bytes: usize) -> bool {
        let Printing { lines, per_second } = &self.printing;
        lines.take(bytes, *per_second, &self.app)
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
    pub secrets: Secrets,
    pub limits: Limits,
    pub grants: Grants,
    /// The stores of `grants.keyvalue`.
    pub keyvalue: Arc<Granted>,
    pub stats: Arc<Stats>,
    /// Ends what still runs of the generation.
    pub cut: CancellationToken,
    /// Where the instance is to run a command and serves no requests.
    pub command: Option<Command>,
}

impl Template {
    /// Room for an instance. Where apps have taken all that they share, it is waited for: whoever were refused at once would
    /// only ask again, and keep the threads that serve busy with refusals.
    ///
    /// # Errors
    /// [`Failure::NoRoom`] after [`ROOM_PATIENCE`].
    pub(super) async fn room(&self, control: &Control) -> Result<Room, Failure> {
        let (slots, own) = (&self.engine.slots, &self.stats.own_instances);
        if let Some(room) = slots.take(own, self.linked.slots) {
            return Ok(room);
        }
        let found = control.crowding(timeout(ROOM_PATIENCE, slots.wait(own, self.linked.slots))).await;
        found.ok().flatten().ok_or_else(|| Failure::NoRoom("apps have taken all that they share".into()))
    }

    /// A new store with nothing in it but what the template grants.
    ///
    /// # Errors
    /// When a granted directory cannot be opened any more.
    pub(super) fn store(
        self: &Arc<Self>,
        pre: &ProxyPre<Guest>,
        control: &Arc<Control>,
        room: Room,
    ) -> anyhow::Result<Store<Guest>> {
        let printing = Printing { lines: self.stats.lines.clone(), per_second: self.limits.log_lines };
        let identity = Arc::new(Identity::new(self.app.clone(), self.generation, printing));
        // The one of wasmtime's engines that the component was compiled for.
        let wasmtime = match pre {
            ProxyPre::P2(pre) => pre.engine(),
            ProxyPre::P3(pre) => pre.engine(),
        };
        let mut table = ResourceTable::new();
        table.set_max_capacity(self.limits.handles);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(self.limits.fields_bytes);
        let access = Access::new(self.clone());
        let temporary = self.temporary()?;
        let reached = Reached::new(access.clone());
        let guest = Guest {
            table,
            wasi: self.wasi(&identity, &reached, &temporary)?,
            http,
            hooks: Hooks::new(access),
            reached,
            files: Files::new(self.clone()),
            limiter: Limiter::of(self.clone()),
            template: self.clone(),
            identity,
            control: control.clone(),
            _living: self.stats.instance(),
            _room: room,
            _temporary: temporary,
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

    /// A folder for each that is granted as temporary.
    fn temporary(&self) -> anyhow::Result<Vec<Folder>> {
        let granted = self.grants.dirs.iter().filter(|(_, dir)| dir.temporary);
        let made = granted.map(|(guest_path, _)| {
            self.stats.temporary.folder().with_context(|| format!("making a folder for {guest_path}"))
        });
        made.collect()
    }

    fn wasi(
        &self,
        identity: &Arc<Identity>,
        reached: &Reached,
        temporary: &[Folder],
    ) -> anyhow::Result<WasiCtx> {
        let mut wasi = WasiCtxBuilder::new();
        match &self.command {
            None => {
                wasi.stdout(Output::new("stdout", identity.clone()));
                wasi.stderr(Output::new("stderr", identity.clone()));
            }
            Some(command) => {
                wasi.inherit_stdio().args(&command.args);
            }
        }
        wasi.wall_clock(clocks::Wall).monotonic_clock(clocks::Monotonic::new());
        for (name, value) in &self.grants.env {
            wasi.env(name, value);
        }
        let mut temporary = temporary.iter().map(Folder::path);
        for (guest_path, dir) in &self.grants.dirs {
            let path = if dir.temporary { temporary.next() } else { None }.unwrap_or(&dir.path);
            let permissions = if dir.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            wasi.preopened_dir(path, guest_path, permissions)
                .map_err(anyhow::Error::from)
                .with_context(|| format!("opening {}, granted as {guest_path}", path.display()))?;
        }
        reached.guard(&mut wasi);
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
    reached: Reached,
    files: Files,
    limiter: Limiter,
    template: Arc<Template>,
    identity: Arc<Identity>,
    control: Arc<Control>,
    _living: Living,
    _room: Room,
    /// Gone after all that has files open in them.
    _temporary: Vec<Folder>,
}

impl SettingsView for Guest {
    fn settings(&mut self) -> View<'_> {
        let Template { settings, generation, command, .. } = &*self.template;
        View {
            settings,
            generation: *generation,
            terminal: command.as_ref().map(|command| &command.terminal),
        }
    }
}

impl SecretsView for Guest {
    fn secrets(&mut self) -> SecretsData<'_> {
        SecretsData { secrets: &self.template.secrets, table: &mut self.table }
    }
}

impl HashingView for Guest {
    fn hashing(&mut self) -> Hashing {
        Hashing::of(self.limiter.left(), self.template.clone(), self.control.clone())
    }
}

impl Guest {
    /// A new request begins: its computing time counts from nothing.
    pub(super) fn begin(&mut self, request: u64) {
        self.control.count_anew();
        self.identity.begin(request);
    }

    pub(super) fn outgoing(&mut self) -> outgoing::View<'_> {
        let sockets = WasiSocketsCtxView { ctx: self.wasi.sockets(), table: &mut self.table };
        outgoing::View { reached: &mut self.reached, sockets }
    }

    pub(super) fn files(&mut self) -> &mut Files {
        &mut self.files
    }

    pub(super) fn keyvalue(&mut self) -> keyvalue::View<'_> {
        keyvalue::View { table: &mut self.table, template: &self.template }
    }

    pub(super) fn template(&self) -> &Arc<Template> {
        &self.template
    }

    pub(super) fn limiter(&self) -> &Limiter {
        &self.limiter
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
