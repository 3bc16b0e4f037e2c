//! Files of guests: `wasi:filesystem` 0.2 and 0.3 as wasmtime has them, but that what an app has open is counted, over all
//! its instances (descriptors are the process's, and connections need them too), and so is what its folders grow by. And but for the locks of
//! databases (`locks`).

mod calls_2;
mod calls_3;
mod stream_2;
mod stream_3;
mod writing;

use std::{
    collections::HashMap,
    fs::File,
    sync::{Arc, Weak},
};

use wasmtime::{
    Result, StoreContextMut,
    component::{Linker, Resource},
};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView, WasiFilesystemView};

use self::writing::Writing;
use super::{
    guest::{Guest, Template},
    locks::Locks,
};
use crate::taken::Slot;

/// The files that one instance has open, by the numbers that they have in the store's table.
pub(super) struct Files {
    template: Arc<Template>,
    open: HashMap<u32, (Slot, Weak<File>)>,
    pub(super) locks: Locks,
}

impl Files {
    pub(super) fn new(template: Arc<Template>) -> Self {
        Self { template, open: HashMap::new(), locks: Locks::default() }
    }

    pub(super) fn place(&self) -> Option<Slot> {
        let Template { app, stats, limits, .. } = &*self.template;
        let place = stats.files.take(1, limits.files);
        if place.is_none() {
            let help = format_args!("the app has {} open (`limits.files`)", limits.files);
            stats.causes.count("files-limit");
            stats.refusals.tell(app, "to open", "a file", help);
        }
        place
    }

    fn writing(&self) -> Writing {
        Writing(self.template.clone())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.locks.release(self.open.drain().map(|(_, (_, file))| file));
    }
}

/// The file or folder of the system behind a handle.
fn behind(files: &WasiFilesystemCtxView<'_>, handle: &Resource<Descriptor>) -> Weak<File> {
    match files.table.get(handle) {
        Ok(Descriptor::File(file)) => Arc::downgrade(&file.file),
        Ok(Descriptor::Dir(folder)) => Arc::downgrade(&folder.dir),
        Err(_) => Weak::new(),
    }
}

/// Puts what opens, closes and enlarges files in the place of wasmtime's own.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>, concurrent: bool) -> Result<()> {
    linker.allow_shadowing(true);
    calls_2::add_to_linker(linker)?;
    if concurrent {
        calls_3::add_to_linker(linker)?;
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

/// What is behind a descriptor, where it is a file.
fn file(guest: &mut Guest, fd: &Resource<Descriptor>) -> Result<Option<Arc<File>>> {
    Ok(match guest.filesystem().table.get(fd)? {
        Descriptor::File(file) => Some(file.file.clone()),
        Descriptor::Dir(_) => None,
    })
}
