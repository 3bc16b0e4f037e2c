//! `probe` and `generations` of an app: what a new generation must show before it serves and while it is on trial.

use std::time::Duration;

use http::uri::PathAndQuery;

use super::{Generations, Probe, limits::Layered, resolve::Resolver};
use crate::{
    manifest::{self, Located, defaults},
    report::Problem,
};

impl Resolver<'_> {
    pub(super) fn probe(&mut self, table: &manifest::Probe) -> Probe {
        let number = |key: &Option<Located<u64>>, default| key.as_ref().map_or(default, |key| key.value);
        let status = number(&table.status, defaults::PROBE_STATUS);
        let path = table.path.as_ref().and_then(|path| self.probe_path(path));
        Probe {
            path: path.unwrap_or_else(|| defaults::PROBE_PATH.to_owned()),
            // The schema has statuses of three digits alone.
            status: u16::try_from(status).unwrap_or_default(),
            within: Duration::from_millis(number(&table.within_ms, defaults::PROBE_WITHIN_MS)),
        }
    }

    fn probe_path(&mut self, written: &Located<String>) -> Option<String> {
        let path = self.text(written)?;
        let has_slash = path.starts_with('/');
        let help = if !has_slash && path.contains("://") {
            "write the path alone, without scheme and host: \"/healthz\""
        } else if !has_slash {
            "begin it with a slash: \"/healthz\""
        } else if path.contains('#') {
            "remove what begins with the `#`: no request has it"
        } else if path.contains(|c: char| c.is_whitespace() || c.is_control())
            || path.parse::<PathAndQuery>().is_err()
        {
            "percent-encode what cannot stand in a URL: %20 for a space"
        } else {
            return Some(path);
        };
        self.error(&written.span, format!("{path:?} is no path that can be asked for"), help);
        None
    }

    /// Checks that the keys of one `generations` table go together.
    pub(super) fn check_generations(&mut self, generations: &Layered<'_, manifest::Generations>) {
        let Some(own) = generations.own else { return };
        let Some(trial) = generations.find(|table| table.trial_ms.as_ref()) else { return };
        if trial.value != 0 {
            return;
        }
        let own = &own.value;
        let keys = [("trial-failures", &own.trial_failures), ("trial-percent", &own.trial_percent)];
        for (key, number) in keys {
            let Some(number) = number else { continue };
            let problem =
                Problem::warning(format!("`{key}` does nothing here: no generation is ever on trial"))
                    .at(self.place(&number.span), "")
                    .also(self.place(&trial.span), "no trial")
                    .help(format!("remove `{key}`, or set `trial-ms`"));
            self.report.push(problem);
        }
    }
}

impl Layered<'_, manifest::Generations> {
    pub(super) fn generations(&self) -> Generations {
        Generations {
            keep: self.size(|table| table.keep.as_ref(), defaults::KEEP),
            trial: self.millis(|table| table.trial_ms.as_ref(), defaults::TRIAL_MS),
            trial_failures: self.number(|table| table.trial_failures.as_ref(), defaults::TRIAL_FAILURES),
            trial_percent: self.number(|table| table.trial_percent.as_ref(), defaults::TRIAL_PERCENT),
        }
    }
}
