//! What a look-up costs among 10, 100, 1,000 and 10,000 hosts, and that the last is near the first.
//!
//! `cargo bench --bench router`. Each figure is the fastest of several rounds, of a look-up as a request makes it: the
//! host is parsed, the path is normalised, the table is searched. Requests go to ten of the hosts, and then to all in
//! turn: the difference is what the processor's caches make of a table of that size, not what the search costs.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use guesthouse::router::{Host, Pattern, RequestPath, Table};

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
const LOOKUPS: usize = 200_000;
const ROUNDS: usize = 7;

/// A kind of request, by the number of the host that it is for.
struct Case {
    name: &'static str,
    request: fn(usize) -> (String, String),
}

const CASES: [Case; 5] = [
    Case { name: "exact host", request: |n| (format!("app-{n}.example.com"), "/articles/2026/07/".into()) },
    Case {
        name: "exact host, path prefix",
        request: |n| (format!("app-{n}.example.com:8000"), "/shop/cart/7".into()),
    },
    Case { name: "wildcard host", request: |n| (format!("a.b.zone-{n}.example.org"), "/".into()) },
    Case { name: "catch-all", request: |n| (format!("unknown-{n}.example.net"), "/".into()) },
    Case {
        name: "prefix among as many prefixes",
        request: |n| ("shared.example.com".into(), format!("/tenant-{n}/x")),
    },
];

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    let tables = SIZES.map(|size| (size, table(size)));
    for (title, asked_max) in [("requests to ten hosts", 10), ("requests to all hosts", usize::MAX)] {
        println!("{title:30} {:>8} {:>8} {:>8} {:>8}   ratio of last to first", 10, 100, 1_000, 10_000);
        for case in &CASES {
            let costs = tables.each_ref().map(|(size, table)| measure(table, *size, asked_max, case));
            let [first, .., last] = costs;
            let columns: String = costs.iter().map(|cost| format!(" {cost:8.1}")).collect();
            println!("  {:28}{columns}   {:.2}", case.name, last / first);
        }
    }
}

/// A house with as many exact hosts, wildcards and prefixes as `size` says.
#[expect(clippy::expect_used, reason = "the patterns are sound")]
fn table(size: usize) -> Table<usize> {
    let texts = (0..size).flat_map(|n| {
        let host = format!("app-{n}.example.com");
        [
            host.clone(),
            format!("{host}/shop"),
            format!("*.zone-{n}.example.org"),
            format!("shared.example.com/tenant-{n}"),
        ]
    });
    let patterns = texts.chain(["*".to_owned()]).map(|text| Pattern::parse(&text).expect("a sound pattern"));
    Table::new(patterns.enumerate().map(|(index, pattern)| (pattern, index)).collect())
        .expect("no pattern twice")
}

/// Nanoseconds of one look-up.
fn measure(table: &Table<usize>, size: usize, asked_max: usize, case: &Case) -> f64 {
    // A stride that is prime to every size goes through all hosts in an order that no cache foresees.
    let requests: Vec<_> = (0..size.min(asked_max)).map(|n| (case.request)(n * 7_919 % size)).collect();
    let round = || {
        let start = Instant::now();
        for (host, path) in requests.iter().cycle().take(LOOKUPS) {
            let path = RequestPath::new(black_box(path));
            let found =
                Host::parse(black_box(host)).ok().and_then(|host| table.lookup(&host, 80, &path).copied());
            assert!(black_box(found).is_some(), "every request has a route");
        }
        start.elapsed()
    };
    let fastest = (0..ROUNDS).map(|_| round()).min().unwrap_or(Duration::ZERO);
    fastest.as_secs_f64() * 1e9 / LOOKUPS as f64
}
