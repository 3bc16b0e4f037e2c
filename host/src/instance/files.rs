//! Open files of guests: `wasi:filesystem` 0.2 and 0.3 as wasmtime has them, but that what an app has open is counted, over all
//! its instances: descriptors are the process's, and connections need them too.

use std::{collections::HashMap, sync::Arc};

use wasmtime::{
    Result, StoreContextMut,
    component::{Accessor, Linker, Resource, ResourceType},
};
use wasmtime_wasi::{
    filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView},
    p2::bindings::filesystem::types::{self as types_2, HostDescriptor},
    p3::bindings::filesystem::types::{self as types_3, HostDescriptorWithStore},
};

use super::guest::{Guest, Template};
use crate::{
    engine::{WASI_0_2, WASI_0_3},
    taken::Slot,
};

/// The files that one instance has open, by the numbers that they have in the store's table.
pub(super) struct Files {
    template: Arc<Template>,
    open: HashMap<u32, Slot>,
}

impl Files {
    pub(super) fn new(template: Arc<Template>) -> Self {
        Self { template, open: HashMap::new() }
    }

    fn place(&self) -> Option<Slot> {
        let Template { app, stats, limits, .. } = &*self.template;
        let place = stats.files.take(1, limits.files);
        if place.is_none() {
            let help = format_args!("the app has {} open (`limits.files`)", limits.files);
            stats.refusals.tell(app, "to open", "a file", help);
        }
        place
    }
}

type Opening2 =
    (Resource<Descriptor>, types_2::PathFlags, String, types_2::OpenFlags, types_2::DescriptorFlags);
type Opening3 =
    (Resource<Descriptor>, types_3::PathFlags, String, types_3::OpenFlags, types_3::DescriptorFlags);

/// Puts what opens and closes files in the place of wasmtime's own.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>, concurrent: bool) -> Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(&format!("wasi:filesystem/types@{WASI_0_2}"))?;
    types.resource("descriptor", ResourceType::host::<Descriptor>(), close)?;
    types.func_wrap_async("[method]descriptor.open-at", |mut store, opening: Opening2| {
        Box::new(async move { Ok((open_2(store.data_mut(), opening).await?,)) })
    })?;
    if concurrent {
        let mut types = linker.instance(&format!("wasi:filesystem/types@{WASI_0_3}"))?;
        types.resource("descriptor", ResourceType::host::<Descriptor>(), close)?;
        types.func_wrap_concurrent("[method]descriptor.open-at", |store, opening: Opening3| {
            Box::pin(async move { Ok((open_3(store, opening).await?,)) })
        })?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

fn close(mut store: StoreContextMut<'_, Guest>, number: u32) -> Result<()> {
    let guest = store.data_mut();
    guest.filesystem().table.delete(Resource::<Descriptor>::new_own(number))?;
    guest.files().open.remove(&number);
    Ok(())
}

async fn open_2(
    guest: &mut Guest,
    (directory, path_flags, path, open_flags, flags): Opening2,
) -> Result<Result<Resource<Descriptor>, types_2::ErrorCode>> {
    let Some(place) = guest.files().place() else { return Ok(Err(types_2::ErrorCode::Quota)) };
    let mut files = guest.filesystem();
    match files.open_at(directory, path_flags, path, open_flags, flags).await {
        Ok(file) => {
            guest.files().open.insert(file.rep(), place);
            Ok(Ok(file))
        }
        Err(error) => Ok(Err(error.downcast()?)),
    }
}

async fn open_3(
    store: &Accessor<Guest>,
    (directory, path_flags, path, open_flags, flags): Opening3,
) -> Result<Result<Resource<Descriptor>, types_3::ErrorCode>> {
    let place = store.with(|mut store| store.data_mut().files().place());
    let Some(place) = place else { return Ok(Err(types_3::ErrorCode::Quota)) };
    let files = store.with_getter::<WasiFilesystem>(Guest::filesystem);
    match WasiFilesystem::open_at(&files, directory, path_flags, path, open_flags, flags).await {
        Ok(file) => {
            store.with(|mut store| store.data_mut().files().open.insert(file.rep(), place));
            Ok(Ok(file))
        }
        Err(error) => Ok(Err(error.downcast()?)),
    }
}
