//! The latest log lines, for who asks later and for who follows.
//!
//! Each line is kept as it was logged, in one ring with a bound in lines and in bytes. Followers read from the same
//! ring by the numbers of its lines: a slow one holds up nobody and costs no memory, it misses lines and learns how many.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

use super::Line;

/// Lines that are kept.
pub const LINES_KEPT_MAX: usize = 1000;
/// Bytes that kept lines may take.
const BYTES_KEPT_MAX: usize = 1 << 20;

/// The latest log lines. A layer of the subscriber that fills it; clones share the lines.
#[derive(Clone, Default)]
pub struct Tail(Arc<Shared>);

#[derive(Default)]
struct Shared {
    ring: Mutex<Ring>,
    news: Notify,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
    /// The number of the line that comes next; they are counted from the start.
    next: u64,
}

impl Ring {
    /// The number of the oldest line that is kept.
    fn first(&self) -> u64 {
        self.next.saturating_sub(self.lines.len() as u64)
    }

    fn push(&mut self, line: Arc<Line>) {
        self.bytes = self.bytes.saturating_add(line.size());
        self.lines.push_back(line);
        self.next = self.next.saturating_add(1);
        while self.lines.len() > LINES_KEPT_MAX || self.bytes > BYTES_KEPT_MAX {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.size());
        }
    }
}

impl Tail {
    /// The latest lines, the oldest first; of one app where it is named.
    pub fn recent(&self, app: Option<&str>, lines: usize) -> Vec<Arc<Line>> {
        self.follow(app, lines).0
    }

    /// The latest lines, and a follower who gets all that come after them.
    pub fn follow(&self, app: Option<&str>, lines: usize) -> (Vec<Arc<Line>>, Follower) {
        let (kept, next) = {
            let ring = self.ring();
            (ring.lines.iter().cloned().collect::<Vec<_>>(), ring.next)
        };
        let of_app = |line: &&Arc<Line>| app.is_none_or(|app| line.is_of(app));
        let mut recent: Vec<_> = kept.iter().rev().filter(of_app).take(lines).cloned().collect();
        recent.reverse();
        (recent, Follower { tail: self.clone(), app: app.map(str::to_owned), next })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Tail {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let line = Arc::new(Line::of(event));
        self.ring().push(line);
        // Where nobody waits this is one load.
        self.0.news.notify_waiters();
    }
}

/// Gets lines as they come.
pub struct Follower {
    tail: Tail,
    app: Option<String>,
    next: u64,
}

/// What came.
pub struct News {
    /// Lines of all apps that were gone before they could be read.
    pub skipped: u64,
    pub lines: Vec<Arc<Line>>,
}

impl Follower {
    /// Waits for lines. May be given up at any time without losing one.
    pub async fn next(&mut self) -> News {
        loop {
            // Before the look, so that a line which comes between the look and the wait is not slept over.
            let tail = self.tail.clone();
            let mut news = std::pin::pin!(tail.0.news.notified());
            news.as_mut().enable();
            let found = self.take();
            if found.skipped > 0 || !found.lines.is_empty() {
                return found;
            }
            news.await;
        }
    }

    fn take(&mut self) -> News {
        let (skipped, mut lines) = {
            let ring = self.tail.ring();
            let first = ring.first();
            let seen = usize::try_from(self.next.saturating_sub(first)).unwrap_or(usize::MAX);
            let lines: Vec<_> = ring.lines.iter().skip(seen).cloned().collect();
            let skipped = first.saturating_sub(self.next);
            self.next = ring.next;
            (skipped, lines)
        };
        if let Some(app) = &self.app {
            lines.retain(|line| line.is_of(app));
        }
        News { skipped, lines }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn logged(log: impl FnOnce()) -> Tail {
        let tail = Tail::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(tail.clone()), log);
        tail
    }

    fn values(lines: &[Arc<Line>]) -> Vec<Value> {
        lines.iter().map(|line| serde_json::from_str(&line.to_json()).unwrap()).collect()
    }

