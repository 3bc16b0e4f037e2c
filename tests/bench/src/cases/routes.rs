//! What a route look-up costs among many routes, beside one among few: the host's own router, in this process.
//!
//! A look-up is made as a request makes it: the host is parsed, the path is normalised, the table is searched. The very
//! same requests, to ten hosts, go to both tables. Then requests go to all hosts in turn: the difference is what the
//! processor's caches make of a table of that size, not what the search costs.

use std::{hint::black_box, time::Duration};

use anyhow::{Context, Result};
use guesthouse::router::{Host, Pattern, RequestPath, Table};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    Bench,
    report::{Goal, Row, Unit},
    statistics::Summary,
};

const FEW: usize = 10;
const MANY: usize = 10_000;
const LOOKUPS: usize = 100_000;
/// Rounds for each of the bench's: they take milliseconds.
const ROUNDS: u32 = 4;

/// A kind of request, by the number of the host that it is for.
struct Kind {
    name: &'static str,
    request: fn(usize) -> (String, String),
}

const KINDS: [Kind; 5] = [
    Kind { name: "exact host", request: |n| (format!("app-{n}.example.com"), "/articles/2026/07/".into()) },
    Kind {
        name: "exact host, path prefix",
        request: |n| (format!("app-{n}.example.com:8000"), "/shop/cart/7".into()),
    },
    Kind { name: "wildcard host", request: |n| (format!("a.b.zone-{n}.example.org"), "/".into()) },
    Kind { name: "catch-all", request: |n| (format!("unknown-{n}.example.net"), "/".into()) },
    Kind {
        name: "prefix among as many prefixes",
        request: |n| ("shared.example.com".into(), format!("/tenant-{n}/x")),
    },
];

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let (few, many) = (table(FEW)?, table(MANY)?);
    let rounds = bench.rounds * ROUNDS;
    let mut rows = Vec::new();
    for kind in &KINDS {
        let (same, all) = (kind.requests(FEW), kind.requests(MANY));
        let (mut of_few, mut of_many, mut of_all) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            of_few.push(lookup_ns(&few, &same)?);
            of_many.push(lookup_ns(&many, &same)?);
            of_all.push(lookup_ns(&many, &all)?);
        }
        let case = format!("look-up among {} routes", grouped(MANY));
        let of_few = Summary::of(of_few).context("no rounds")?;
        let row = |asked: &str, of_many| {
            let row = Row::new(&case, format!("{}, {asked}", kind.name), Unit::Nanoseconds);
            let row = row.ours(Summary::of(of_many).context("no rounds")?);
            anyhow::Ok(row.peer(&format!("{FEW} routes"), of_few.clone()))
        };
        rows.push(row("the same ten requests", of_many)?.goal(Goal::RatioAtMost(1.2)));
        rows.push(row("requests to all hosts", of_all)?);
    }
    // With a figure to reach first.
    rows.sort_by_key(|row| row.goal.is_none());
    Ok(rows)
}

fn grouped(number: usize) -> String {
    format!("{},{:03}", number / 1000, number % 1000)
}

/// A house with as many exact hosts, wildcards and prefixes as `size` says.
fn table(size: usize) -> Result<Table<usize>> {
    let texts = (0..size).flat_map(|n| {
        let host = format!("app-{n}.example.com");
        [
            host.clone(),
            format!("{host}/shop"),
            format!("*.zone-{n}.example.org"),
            format!("shared.example.com/tenant-{n}"),
        ]
    });
    let patterns: Result<Vec<_>, _> =
        texts.chain(["*".to_owned()]).map(|text| Pattern::parse(&text)).collect();
    let entries = patterns?.into_iter().enumerate().map(|(index, pattern)| (pattern, index)).collect();
    Table::new(entries).map_err(|_| anyhow::anyhow!("a pattern is there twice"))
}

impl Kind {
    /// Hosts and paths for a table of this size. A stride that is prime to every size goes through all hosts in an order
    /// that no cache foresees.
    fn requests(&self, size: usize) -> Vec<(String, String)> {
        (0..size).map(|n| (self.request)(n * 7_919 % size)).collect()
    }
}

/// Nanoseconds of one look-up.
fn lookup_ns(table: &Table<usize>, requests: &[(String, String)]) -> Result<f64> {
    let begun = cpu_time();
    for (host, path) in requests.iter().cycle().take(LOOKUPS) {
        let path = RequestPath::new(black_box(path));
        let host = Host::parse(black_box(host)).ok().context("a sound host")?;
        black_box(table.lookup(&host, 80, &path)).context("every request has a route")?;
    }
    Ok((cpu_time() - begun).as_secs_f64() * 1e9 / LOOKUPS as f64)
}

/// Of this thread: what else the machine does counts for nothing.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
