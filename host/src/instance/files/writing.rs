//! What an app writes, counted before it is written.

use std::{collections::BTreeSet, fs::File, io, path::PathBuf, sync::Arc};

use crate::{instance::guest::Template, plan::Dir};

/// The room in the folders of the app that has this template.
#[derive(Clone)]
pub(super) struct Writing(pub(super) Arc<Template>);

impl Writing {
    /// Whether so many bytes may be written, which count then. The operator is told where they may not.
    pub(super) async fn take(&self, bytes: u64) -> bool {
        let Template { app, stats, limits, grants, .. } = &*self.0;
        if bytes == 0 || stats.quota.try_take(bytes) {
            return true;
        }
        let mut folders: BTreeSet<PathBuf> = grants.dirs.values().filter_map(Dir::written).cloned().collect();
        if grants.dirs.values().any(|dir| dir.temporary) {
            folders.extend(stats.temporary.root().map(|root| root.path().to_owned()));
        }
        // Where nothing may be written to, that is what the guest is told.
        let taken = folders.is_empty() || stats.quota.take_measured(bytes, folders, limits.dirs_bytes).await;
        if !taken {
            let help = format_args!(
                "the app's folders may hold {} MiB (`limits.dirs-mib`)",
                limits.dirs_bytes >> 20
            );
            stats.causes.count("dirs-limit");
            stats.refusals.tell(app, "to write", "to a file", help);
        }
        taken
    }

    /// Bytes that may be written without a measurement.
    pub(super) fn left(&self) -> u64 {
        self.0.stats.quota.left()
    }

    /// Counts bytes that were left when somebody looked.
    pub(super) fn count(&self, bytes: u64) {
        self.0.stats.quota.count(bytes);
    }

    /// The error of who writes more.
    pub(super) fn exceeded() -> io::Error {
        rustix::io::Errno::DQUOT.into()
    }
}

/// Where a write begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    At(u64),
    /// Wherever the file ends at the moment.
    End,
}

impl Start {
    /// Bytes that a file grows by when so many are written here. One whose length cannot be told counts as empty.
    pub(super) fn growth(self, file: &File, bytes: u64) -> u64 {
        match self {
            Start::At(offset) => {
                let length = file.metadata().map_or(0, |metadata| metadata.len());
                offset.saturating_add(bytes).saturating_sub(length)
            }
            Start::End => bytes,
        }
    }

    /// Where the next write begins.
    pub(super) fn after(self, bytes: usize) -> Self {
        match self {
            Start::At(offset) => Start::At(offset.saturating_add(bytes as u64)),
            Start::End => Start::End,
        }
    }
}