    #[test]
    fn a_line_has_its_fields_with_their_types() {
        let tail = logged(|| {
            let nobody: Option<&str> = None;
            let text = "a \"b\" \\ \n\u{1b}[2J ü";
            tracing::warn!(app = "shop", nobody, n = 3u64, m = -1, ms = 1.5, cut = true, shown = %text, "{text}");
            tracing::info!(nan = f64::NAN, "plain");
        });
        let lines = values(&tail.recent(None, 10));
        let mut first = lines[0].clone();
        let at = first.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(OffsetDateTime::parse(at.as_str().unwrap(), &Rfc3339).is_ok(), "{at}");
        let text = "a \"b\" \\ \n\u{1b}[2J ü";
        assert_eq!(
            first,
            json!({
                "level": "WARN", "message": text, "app": "shop", "n": 3, "m": -1, "ms": 1.5, "cut": true, "shown": text
            })
        );
        assert_eq!(lines[1]["nan"], Value::Null);
    }

    #[test]
    fn the_latest_lines_of_an_app() {
        let tail = logged(|| {
            for n in 0..5 {
                tracing::info!(app = "one", n, "app=\"two\",\"app\":\"two\"");
                tracing::info!(app = "two", n, "m");
            }
            tracing::info!("of none");
        });
        let numbers =
            |lines: Vec<Arc<Line>>| values(&lines).iter().map(|line| line["n"].clone()).collect::<Vec<_>>();
        assert_eq!(numbers(tail.recent(Some("two"), 2)), [json!(3), json!(4)]);
        assert_eq!(tail.recent(Some("two"), 100).len(), 5);
        assert_eq!(tail.recent(Some("nobody"), 100).len(), 0);
        assert_eq!(tail.recent(None, 100).len(), 11);
        assert_eq!(tail.recent(None, 0).len(), 0);
    }

    #[test]
    fn what_is_kept_is_bounded_in_lines_and_in_bytes() {
        let tail = logged(|| (0..LINES_KEPT_MAX + 7).for_each(|n| tracing::info!(n, "m")));
        let lines = tail.recent(None, usize::MAX);
        assert_eq!(lines.len(), LINES_KEPT_MAX);
        assert_eq!(values(&lines[..1])[0]["n"], 7);

        let long = "x".repeat(100_000);
        let tail = logged(|| (0..50).for_each(|_| tracing::info!("{long}")));
        let bytes: usize = tail.recent(None, usize::MAX).iter().map(|line| line.size()).sum();
        assert!((BYTES_KEPT_MAX / 2..=BYTES_KEPT_MAX).contains(&bytes), "{bytes}");
        let huge = "x".repeat(BYTES_KEPT_MAX);
        assert!(logged(|| tracing::info!("{huge}")).recent(None, 1).is_empty());
    }

    #[tokio::test]
    async fn a_slow_follower_misses_lines_and_learns_how_many() {
        let tail = Tail::default();
        let _here = tracing::subscriber::set_default(tracing_subscriber::registry().with(tail.clone()));
        tracing::info!("before");
        let (recent, mut follower) = tail.follow(None, 10);
        assert_eq!(recent.len(), 1);
        tracing::info!("after");
        let news = follower.next().await;
        assert_eq!((news.skipped, values(&news.lines)[0]["message"].clone()), (0, json!("after")));
        (0..LINES_KEPT_MAX + 5).for_each(|n| tracing::info!(n, "m"));
        let news = follower.next().await;
        assert_eq!((news.skipped, news.lines.len()), (5, LINES_KEPT_MAX));

        let (_, mut of_shop) = tail.follow(Some("shop"), 0);
        let waiting = tokio::spawn(async move { of_shop.next().await.lines.len() });
        tokio::task::yield_now().await;
        tracing::info!(app = "other", "m");
        tokio::task::yield_now().await;
        tracing::info!(app = "shop", "m");
        assert_eq!(waiting.await.unwrap(), 1);
    }
}
