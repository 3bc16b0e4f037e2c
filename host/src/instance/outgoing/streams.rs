//! The streams of TCP connections of WASI 0.3. They may outlive their socket, and keep the connection open: until both have
//! ended it counts against the app's limit.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::oneshot;
use wasmtime::{
    AsContextMut, Result, StoreContextMut,
    component::{Access, FutureConsumer, FutureReader, Resource, Source, StreamReader},
};
use wasmtime_wasi::{
    p3::bindings::sockets::types::{ErrorCode, HostTcpSocketWithStore},
    sockets::{TcpSocket, WasiSockets, WasiSocketsCtxView},
};

use crate::{instance::Guest, taken::Slot};

/// How one direction of a connection ended.
type End = std::result::Result<(), ErrorCode>;

/// `tcp-socket.receive`.
pub(super) fn receive(
    mut store: StoreContextMut<'_, Guest>,
    socket: &Resource<TcpSocket>,
) -> Result<(StreamReader<u8>, FutureReader<End>)> {
    let place = store.data_mut().outgoing().reached.place_of(socket);
    let access = Access::<_, WasiSockets>::new(store.as_context_mut(), sockets);
    let (stream, end) = WasiSockets::receive(access, Resource::new_borrow(socket.rep()))?;
    Ok((stream, held_until(store, end, place)?))
}

/// `tcp-socket.send`.
pub(super) fn send(
    mut store: StoreContextMut<'_, Guest>,
    socket: &Resource<TcpSocket>,
    data: StreamReader<u8>,
) -> Result<FutureReader<End>> {
    let place = store.data_mut().outgoing().reached.place_of(socket);
    let access = Access::<_, WasiSockets>::new(store.as_context_mut(), sockets);
    let end = WasiSockets::send(access, Resource::new_borrow(socket.rep()), data)?;
    held_until(store, end, place)
}

fn sockets(guest: &mut Guest) -> WasiSocketsCtxView<'_> {
    guest.outgoing().sockets
}

/// The same end of a stream; until it has come, the place is taken.
fn held_until(
    mut store: StoreContextMut<'_, Guest>,
    end: FutureReader<End>,
    place: Option<Arc<Slot>>,
) -> Result<FutureReader<End>> {
    let (tell, told) = oneshot::channel();
    end.pipe(&mut store, Ending { tell: Some(tell), _place: place })?;
    FutureReader::new(&mut store, told)
}

struct Ending {
    tell: Option<oneshot::Sender<End>>,
    _place: Option<Arc<Slot>>,
}

impl FutureConsumer<Guest> for Ending {
    type Item = End;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, Guest>,
        mut source: Source<'_, End>,
        _: bool,
    ) -> Poll<Result<()>> {
        let mut end = None;
        source.read(store, &mut end)?;
        if let (Some(tell), Some(end)) = (self.tell.take(), end) {
            // The guest need not listen.
            let _ = tell.send(end);
        }
        Poll::Ready(Ok(()))
    }
}
