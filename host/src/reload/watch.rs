//! Takes changes of files up by itself: the manifest, and the settings files, secrets and components that it names.
//!
//! What the system tells of a folder is a hint and no more: what counts is whether one of the files is another one than
//! before. So it does not matter whether a file was renamed into place, written where it is, or stands behind a link that
//! was turned.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_util::sync::CancellationToken;

use super::{
    Manager,
    digests::{Signature, signature},
};
use crate::watching::Watching;

impl Manager {
    /// Watches until `stop`.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            () = self.watching() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn watching(self: &Arc<Self>) {
        let mut watching = Watching::new();
        // Read once more at first: what changed since the start was read was told to nobody.
        let mut files = BTreeMap::new();
        loop {
            let told = watching.follow(self.files().keys(), [].iter());
            // What changed before the folders were watched was not told.
            if self.files() == files {
                watching.wait(told).await;
            }
            let now = self.files();
            if now != files {
                files = now;
                // What came of it is in the log and in the status.
                let _ = self.reload("watch").await;
                let after = self.files();
                // Files that the new manifest names are watched from now on; those that it had named before and that
                // changed in the meantime are still to be taken up.
                files = after
                    .into_iter()
                    .map(|(path, now)| (path.clone(), files.get(&path).copied().unwrap_or(now)))
                    .collect();
            }
        }
    }

    /// The files that matter, with what would show that one is another.
    fn files(&self) -> BTreeMap<PathBuf, Option<Signature>> {
        let book = self.book();
        let components = book.plan.apps.iter().map(|app| &app.component);
        let secrets = book.plan.apps.iter().flat_map(|app| app.secrets.files()).map(Path::to_owned);
        let paths = [&book.plan.manifest].into_iter().chain(&book.plan.settings_files).chain(components);
        let paths: Vec<PathBuf> = paths.cloned().chain(secrets).collect();
        drop(book);
        paths.into_iter().map(|path| (path.clone(), signature(&path))).collect()
    }
}
