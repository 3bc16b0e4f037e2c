//! The way back that the house takes by itself: a new generation that fails too often gives way to the last good one.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Manager, trouble};
use crate::generation::Unfit;

impl Manager {
    /// Takes back generations whose trial went wrong, as long as the house lives.
    pub(super) async fn judge(self: Arc<Self>, mut unfit: mpsc::UnboundedReceiver<Unfit>) {
        while let Some(Unfit { app, number }) = unfit.recv().await {
            self.take_back(&app, number).await;
        }
    }

    async fn take_back(self: &Arc<Self>, app: &str, number: u64) {
        let Ok(ledger) = self.ledger(app) else { return };
        let why = |stats: &crate::generation::Stats| {
            format!(
                "generation {number} failed {} of its first {} requests",
                stats.failures(),
                stats.requests()
            )
        };
        let result = match &ledger.canary {
            Some((_, canary)) if canary.number == number => {
                self.do_abort(app, Some(why(&canary.stats))).await
            }
            _ if ledger.serving.number == number => {
                let now = &ledger.serving.stats;
                let why = why(now);
                match ledger.last_good() {
                    Some(good) if good.stats.failure_percent() < now.failure_percent() => {
                        self.do_rollback(app, Some(good.number), Some(why)).await
                    }
                    Some(good) => {
                        return self.stay(
                            app,
                            number,
                            format!("{why}, and generation {} did no better", good.number),
                        );
                    }
                    None => return self.stay(app, number, format!("{why}, and there is none to go back to")),
                }
            }
            _ => return,
        };
        if let Err(refusal) = result {
            self.stay(app, number, format!("it could not be gone back from: {}", refusal.message));
        }
    }

    fn stay(&self, app: &str, generation: u64, message: String) {
        tracing::error!(app, generation, "{message}");
        if let Some(ledger) = self.book().apps.get_mut(app) {
            ledger.trouble = Some(trouble(message));
        }
    }
}
