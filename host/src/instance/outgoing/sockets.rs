//! Sockets of guests, and the names that they look up: `wasi:sockets` 0.2 and 0.3 as wasmtime has them, but for three things.
//!
//! Only granted names are resolved, and only to addresses that the app may connect to. What a name of a service resolved to
//! is remembered, since a guest connects to addresses: it may connect to that service at that address, and nowhere else. And
//! open sockets are counted against the app's limit.

use std::{
    collections::{HashMap, VecDeque},
    future::ready,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    vec,
};

use futures::FutureExt;
use tokio::time::timeout;
use wasmtime::{
    Result, StoreContextMut,
    component::{Accessor, HasData, Linker, Resource, ResourceType},
};
use wasmtime_wasi::{
    WasiCtxBuilder,
    p2::{
        self, DynPollable, Pollable, SocketError, SocketResult,
        bindings::sockets::{
            ip_name_lookup::{self as names_2, ResolveAddressStream},
            network::{self, ErrorCode, IpAddress, IpAddressFamily, Network},
            tcp_create_socket as tcp_2, udp_create_socket as udp_2,
        },
        subscribe,
    },
    p3::bindings::sockets::{ip_name_lookup as names_3, types as types_3},
    sockets::{SocketAddrUse, TcpSocket, UdpSocket, WasiSocketsCtxView},
};

use super::{Access, streams};
use crate::{
    engine::{WASI_0_2, WASI_0_3},
    instance::Guest,
    outgoing::LookupError,
    plan::{RemoteHost, Service},
    taken::Slot,
};

/// Addresses with their names that an instance remembers, the latest.
const REMEMBERED: usize = 256;

/// What one instance has of sockets and of names.
pub(in crate::instance) struct Reached {
    access: Access,
    names: Arc<Names>,
    /// By the number that the socket has in the store's table.
    sockets: HashMap<u32, Arc<Slot>>,
}

/// Addresses, each with the granted name that it was found by.
#[derive(Default)]
struct Names(Mutex<VecDeque<(RemoteHost, IpAddr)>>);

impl Names {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(RemoteHost, IpAddr)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, name: &RemoteHost, addresses: &[IpAddr]) {
        let mut known = self.lock();
        for address in addresses {
            let one = (name.clone(), *address);
            known.retain(|other| *other != one);
            known.push_back(one);
        }
        let surplus = known.len().saturating_sub(REMEMBERED);
        known.drain(..surplus);
    }

    /// Whether one of the services is at this address.
    fn lead_to(&self, services: &[Service], address: SocketAddr) -> bool {
        let (ip, port) = (address.ip().to_canonical(), address.port());
        let literal = RemoteHost::Address(ip);
        services.iter().any(|service| service.includes(&literal, port))
            || self.lock().iter().any(|(name, known)| {
                *known == ip && services.iter().any(|service| service.includes(name, port))
            })
    }
}

impl Reached {
    pub(in crate::instance) fn new(access: Access) -> Self {
        Self { access, names: Arc::default(), sockets: HashMap::new() }
    }

    /// The place that a socket takes.
    pub(super) fn place_of(&self, socket: &Resource<TcpSocket>) -> Option<Arc<Slot>> {
        self.sockets.get(&socket.rep()).cloned()
    }

    /// Has every use of an address checked. Sockets can be made by any guest, so that it is the address which is refused and
    /// named in the log.
    pub(in crate::instance) fn guard(&self, wasi: &mut WasiCtxBuilder) {
        let (access, names) = (self.access.clone(), self.names.clone());
        wasi.allow_tcp(true).allow_udp(true);
        wasi.socket_addr_check(move |address, usage| Box::pin(ready(access.may_use(&names, address, usage))));
    }
}

impl Access {
    fn may_use(&self, names: &Names, address: SocketAddr, usage: SocketAddrUse) -> bool {
        let grants = &self.0.grants;
        let (key, services) = match usage {
            SocketAddrUse::TcpConnect => ("tcp", &grants.tcp),
            SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => ("udp", &grants.udp),
            // A socket is bound like this before it connects or sends, by the guest or on its own.
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind
                if address.ip().is_unspecified() && address.port() == 0 =>
            {
                return true;
            }
            _ => {
                self.refuse("to listen at", address, "the house alone takes connections in");
                return false;
            }
        };
        if names.lead_to(services, address) {
            return true;
        }
        // What others send to an open port is dropped, and is no doing of the guest's.
        if !matches!(usage, SocketAddrUse::UdpReceive) {
            let what = if key == "tcp" { "a TCP connection to" } else { "datagrams to" };
            self.refuse(what, address, format_args!("grant it with `grants.{key} = [\"{address}\"]`"));
        }
        false
    }

