//! What both drafts of the interface have in common, but for the types that their bindings make anew.

/// Answers `store` and `batch` of one draft, whose bindings are in scope. How a page of keys is asked for differs: by a cursor
/// of this type, with the function `list_keys`.
macro_rules! answer_stores {
    ($cursor:ty) => {
        pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
            store::add_to_linker::<_, HasView>(linker, Guest::keyvalue)?;
            atomics::add_to_linker::<_, HasView>(linker, Guest::keyvalue)?;
            batch::add_to_linker::<_, HasView>(linker, Guest::keyvalue)
        }

        impl store::Host for View<'_> {
            async fn open(&mut self, identifier: String) -> Result<Resource<Bucket>, Trouble> {
                self.open(&identifier)
            }

            fn convert_error(&mut self, trouble: Trouble) -> wasmtime::Result<store::Error> {
                match trouble {
                    Trouble::Denied => Ok(store::Error::AccessDenied),
                    Trouble::Other(text) => Ok(store::Error::Other(text)),
                    Trouble::Trap(error) => Err(error),
                }
            }
        }

        impl store::HostBucket for View<'_> {
            async fn get(
                &mut self,
                bucket: Resource<Bucket>,
                key: String,
            ) -> Result<Option<Vec<u8>>, Trouble> {
                View::get(self, &bucket, key).await
            }

            async fn set(
                &mut self,
                bucket: Resource<Bucket>,
                key: String,
                value: Vec<u8>,
            ) -> Result<(), Trouble> {
                View::set(self, &bucket, vec![(key, value)]).await
            }

            async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Result<(), Trouble> {
                View::delete(self, &bucket, vec![key]).await
            }

            async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, Trouble> {
                View::exists(self, &bucket, key).await
            }

            async fn list_keys(
                &mut self,
                bucket: Resource<Bucket>,
                cursor: Option<$cursor>,
            ) -> Result<store::KeyResponse, Trouble> {
                list_keys(self, &bucket, cursor).await
            }

            async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
                self.table.delete(bucket)?;
                Ok(())
            }
        }

        impl batch::Host for View<'_> {
            async fn get_many(
                &mut self,
                bucket: Resource<Bucket>,
                keys: Vec<String>,
            ) -> Result<Vec<Option<(String, Vec<u8>)>>, Trouble> {
                View::get_many(self, &bucket, keys).await
            }

            async fn set_many(
                &mut self,
                bucket: Resource<Bucket>,
                pairs: Vec<(String, Vec<u8>)>,
            ) -> Result<(), Trouble> {
                View::set(self, &bucket, pairs).await
            }

            async fn delete_many(
                &mut self,
                bucket: Resource<Bucket>,
                keys: Vec<String>,
            ) -> Result<(), Trouble> {
                View::delete(self, &bucket, keys).await
            }
        }
    };
}

pub(super) use answer_stores;
