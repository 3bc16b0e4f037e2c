//! `guesthouse:secrets`: handles to the secrets of the instance's generation, revealed one by one.
//!
//! A handle holds the secret's name alone. While an image is taken `reveal` is not even linked (`engine::image::host`).

use secrecy::ExposeSecret;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use super::generated::guesthouse::secrets::secrets as wit;
use crate::secrets::Secrets;

/// What an instance sees of its secrets.
pub(crate) struct SecretsData<'a> {
    pub secrets: &'a Secrets,
    pub table: &'a mut ResourceTable,
}

/// The data of a store whose guest has secrets.
pub(crate) trait SecretsView {
    fn secrets(&mut self) -> SecretsData<'_>;
}

/// A handle that the guest holds.
#[expect(unreachable_pub, reason = "the generated bindings name it in public")]
pub struct Handle {
    name: String,
}

struct HasSecrets;

impl HasData for HasSecrets {
    type Data<'a> = SecretsData<'a>;
}

impl wit::Host for SecretsData<'_> {
    fn get(&mut self, name: String) -> wasmtime::Result<Result<Resource<Handle>, wit::Error>> {
        if self.secrets.get(&name).is_none() {
            return Ok(Err(wit::Error::NotFound));
        }
        Ok(Ok(self.table.push(Handle { name })?))
    }

    fn names(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.secrets.names().map(str::to_owned).collect())
    }
}

impl wit::HostSecret for SecretsData<'_> {
    fn reveal(&mut self, handle: Resource<Handle>) -> wasmtime::Result<String> {
        let name = &self.table.get(&handle)?.name;
        let value = self.secrets.get(name).and_then(|secret| secret.value());
        let value = value.ok_or_else(|| wasmtime::format_err!("the secret `{name}` was not read"))?;
        Ok(value.expose_secret().to_owned())
    }

    fn drop(&mut self, handle: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

pub(super) fn add_to_linker<T: SecretsView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wit::add_to_linker::<T, HasSecrets>(linker, T::secrets)
}
