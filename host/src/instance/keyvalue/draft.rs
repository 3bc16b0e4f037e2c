//! The first draft, `wasi:keyvalue@0.2.0-draft`, as wasmtime and wasmCloud have it.

use wasmtime::component::{Linker, Resource};

use super::{Bucket, HasView, Trouble, View, alike::answer_stores};
use crate::instance::Guest;

mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "guesthouse:settings/keyvalue-draft",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store@0.2.0-draft.bucket": crate::instance::Bucket,
        },
        trappable_error_type: {
            "wasi:keyvalue/store@0.2.0-draft.error" => crate::instance::Trouble,
        },
    });
}

use generated::wasi::keyvalue0_2_0_draft::{atomics, batch, store};

answer_stores!(u64);

async fn list_keys(
    view: &mut View<'_>,
    bucket: &Resource<Bucket>,
    cursor: Option<u64>,
) -> Result<store::KeyResponse, Trouble> {
    let (keys, cursor) = view.list(bucket, cursor.unwrap_or(0)).await?;
    Ok(store::KeyResponse { keys, cursor })
}

impl atomics::Host for View<'_> {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: u64) -> Result<u64, Trouble> {
        // Numbers are 64 bits wide with a sign, as Redis and the second draft have them.
        let large = |_| Trouble::Other("the delta is no number of 63 bits".into());
        let sum = View::increment(self, &bucket, key, i64::try_from(delta).map_err(large)?).await?;
        u64::try_from(sum).map_err(|_| Trouble::Other(format!("the sum is {sum}, which has a sign")))
    }
}
