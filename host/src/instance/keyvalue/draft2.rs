//! The second draft, `wasi:keyvalue@0.2.0-draft2`, as Spin has it.

use wasmtime::component::{Linker, Resource};

use super::{Bucket, Cas, HasView, Trouble, View, alike::answer_stores};
use crate::instance::Guest;

mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "guesthouse:settings/keyvalue",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store@0.2.0-draft2.bucket": crate::instance::Bucket,
            "wasi:keyvalue/atomics@0.2.0-draft2.cas": crate::instance::Cas,
        },
        trappable_error_type: {
            "wasi:keyvalue/store@0.2.0-draft2.error" => crate::instance::Trouble,
        },
    });
}

use generated::wasi::keyvalue0_2_0_draft2::{atomics, batch, store};

answer_stores!(String);

async fn list_keys(
    view: &mut View<'_>,
    bucket: &Resource<Bucket>,
    cursor: Option<String>,
) -> Result<store::KeyResponse, Trouble> {
    let after = cursor.map_or(Ok(0), |cursor| cursor.parse());
    let after = after.map_err(|_| Trouble::Other("the cursor is none of this store".into()))?;
    let (keys, cursor) = view.list(bucket, after).await?;
    Ok(store::KeyResponse { keys, cursor: cursor.map(|cursor| cursor.to_string()) })
}

impl atomics::Host for View<'_> {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: i64) -> Result<i64, Trouble> {
        View::increment(self, &bucket, key, delta).await
    }

    async fn swap(
        &mut self,
        cas: Resource<Cas>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), atomics::CasError>> {
        match View::swap(self, cas, value).await {
            Ok(None) => Ok(Ok(())),
            Ok(Some(cas)) => Ok(Err(atomics::CasError::CasFailed(cas))),
            Err(trouble) => {
                let error = store::Host::convert_error(self, trouble)?;
                Ok(Err(atomics::CasError::StoreError(error)))
            }
        }
    }
}

impl atomics::HostCas for View<'_> {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Result<Resource<Cas>, Trouble> {
        self.look(&bucket, key).await
    }

    async fn current(&mut self, cas: Resource<Cas>) -> Result<Option<Vec<u8>>, Trouble> {
        self.seen(&cas)
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}
