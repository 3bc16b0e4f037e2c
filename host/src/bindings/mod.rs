//! Host side of `wit/`: settings, secrets and the terminal of commands; the functions that hash passwords are in `instance`.
//! WASI itself comes from `wasmtime-wasi` and `wasmtime-wasi-http`.

mod secrets;
mod settings;

use wasmtime::component::Linker;

pub(crate) use self::{
    generated::guesthouse::hashing::passwords,
    secrets::{Handle, SecretsData, SecretsView},
    settings::{SettingsView, View},
};

mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "guesthouse:settings/imports",
        imports: {
            "guesthouse:hashing/passwords": async | trappable,
            default: trappable,
        },
        with: { "guesthouse:secrets/secrets.secret": super::secrets::Handle },
    });
}

/// Adds all of it to the linker.
pub(crate) fn add_to_linker<T: SettingsView + SecretsView + 'static>(
    linker: &mut Linker<T>,
) -> wasmtime::Result<()> {
    settings::add_to_linker(linker)?;
    secrets::add_to_linker(linker)
}