    /// Resolves a name for a guest.
    async fn look_up(self, names: Arc<Names>, name: String) -> Result<Vec<IpAddr>, Unresolved> {
        let host = match name.parse::<Ipv6Addr>() {
            Ok(address) => RemoteHost::Address(IpAddr::V6(address)),
            Err(_) => RemoteHost::parse(&name).map_err(|_| Unresolved::Invalid)?,
        };
        // Whoever connects to an address is asked then whether that is granted.
        if let RemoteHost::Address(address) = host {
            return Ok(vec![address]);
        }
        let grants = &self.0.grants;
        if !grants.tcp.iter().chain(&grants.udp).any(|service| service.host.includes(&host)) {
            let help = format!("grant it with its port, as in `grants.tcp = [\"{host}:PORT\"]`");
            self.refuse("to look up", &host, help);
            return Err(Unresolved::Denied);
        }
        let slot = Arc::new(self.slot("a look-up").ok_or(Unresolved::Later)?);
        let found = timeout(self.0.limits.outgoing_wait, self.resolve(&host, slot)).await;
        let addresses = found.map_err(|_| Unresolved::Later)?.map_err(|error| match error {
            LookupError::Unknown => Unresolved::Unknown,
            LookupError::Prohibited(_) => Unresolved::Denied,
        })?;
        names.remember(&host, &addresses);
        Ok(addresses)
    }
}

/// Why a guest gets no address for a name.
#[derive(Clone, Copy)]
enum Unresolved {
    Invalid,
    Denied,
    Unknown,
    Later,
}

impl From<Unresolved> for ErrorCode {
    fn from(why: Unresolved) -> Self {
        match why {
            Unresolved::Invalid => Self::InvalidArgument,
            Unresolved::Denied => Self::AccessDenied,
            Unresolved::Unknown => Self::NameUnresolvable,
            Unresolved::Later => Self::TemporaryResolverFailure,
        }
    }
}

impl From<Unresolved> for names_3::ErrorCode {
    fn from(why: Unresolved) -> Self {
        match why {
            Unresolved::Invalid => Self::InvalidArgument,
            Unresolved::Denied => Self::AccessDenied,
            Unresolved::Unknown => Self::NameUnresolvable,
            Unresolved::Later => Self::TemporaryResolverFailure,
        }
    }
}

/// The part of a store's data that these interfaces work on.
pub(crate) struct View<'a> {
    pub(in crate::instance) reached: &'a mut Reached,
    pub(in crate::instance) sockets: WasiSocketsCtxView<'a>,
}

struct HasView;

impl HasData for HasView {
    type Data<'a> = View<'a>;
}

/// Puts these interfaces in the place of wasmtime's own.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>, concurrent: bool) -> Result<()> {
    linker.allow_shadowing(true);
    names_2::add_to_linker::<Guest, HasView>(linker, Guest::outgoing)?;
    tcp_2::add_to_linker::<Guest, HasView>(linker, Guest::outgoing)?;
    udp_2::add_to_linker::<Guest, HasView>(linker, Guest::outgoing)?;
    let mut tcp = linker.instance(&format!("wasi:sockets/tcp@{WASI_0_2}"))?;
    tcp.resource("tcp-socket", ResourceType::host::<p2::TcpSocket>(), drop_socket::<p2::TcpSocket>)?;
    let mut udp = linker.instance(&format!("wasi:sockets/udp@{WASI_0_2}"))?;
    udp.resource("udp-socket", ResourceType::host::<p2::UdpSocket>(), drop_socket::<p2::UdpSocket>)?;
    if concurrent {
        names_3::add_to_linker::<Guest, HasView>(linker, Guest::outgoing)?;
        let mut types = linker.instance(&format!("wasi:sockets/types@{WASI_0_3}"))?;
        types.resource("tcp-socket", ResourceType::host::<TcpSocket>(), drop_socket::<TcpSocket>)?;
        types.resource("udp-socket", ResourceType::host::<UdpSocket>(), drop_socket::<UdpSocket>)?;
        types.func_wrap("[method]tcp-socket.receive", |store, (socket,)| {
            Ok((streams::receive(store, &socket)?,))
        })?;
        types.func_wrap("[method]tcp-socket.send", |store, (socket, data)| {
            Ok((streams::send(store, &socket, data)?,))
        })?;
        types.func_wrap(
            "[static]tcp-socket.create",
            |mut store, (family,): (types_3::IpAddressFamily,)| {
                Ok((store.data_mut().outgoing().tcp_3(family)?,))
            },
        )?;
        types.func_wrap_async("[static]udp-socket.create", |mut store, (family,)| {
            Box::new(async move { Ok((store.data_mut().outgoing().udp_3(family).await?,)) })
        })?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

fn drop_socket<S: Send + 'static>(mut store: StoreContextMut<'_, Guest>, number: u32) -> Result<()> {
    let view = store.data_mut().outgoing();
    view.sockets.table.delete(Resource::<S>::new_own(number))?;
    view.reached.sockets.remove(&number);
    Ok(())
}

