//! Tells a person how far the builds are: live lines on a terminal, plain lines elsewhere, always on standard error.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a live line moves.
const TICK: Duration = Duration::from_millis(120);

/// Where builds report to.
#[derive(Debug)]
pub struct Progress {
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    Live(MultiProgress),
    Plain,
    Silent,
}

/// One job's line.
#[derive(Debug)]
pub(super) struct Line<'a> {
    progress: &'a Progress,
    bar: Option<ProgressBar>,
    label: String,
    began: Instant,
}

impl Progress {
    /// Live lines if standard error is a terminal, else plain ones.
    #[must_use]
    pub fn stderr() -> Progress {
        let live =
            std::io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Progress { mode: if live { Mode::Live(MultiProgress::new()) } else { Mode::Plain } }
    }

    /// Says nothing.
    #[must_use]
    pub fn silent() -> Progress {
        Progress { mode: Mode::Silent }
    }

    /// A line that stays.
    pub(super) fn note(&self, text: &str) {
        match &self.mode {
            // The terminal went away: nobody reads it.
            Mode::Live(lines) => drop(lines.println(text)),
            Mode::Plain => eprintln!("{text}"),
            Mode::Silent => {}
        }
    }

    /// Begins a job: `building legacy (python)…`.
    pub(super) fn start(&self, label: &str, kind: &str) -> Line<'_> {
        let bar = match &self.mode {
            Mode::Live(lines) => {
                let bar = lines.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed_precise} {msg}")
                {
                    bar.set_style(style);
                }
                bar.set_prefix(format!("building {label} ({kind})"));
                bar.enable_steady_tick(TICK);
                Some(bar)
            }
            Mode::Plain | Mode::Silent => {
                self.note(&format!("building {label} ({kind})…"));
                None
            }
        };
        Line { progress: self, bar, label: label.to_owned(), began: Instant::now() }
    }
}

impl Line<'_> {
    /// What the job is at, where it may take a while.
    pub(super) fn step(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => self.progress.note(&format!("{}: {text}…", self.label)),
        }
    }

    /// A line that stays.
    pub(super) fn note(&self, text: &str) {
        self.progress.note(&format!("{}: {text}", self.label));
    }

    /// Since the job began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Decimal megabytes, as `ls --si` counts.
pub(super) fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_add(50_000) / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_to_tenths() {
        assert_eq!(["0.0 MB", "0.1 MB", "38.1 MB"], [49_999, 50_000, 38_123_456].map(megabytes));
    }
}
