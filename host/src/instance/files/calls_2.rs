//! The calls of WASI 0.2 that open and enlarge files: what they take is counted first, then wasmtime's own do the work.

use wasmtime::{
    Result,
    component::{Linker, Resource, ResourceType},
};
use wasmtime_wasi::{
    filesystem::{Descriptor, WasiFilesystemCtxView, WasiFilesystemView},
    p2::{
        DynOutputStream, FsResult,
        bindings::filesystem::types::{DescriptorFlags, ErrorCode, HostDescriptor, OpenFlags, PathFlags},
    },
};

use super::{behind, close, file, stream_2::Counted, writing::Start};
use crate::{
    engine::WASI_0_2,
    generation::ENTRY_BYTES,
    instance::{
        guest::Guest,
        locks::{self, Asked},
    },
};

type Fd = Resource<Descriptor>;
type Outcome<T> = Result<std::result::Result<T, ErrorCode>>;

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> Result<()> {
    let mut types = linker.instance(&format!("wasi:filesystem/types@{WASI_0_2}"))?;
    types.resource("descriptor", ResourceType::host::<Descriptor>(), close)?;
    types.func_wrap_async("[method]descriptor.open-at", |mut store, call: Opening| {
        Box::new(async move { Ok((open(store.data_mut(), call).await?,)) })
    })?;
    types.func_wrap_async("[method]descriptor.create-directory-at", |mut store, call: (Fd, String)| {
        Box::new(async move { Ok((create_directory(store.data_mut(), call).await?,)) })
    })?;
    types.func_wrap_async("[method]descriptor.remove-directory-at", |mut store, call: (Fd, String)| {
        Box::new(async move { Ok((remove_directory(store.data_mut(), call).await?,)) })
    })?;
    types.func_wrap_async("[method]descriptor.symlink-at", |mut store, call: (Fd, String, String)| {
        Box::new(async move {
            let (guest, (fd, to, path)) = (store.data_mut(), call);
            let room = has_room(guest, ENTRY_BYTES).await;
            let made = if room { guest.filesystem().symlink_at(fd, to, path).await } else { full() };
            Ok((told(made)?,))
        })
    })?;
    types.func_wrap_async("[method]descriptor.link-at", |mut store, call: Linking| {
        Box::new(async move {
            let (guest, (fd, flags, path, to, name)) = (store.data_mut(), call);
            let room = has_room(guest, ENTRY_BYTES).await;
            let made =
                if room { guest.filesystem().link_at(fd, flags, path, to, name).await } else { full() };
            Ok((told(made)?,))
        })
    })?;
    types.func_wrap_async("[method]descriptor.set-size", |mut store, (fd, size): (Fd, u64)| {
        Box::new(async move {
            let guest = store.data_mut();
            let room = has_room_at(guest, &fd, Start::At(0), size).await?;
            let set = if room { guest.filesystem().set_size(fd, size).await } else { full() };
            Ok((told(set)?,))
        })
    })?;
    types.func_wrap_async("[method]descriptor.write", |mut store, call: (Fd, Vec<u8>, u64)| {
        Box::new(async move {
            let (guest, (fd, bytes, offset)) = (store.data_mut(), call);
            let room = has_room_at(guest, &fd, Start::At(offset), bytes.len() as u64).await?;
            let written = if room { guest.filesystem().write(fd, bytes, offset).await } else { full() };
            Ok((told(written)?,))
        })
    })?;
    types.func_wrap("[method]descriptor.write-via-stream", |mut store, (fd, offset): (Fd, u64)| {
        let start = Start::At(offset);
        Ok((stream(store.data_mut(), fd, start, |files, fd| files.write_via_stream(fd, offset))?,))
    })?;
    types.func_wrap("[method]descriptor.append-via-stream", |mut store, (fd,): (Fd,)| {
        Ok((stream(store.data_mut(), fd, Start::End, |files, fd| files.append_via_stream(fd))?,))
    })
}

type Opening = (Fd, PathFlags, String, OpenFlags, DescriptorFlags);
type Linking = (Fd, PathFlags, String, Fd, String);

async fn open(guest: &mut Guest, (fd, path_flags, path, mut open_flags, flags): Opening) -> Outcome<Fd> {
    let Some(place) = guest.files().place() else { return Ok(Err(ErrorCode::Quota)) };
    let creates = open_flags.contains(OpenFlags::CREATE);
    let room = !creates || has_room(guest, ENTRY_BYTES).await;
    if !room {
        // What is there already takes no room.
        open_flags &= !OpenFlags::CREATE;
    }
    match told(guest.filesystem().open_at(fd, path_flags, path, open_flags, flags).await)? {
        Ok(file) => {
            let behind = behind(&guest.filesystem(), &file);
            guest.files().open.insert(file.rep(), (place, behind));
            Ok(Ok(file))
        }
        Err(ErrorCode::NoEntry) if !room => Ok(Err(ErrorCode::Quota)),
        Err(error) => Ok(Err(error)),
    }
}

/// Makes a folder, or takes the lock of the database that it stands for.
async fn create_directory(guest: &mut Guest, (fd, path): (Fd, String)) -> Outcome<()> {
    match locks::lock(guest, &fd, &path).await? {
        Asked::Locked => Ok(Ok(())),
        Asked::Busy => Ok(Err(ErrorCode::Exist)),
        Asked::Other => {
            let room = has_room(guest, ENTRY_BYTES).await;
            told(if room { guest.filesystem().create_directory_at(fd, path).await } else { full() })
        }
    }
}

/// Removes a folder, or releases the lock that it stands for.
async fn remove_directory(guest: &mut Guest, (fd, path): (Fd, String)) -> Outcome<()> {
    if locks::release(guest, &fd, &path)? {
        return Ok(Ok(()));
    }
    told(guest.filesystem().remove_directory_at(fd, path).await)
}

/// Makes a stream into a file, and counts what goes through it.
fn stream(
    guest: &mut Guest,
    fd: Fd,
    start: Start,
    make: impl FnOnce(&mut WasiFilesystemCtxView<'_>, Fd) -> FsResult<Resource<DynOutputStream>>,
) -> Outcome<Resource<DynOutputStream>> {
    let file = file(guest, &fd)?;
    let writing = guest.files().writing();
    let mut files = guest.filesystem();
    match (told(make(&mut files, fd))?, file) {
        (Ok(stream), Some(file)) => {
            let stream = files.table.delete(stream)?;
            let counted: DynOutputStream = Box::new(Counted::new(stream, file, start, writing));
            Ok(Ok(files.table.push(counted)?))
        }
        (outcome, _) => Ok(outcome),
    }
}

async fn has_room(guest: &mut Guest, bytes: u64) -> bool {
    let writing = guest.files().writing();
    writing.take(bytes).await
}

/// Whether so many bytes may be written there. What is no file has room: that it is none is told by who writes.
async fn has_room_at(guest: &mut Guest, fd: &Fd, start: Start, bytes: u64) -> Result<bool> {
    let Some(file) = file(guest, fd)? else { return Ok(true) };
    Ok(has_room(guest, start.growth(&file, bytes)).await)
}

fn full<T>() -> FsResult<T> {
    Err(ErrorCode::Quota.into())
}

/// Parts what the guest is told from what ends it.
fn told<T>(outcome: FsResult<T>) -> Outcome<T> {
    outcome.map_or_else(|error| error.downcast().map(Err), |value| Ok(Ok(value)))
}