impl View<'_> {
    fn slot(&self) -> Option<Slot> {
        self.reached.access.slot("a socket")
    }

    fn tcp_3(
        &mut self,
        family: types_3::IpAddressFamily,
    ) -> Result<Result<Resource<TcpSocket>, types_3::ErrorCode>> {
        let Some(slot) = self.slot() else { return Ok(Err(too_many())) };
        match types_3::HostTcpSocket::create(&mut self.sockets, family) {
            Ok(socket) => {
                self.reached.sockets.insert(socket.rep(), Arc::new(slot));
                Ok(Ok(socket))
            }
            Err(error) => Ok(Err(error.downcast()?)),
        }
    }

    async fn udp_3(
        &mut self,
        family: types_3::IpAddressFamily,
    ) -> Result<Result<Resource<UdpSocket>, types_3::ErrorCode>> {
        let Some(slot) = self.slot() else { return Ok(Err(too_many())) };
        match types_3::HostUdpSocket::create(&mut self.sockets, family).await {
            Ok(socket) => {
                self.reached.sockets.insert(socket.rep(), Arc::new(slot));
                Ok(Ok(socket))
            }
            Err(error) => Ok(Err(error.downcast()?)),
        }
    }
}

/// WASI 0.3 has no error of its own for it.
fn too_many() -> types_3::ErrorCode {
    types_3::ErrorCode::Other(Some("new-socket-limit".to_owned()))
}

impl tcp_2::Host for View<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<p2::TcpSocket>> {
        let slot = self.slot().ok_or(ErrorCode::NewSocketLimit)?;
        let socket = tcp_2::Host::create_tcp_socket(&mut self.sockets, family)?;
        self.reached.sockets.insert(socket.rep(), Arc::new(slot));
        Ok(socket)
    }
}

impl udp_2::Host for View<'_> {
    async fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<p2::UdpSocket>> {
        let slot = self.slot().ok_or(ErrorCode::NewSocketLimit)?;
        let socket = udp_2::Host::create_udp_socket(&mut self.sockets, family).await?;
        self.reached.sockets.insert(socket.rep(), Arc::new(slot));
        Ok(socket)
    }
}

impl network::Host for View<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> Result<Option<ErrorCode>> {
        network::Host::network_error_code(&mut self.sockets, error)
    }
}

impl network::HostNetwork for View<'_> {
    fn drop(&mut self, network: Resource<Network>) -> Result<()> {
        network::HostNetwork::drop(&mut self.sockets, network)
    }
}

type Asking = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, Unresolved>> + Send>>;

/// A look-up that goes on beside the guest, and then its addresses one by one. For guests it is a [`ResolveAddressStream`],
/// which only wasmtime itself can make.
struct Lookup {
    asking: Option<Asking>,
    found: Result<vec::IntoIter<IpAddr>, Unresolved>,
}

impl Lookup {
    fn of(resource: &Resource<ResolveAddressStream>) -> Resource<Self> {
        Resource::new_borrow(resource.rep())
    }

    async fn done(&mut self) -> &mut Result<vec::IntoIter<IpAddr>, Unresolved> {
        if let Some(asking) = &mut self.asking {
            self.found = asking.await.map(Vec::into_iter);
            self.asking = None;
        }
        &mut self.found
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        self.done().await;
    }
}

impl names_2::Host for View<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        self.sockets.table.get(&network)?;
        let asking = self.reached.access.clone().look_up(self.reached.names.clone(), name);
        let mut lookup = Lookup { asking: Some(Box::pin(asking)), found: Ok(Vec::new().into_iter()) };
        // What is refused is said at once.
        if let Some(Err(why)) = lookup.done().now_or_never() {
            return Err(ErrorCode::from(*why).into());
        }
        let lookup = self.sockets.table.push(lookup)?;
        Ok(Resource::new_own(lookup.rep()))
    }
}

impl names_2::HostResolveAddressStream for View<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        let lookup = self.sockets.table.get_mut(&Lookup::of(&stream))?;
        match lookup.done().now_or_never() {
            None => Err(ErrorCode::WouldBlock.into()),
            Some(Ok(found)) => Ok(found.next().map(IpAddress::from)),
            Some(Err(why)) => Err(ErrorCode::from(*why).into()),
        }
    }

    fn subscribe(&mut self, stream: Resource<ResolveAddressStream>) -> Result<Resource<DynPollable>> {
        subscribe(self.sockets.table, Lookup::of(&stream))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> Result<()> {
        self.sockets.table.delete(Resource::<Lookup>::new_own(stream.rep()))?;
        Ok(())
    }
}

impl names_3::Host for View<'_> {}

impl<T> names_3::HostWithStore<T> for HasView {
    async fn resolve_addresses(
        store: &Accessor<T, Self>,
        name: String,
    ) -> Result<Result<Vec<types_3::IpAddress>, names_3::ErrorCode>> {
        let asking = store.with(|mut view| {
            let reached = view.get().reached;
            reached.access.clone().look_up(reached.names.clone(), name)
        });
        let found = asking.await;
        Ok(found.map(|found| found.into_iter().map(Into::into).collect()).map_err(Into::into))
    }
}
