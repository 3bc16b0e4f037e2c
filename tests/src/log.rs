//! The lines that a house prints: collected as they come, to be waited for and counted.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::PATIENCE;

/// One line. Of a JSON log its object, else the text under `message`.
#[derive(Clone)]
pub struct Entry(Value);

impl Entry {
    fn parse(line: &str) -> Entry {
        match serde_json::from_str(line) {
            Ok(object @ Value::Object(_)) => Entry(object),
            _ => Entry(serde_json::json!({ "message": line })),
        }
    }

    /// A field as text, whatever its type; empty where there is none.
    pub fn text(&self, field: &str) -> String {
        match self.0.get(field) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// A field with its type.
    pub fn field(&self, field: &str) -> &Value {
        &self.0[field]
    }

    pub fn message(&self) -> String {
        self.text("message")
    }

    /// Whether this is the access-log line of a request to this app.
    pub fn is_access(&self, app: &str) -> bool {
        self.message() == "access" && self.text("app") == app
    }

    /// Whether this is the line about a failed request of this app.
    pub fn is_failure(&self, app: &str) -> bool {
        self.0.get("cause").is_some() && self.text("app") == app && self.message() != "access"
    }

    /// Whether this is a line that a guest of this app has printed.
    pub fn is_output(&self, app: &str, line: &str) -> bool {
        self.0.get("stream").is_some() && self.text("app") == app && self.message() == line
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// The lines of one pipe, as far as they have come.
#[derive(Clone, Default)]
pub struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    news: Condvar,
}

#[derive(Default)]
struct Lines {
    entries: Vec<Entry>,
    ended: bool,
}

impl Log {
    /// Collects the lines of `pipe` until it ends.
    pub fn collect(pipe: impl Read + Send + 'static) -> (Log, JoinHandle<()>) {
        let log = Log::default();
        let writer = log.clone();
        let thread = thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                writer.0.lines.lock().unwrap().entries.push(Entry::parse(&String::from_utf8_lossy(&line)));
                writer.0.news.notify_all();
            }
            writer.0.lines.lock().unwrap().ended = true;
            writer.0.news.notify_all();
        });
        (log, thread)
    }

    /// Reads `pipe` until it ends, and keeps nothing of it.
    pub(crate) fn discard(mut pipe: impl Read + Send + 'static) -> (Log, JoinHandle<()>) {
        let log = Log::default();
        let writer = log.clone();
        let thread = thread::spawn(move || {
            // A pipe that breaks is at its end.
            let _ = io::copy(&mut pipe, &mut io::sink());
            writer.0.lines.lock().unwrap().ended = true;
            writer.0.news.notify_all();
        });
        (log, thread)
    }

    /// All lines so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lines.lock().unwrap().entries.clone()
    }

    /// The lines so far that `wanted` holds of.
    pub fn matching(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        self.entries().into_iter().filter(wanted).collect()
    }

    /// Waits until the pipe ends.
    pub(crate) fn wait_for_end(&self) {
        let lines = self.0.lines.lock().unwrap();
        let (lines, late) = self.0.news.wait_timeout_while(lines, PATIENCE, |lines| !lines.ended).unwrap();
        drop(lines);
        assert!(!late.timed_out(), "the house did not end");
    }

    /// Waits for the first line that `wanted` holds of; those that have come already count.
    ///
    /// # Panics
    ///
    /// When it does not come, with all lines.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Entry) -> bool) -> Entry {
        self.wait_for_count(what, 1, wanted).remove(0)
    }

    /// Waits until `wanted` holds of `count` lines, and gives them.
    ///
    /// # Panics
    ///
    /// When they do not come, with all lines.
    pub fn wait_for_count(&self, what: &str, count: usize, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        self.wait_long_for(PATIENCE, what, count, wanted)
    }

    /// As [`Log::wait_for_count`], for what may take longer than anything else.
    pub(crate) fn wait_long_for(
        &self,
        patience: Duration,
        what: &str,
        count: usize,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Vec<Entry> {
        let deadline = Instant::now() + patience;
        let mut lines = self.0.lines.lock().unwrap();
        loop {
            let found: Vec<Entry> = lines.entries.iter().filter(|entry| wanted(entry)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.ended {
                let all: Vec<String> = lines.entries.iter().map(Entry::to_string).collect();
                let why = if lines.ended { "the log ended" } else { "patience ended" };
                drop(lines);
                panic!(
                    "waited for {what} ({count}, found {}), and {why}. All lines:\n{}",
                    found.len(),
                    all.join("\n")
                );
            }
            lines = self.0.news.wait_timeout(lines, left).unwrap().0;
        }
    }
}
