//! The calls of WASI 0.3 that open and enlarge files: what they take is counted first, then wasmtime's own do the work.

use tokio::sync::oneshot;
use wasmtime::{
    Result, StoreContextMut,
    component::{Accessor, FutureReader, Linker, Resource, ResourceType, StreamReader},
};
use wasmtime_wasi::{
    filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView},
    p3::{
        bindings::filesystem::types::{
            DescriptorFlags, ErrorCode, HostDescriptorWithStore, OpenFlags, PathFlags,
        },
        filesystem::FilesystemResult,
    },
};

use super::{
    behind, close, file,
    stream_3::{Counted, End},
    writing::{Start, Writing},
};
use crate::{engine::WASI_0_3, generation::ENTRY_BYTES, instance::guest::Guest};

type Fd = Resource<Descriptor>;
type Outcome<T> = Result<std::result::Result<T, ErrorCode>>;

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> Result<()> {
    let mut types = linker.instance(&format!("wasi:filesystem/types@{WASI_0_3}"))?;
    types.resource("descriptor", ResourceType::host::<Descriptor>(), close)?;
    types.func_wrap_concurrent("[method]descriptor.open-at", |store, call: Opening| {
        Box::pin(async move { Ok((open(store, call).await?,)) })
    })?;
    types.func_wrap_concurrent("[method]descriptor.create-directory-at", |store, call: (Fd, String)| {
        Box::pin(async move {
            let (fd, path) = call;
            let files = store.with_getter::<WasiFilesystem>(Guest::filesystem);
            let room = has_room(store, ENTRY_BYTES).await;
            let made =
                if room { WasiFilesystem::create_directory_at(&files, fd, path).await } else { full() };
            Ok((told(made)?,))
        })
    })?;
    types.func_wrap_concurrent("[method]descriptor.symlink-at", |store, call: (Fd, String, String)| {
        Box::pin(async move {
            let (fd, to, path) = call;
            let files = store.with_getter::<WasiFilesystem>(Guest::filesystem);
            let room = has_room(store, ENTRY_BYTES).await;
            let made = if room { WasiFilesystem::symlink_at(&files, fd, to, path).await } else { full() };
            Ok((told(made)?,))
        })
    })?;
    types.func_wrap_concurrent("[method]descriptor.link-at", |store, call: Linking| {
        Box::pin(async move {
            let (fd, flags, path, to, name) = call;
            let files = store.with_getter::<WasiFilesystem>(Guest::filesystem);
            let room = has_room(store, ENTRY_BYTES).await;
            let made =
                if room { WasiFilesystem::link_at(&files, fd, flags, path, to, name).await } else { full() };
            Ok((told(made)?,))
        })
    })?;
    types.func_wrap_concurrent("[method]descriptor.set-size", |store, (fd, size): (Fd, u64)| {
        Box::pin(async move {
            let files = store.with_getter::<WasiFilesystem>(Guest::filesystem);
            let file = store.with(|mut store| file(store.data_mut(), &fd))?;
            let growth = file.map_or(0, |file| Start::At(0).growth(&file, size));
            let room = has_room(store, growth).await;
            let set = if room { WasiFilesystem::set_size(&files, fd, size).await } else { full() };
            Ok((told(set)?,))
        })
    })?;
    types.func_wrap("[method]descriptor.write-via-stream", |store, call: (Fd, StreamReader<u8>, u64)| {
        let (fd, data, offset) = call;
        Ok((write(store, &fd, data, Start::At(offset))?,))
    })?;
    types.func_wrap("[method]descriptor.append-via-stream", |store, call: (Fd, StreamReader<u8>)| {
        let (fd, data) = call;
        Ok((write(store, &fd, data, Start::End)?,))
    })
}

type Opening = (Fd, PathFlags, String, OpenFlags, DescriptorFlags);
type Linking = (Fd, PathFlags, String, Fd, String);

async fn open(
    store: &Accessor<Guest>,
    (fd, path_flags, path, mut open_flags, flags): Opening,
) -> Outcome<Fd> {
    let place = store.with(|mut store| store.data_mut().files().place());
    let Some(place) = place else { return Ok(Err(ErrorCode::Quota)) };
    let room = !open_flags.contains(OpenFlags::CREATE) || has_room(store, ENTRY_BYTES).await;
    if !room {
        // What is there already takes no room.
        open_flags &= !OpenFlags::CREATE;
    }
    let files = store.with_getter::<WasiFilesystem>(Guest::filesystem);
    match told(WasiFilesystem::open_at(&files, fd, path_flags, path, open_flags, flags).await)? {
        Ok(file) => {
            store.with(|mut store| {
                let guest = store.data_mut();
                let behind = behind(&guest.filesystem(), &file);
                guest.files().open.insert(file.rep(), (place, behind));
            });
            Ok(Ok(file))
        }
        Err(ErrorCode::NoEntry) if !room => Ok(Err(ErrorCode::Quota)),
        Err(error) => Ok(Err(error)),
    }
}

/// Writes a stream into a file, as wasmtime does, and counts it.
fn write(
    mut store: StoreContextMut<'_, Guest>,
    fd: &Fd,
    mut data: StreamReader<u8>,
    start: Start,
) -> Result<FutureReader<End>> {
    let guest = store.data_mut();
    let writing = guest.files().writing();
    let refused = match guest.filesystem().table.get(fd)? {
        Descriptor::File(file) if !file.perms.write_not_permitted() => Ok(file.file.clone()),
        Descriptor::File(_) => Err(ErrorCode::NotPermitted),
        Descriptor::Dir(_) => Err(ErrorCode::BadDescriptor),
    };
    let (end, ended) = oneshot::channel();
    match refused {
        Ok(file) => data.pipe(&mut store, Counted::new(file, start, writing, end))?,
        Err(error) => {
            data.close(&mut store)?;
            // The guest need not listen.
            let _ = end.send(Err(error));
        }
    }
    FutureReader::new(&mut store, ended)
}

async fn has_room(store: &Accessor<Guest>, bytes: u64) -> bool {
    let writing: Writing = store.with(|mut store| store.data_mut().files().writing());
    writing.take(bytes).await
}

fn full<T>() -> FilesystemResult<T> {
    Err(ErrorCode::Quota.into())
}

/// Parts what the guest is told from what ends it.
fn told<T>(outcome: FilesystemResult<T>) -> Outcome<T> {
    outcome.map_or_else(|error| error.downcast().map(Err), |value| Ok(Ok(value)))
}
