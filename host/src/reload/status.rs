//! The state of the house, as the admin interface tells it.

use std::sync::{Arc, PoisonError};

use super::{
    Manager,
    book::{Entry, Ledger},
    change::{
        AppStatus, CanaryStatus, DrainingStatus, GenerationStatus, ImageStatus, Latency, StaticStatus, Status,
    },
    rfc3339,
};
use crate::{generation::Generation, house::Tenant, plan, statics::Counts};

impl Manager {
    /// The state of the house.
    pub fn status(&self) -> Status {
        let house = self.current.load_full();
        let book = self.book();
        let apps = book.plan.apps.iter().filter_map(|app| {
            let tenant = house.apps.iter().find(|tenant| tenant.serving.app == app.name)?;
            let statics = house.statics.iter().find(|files| *files.app() == app.name && files.are_any());
            let status = self.app_status(app, book.apps.get(&app.name)?, tenant);
            Some(AppStatus { statics: statics.map(|files| static_status(files.counts())), ..status })
        });
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            manifest: book.plan.manifest.display().to_string(),
            started: rfc3339(self.started.0),
            uptime_seconds: self.started.1.elapsed().as_secs_f64(),
            listeners: self.server.urls(),
            requests_in_flight: house.counters.busy.len(),
            connections: self.server.connections(),
            connections_refused: self.server.refused(),
            draining: self.draining.is_cancelled(),
            last_reload: book.last_reload.clone(),
            apps: apps.collect(),
        }
    }

    fn app_status(&self, app: &plan::App, ledger: &Ledger, tenant: &Tenant) -> AppStatus {
        let mut kept: Vec<GenerationStatus> =
            ledger.kept.iter().map(|entry| generation_status(entry, None)).collect();
        kept.sort_by_key(|generation| std::cmp::Reverse(generation.number));
        let canary = ledger.canary.as_ref().map(|(share, entry)| CanaryStatus {
            share: *share,
            generation: generation_status(entry, tenant.canary.as_ref().map(|canary| &canary.generation)),
        });
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|one| one.stats.in_flight() > 0);
        let serves = |number| tenant.generations().any(|generation| generation.number == number);
        let draining = leaving
            .iter()
            .filter(|one| one.app == app.name && !serves(one.number))
            .map(|one| DrainingStatus { number: one.number, in_flight: one.stats.in_flight() })
            .collect();
        AppStatus {
            name: app.name.to_string(),
            routes: app.routes.iter().map(|route| route.text.clone()).collect(),
            serving: generation_status(&ledger.serving, Some(&tenant.serving)),
            canary,
            kept,
            draining,
            statics: None,
            differs_from_manifest: *ledger.manifest != *ledger.serving.recipe,
            trouble: ledger.trouble.clone(),
        }
    }
}

fn static_status(counts: &Counts) -> StaticStatus {
    StaticStatus {
        requests: counts.requests(),
        failures: counts.failures(),
        refused: counts.refused(),
        in_flight: counts.sending(),
    }
}

fn generation_status(entry: &Entry, generation: Option<&Arc<Generation>>) -> GenerationStatus {
    let stats = &entry.stats;
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    GenerationStatus {
        number: entry.number,
        component: entry.recipe.component.to_string(),
        since: rfc3339(entry.since),
        origin: entry.origin.clone(),
        failed: entry.failed.clone(),
        image: entry
            .code
            .as_ref()
            .filter(|_| entry.recipe.instances.snapshot)
            .map(|code| ImageStatus { taken: code.without_image.is_none(), why: code.without_image.clone() }),
        requests: stats.requests(),
        failures: stats.failures(),
        causes: stats.causes.all(),
        latency_ms: Latency {
            p50: ms(stats.latency.quantile(0.5)),
            p99: ms(stats.latency.quantile(0.99)),
            max: ms(stats.latency.max()),
        },
        in_flight: stats.in_flight(),
        waiting: generation.map_or(0, |generation| generation.waiting()),
        instances: stats.instances(),
        outgoing: stats.outgoing.open(),
        refused: stats.outgoing.refused(),
        keyvalue_refused: stats.keyvalue.refused(),
        memory_bytes: stats.memory.bytes(),
        memory_refused: stats.memory.refused(),
        lines_dropped: stats.lines.dropped(),
        throttled_ms: stats
            .throttled()
            .map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
            .filter(|_| generation.is_some()),
    }
}
