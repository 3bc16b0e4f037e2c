//! Secrets of generations that are not made from the manifest of this moment: those that serve after a restart, and those
//! that are gone back to. Their values were kept nowhere, and are read anew from where they come from.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::anyhow;

use super::{
    Manager, blocking,
    book::{Entry, Ledger},
    change::{Reason, Refusal},
};
use crate::{generation::Recipe, secrets::Secrets};

impl Manager {
    /// The recipe of a generation with its secrets as they are now.
    ///
    /// # Errors
    /// Which of them cannot be read, and how to mend that.
    pub(super) async fn with_secrets(&self, app: &str, entry: &Entry) -> Result<Arc<Recipe>, Refusal> {
        let secrets = entry.recipe.secrets.unread();
        if secrets.is_empty() {
            return Ok(entry.recipe.clone());
        }
        match blocking(move || read(&secrets).map_err(|why| anyhow!(why))).await {
            Ok(secrets) => Ok(Arc::new(entry.recipe.with_secrets(secrets))),
            Err(why) => {
                let why = format!("generation {} cannot be had any more: {why:#}", entry.number);
                Err(self.refuse(app, Reason::Unfit, &why))
            }
        }
    }
}

/// Reads the secrets of all that serve. What lacks one is given up: a generation for what the manifest says, a canary for
/// none.
pub(super) fn read_all(ledgers: &mut BTreeMap<Arc<str>, Ledger>) {
    for (app, ledger) in ledgers {
        match completed(&ledger.serving) {
            Ok(serving) => ledger.serving = serving,
            Err(why) => {
                let generation = ledger.serving.number;
                tracing::error!(app = &**app, generation, "is given up for what the manifest says: {why}");
                ledger.fall_back();
            }
        }
        let Some((share, canary)) = ledger.canary.take() else { continue };
        match completed(&canary) {
            Ok(canary) => ledger.canary = Some((share, canary)),
            Err(why) => {
                tracing::error!(app = &**app, generation = canary.number, "the canary is gone: {why}");
            }
        }
    }
}

fn completed(entry: &Entry) -> Result<Entry, String> {
    Ok(entry.clone().with_secrets(read(&entry.recipe.secrets)?))
}

fn read(secrets: &Secrets) -> Result<Secrets, String> {
    secrets.completed(&|name| std::env::var(name).ok())
}
