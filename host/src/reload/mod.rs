//! Changes of a running house: what is to change is made and proven first, then published at once, or not at all.
//!
//! A change goes three ways at most: it is proven at the `gate`, saved in the state folder, and published. Proving takes as
//! long as it takes and several changes may be at it; saving and publishing are done one change at a time. Who asks (a
//! file that changed, a signal, the admin interface) makes no difference.

mod book;
pub mod change;
mod digests;
mod draft;
mod gate;
mod manifest;
mod publish;
mod secrets;
mod start;
mod status;
mod swap;
mod trial;
mod watch;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime},
};

use anyhow::Result;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use self::start::{Unfit, check as check_components};
use self::{
    book::{Book, Ledger},
    change::{Change, Reason, Refusal, Reloaded, RollbackRequest, StoredComponent, SwapRequest, Trouble},
};
use crate::{
    engine::{Components, cache::ComponentDigest},
    generation::{self, Stats},
    house::Current,
    keyvalue,
    notices::Notices,
    plan::{ListenAddr, Plan},
    server::Server,
    state::{self, State},
};

/// The largest component that is taken by upload, in bytes.
const COMPONENT_BYTES_MAX: u64 = 1 << 30;

/// Where the manifest is, and what the command line says beside it.
pub struct Source {
    pub manifest: PathBuf,
    /// Listen here and nowhere else, where there is any.
    pub listen: Vec<ListenAddr>,
    /// Where the house is one that somebody works on.
    pub dev: Option<Dev>,
}

/// What a house is given by `guesthouse dev`.
#[derive(Clone)]
pub struct Dev {
    /// Makes of each plan what is to be served.
    pub adjust: Arc<dyn Fn(&mut Plan) + Send + Sync>,
    pub notices: Arc<Notices>,
}

/// A generation that serves no more, and may have requests in flight.
struct Leaving {
    app: Arc<str>,
    number: u64,
    stats: Arc<Stats>,
}

/// Makes all changes of a running house.
pub struct Manager {
    source: Source,
    components: Components,
    state: State,
    /// Key-value stores, which outlive generations.
    stores: keyvalue::Registry,
    current: Current,
    server: Server,
    book: Mutex<Book>,
    /// Held while a change is saved and published.
    changing: tokio::sync::Mutex<()>,
    /// Held while the manifest is read again.
    reloading: tokio::sync::Mutex<()>,
    /// Generations that finish their last requests.
    leaving: Mutex<Vec<Leaving>>,
    digests: Mutex<digests::Digests>,
    unfit: mpsc::UnboundedSender<generation::Unfit>,
    draining: CancellationToken,
    started: (SystemTime, Instant),
}

impl Manager {
    /// The house's listeners.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Whether an app has a generation in the house.
    pub fn serves(&self, app: &str) -> bool {
        self.book().apps.contains_key(app)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes, proves and publishes a new generation of an app.
    ///
    /// # Errors
    /// The reason why nothing was changed.
    pub async fn swap(self: &Arc<Self>, app: &str, request: SwapRequest) -> Result<Change, Refusal> {
        let (manager, app) = (self.clone(), app.to_owned());
        self.whole(async move { manager.do_swap(&app, request).await }).await
    }

    /// Goes back to a generation that is kept.
    ///
    /// # Errors
    /// The reason why nothing was changed.
    pub async fn rollback(self: &Arc<Self>, app: &str, request: RollbackRequest) -> Result<Change, Refusal> {
        let (manager, app) = (self.clone(), app.to_owned());
        self.whole(async move { manager.do_rollback(&app, request.to, None).await }).await
    }

    /// Gives the canary all clients.
    ///
    /// # Errors
    /// The reason why nothing was changed.
    pub async fn promote(self: &Arc<Self>, app: &str) -> Result<Change, Refusal> {
        let (manager, app) = (self.clone(), app.to_owned());
        self.whole(async move { manager.do_promote(&app).await }).await
    }

    /// Ends the canary.
    ///
    /// # Errors
    /// The reason why nothing was changed.
    pub async fn abort(self: &Arc<Self>, app: &str) -> Result<Change, Refusal> {
        let (manager, app) = (self.clone(), app.to_owned());
        self.whole(async move { manager.do_abort(&app, None).await }).await
    }

    /// Reads the manifest again and makes the house what it says. `by` tells who asked: `watch`, `SIGHUP` or `admin`.
    ///
    /// # Errors
    /// The reason why nothing was changed.
    pub async fn reload(self: &Arc<Self>, by: &'static str) -> Result<Reloaded, Refusal> {
        let manager = self.clone();
        self.whole(async move { manager.do_reload(by).await }).await
    }

    /// Runs a change to its end, even if nobody waits for it any more.
    async fn whole<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        if self.draining.is_cancelled() {
            return Err(refusal(Reason::Conflict, "the house is finishing its requests and will end"));
        }
        match tokio::spawn(change).await {
            Ok(result) => result,
            Err(error) => {
                Err(refusal(Reason::Conflict, format!("the change did not come to its end: {error}")))
            }
        }
    }

    /// Tells the house to end as SIGTERM does.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Resolves when [`Manager::drain`] was called.
    pub async fn told_to_drain(&self) {
        self.draining.cancelled().await;
    }

    /// Takes a component into the store.
    ///
    /// # Errors
    /// [`Reason::NotSaved`].
    pub async fn upload(self: &Arc<Self>) -> Result<Upload, Refusal> {
        let manager = self.clone();
        let begun = blocking(move || {
            manager.state.prepare()?;
            manager.state.components.upload()
        });
        let upload = begun.await.map_err(|error| not_saved(&error))?;
        Ok(Upload { manager: self.clone(), upload })
    }

    /// A component of the store, by `sha256:...`.
    pub fn component(&self, digest: &str) -> Option<StoredComponent> {
        let digest: ComponentDigest = digest.parse().ok()?;
        let bytes = std::fs::metadata(self.state.components.path(&digest)?).ok()?.len();
        Some(StoredComponent { digest: digest.to_string(), bytes })
    }

    /// Notes down why a change of an app was not made, and tells it.
    fn refuse(&self, app: &str, reason: Reason, why: &str) -> Refusal {
        let mut book = self.book();
        let Some(ledger) = book.apps.get_mut(app) else { return refusal(reason, why) };
        let generation = ledger.serving.number;
        let message = format!("{why}. Generation {generation} of `{app}` serves on");
        ledger.trouble = Some(trouble(message.clone()));
        drop(book);
        tracing::error!(app, generation, action = "refused", "{message}");
        refusal(reason, message)
    }

    fn ledger(&self, app: &str) -> Result<Ledger, Refusal> {
        let book = self.book();
        book.apps.get(app).cloned().ok_or_else(|| unknown(app, &book.apps))
    }
}

/// A component on its way into the store. Dropped before it is finished, it leaves nothing behind.
pub struct Upload {
    manager: Arc<Manager>,
    upload: state::Upload,
}

impl Upload {
    /// # Errors
    /// [`Reason::NotSaved`] where the disk is full, [`Reason::TooLarge`].
    pub async fn write(mut self, bytes: Bytes) -> Result<Self, Refusal> {
        if self.upload.bytes() + bytes.len() as u64 > COMPONENT_BYTES_MAX {
            return Err(refusal(Reason::TooLarge, "a component has at most 1 GiB"));
        }
        let written = blocking(move || {
            self.upload.write(&bytes)?;
            Ok(self)
        });
        written.await.map_err(|error| not_saved(&error))
    }

    /// Puts the component in place, synced.
    ///
    /// # Errors
    /// [`Reason::NotSaved`].
    pub async fn finish(self) -> Result<StoredComponent, Refusal> {
        let Self { manager, upload } = self;
        let bytes = upload.bytes();
        let finished = blocking(move || manager.state.components.finish(upload)).await;
        let (digest, _) = finished.map_err(|error| not_saved(&error))?;
        Ok(StoredComponent { digest: digest.to_string(), bytes })
    }
}

/// Does what waits for the disk where nobody else is held up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

fn refusal(reason: Reason, message: impl Into<String>) -> Refusal {
    Refusal { reason, message: message.into() }
}

fn not_saved(error: &anyhow::Error) -> Refusal {
    refusal(
        Reason::NotSaved,
        format!("nothing is changed, because it would not survive a restart: {error:#}"),
    )
}

fn unknown(app: &str, apps: &BTreeMap<Arc<str>, Ledger>) -> Refusal {
    let names: Vec<&str> = apps.keys().map(|name| &**name).collect();
    let message = format!("there is no app `{app}`; there are {}", names.join(", "));
    refusal(Reason::NotFound, message)
}

fn trouble(message: String) -> Trouble {
    Trouble { at: rfc3339(SystemTime::now()), message }
}

fn rfc3339(time: SystemTime) -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    );
    time::OffsetDateTime::from(time).format(&format).unwrap_or_default()
}
