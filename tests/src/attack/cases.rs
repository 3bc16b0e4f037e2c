//! The attacks, one by one.
//!
//! What is safe: 504 for what takes too long, 500 for what fails, 503 for what finds no room or is turned away because the
//! app fails again and again, 429 or a close for connections beyond those of an address. An answer whose head was sent
//! before is cut.

use super::{Attack, By};

const REUSE: &str = "instances.isolation = \"reuse\"";
const FRESH: &str = "instances.isolation = \"request\"";

/// Connections of most attacks: far more than there are cores, and within the places of one app.
const CONNECTIONS: usize = 32;

/// Where the limit of time bites within an answer, it is cut; where nobody has computed for it yet, it is late.
const LATE: &[&str] = &["200", "503", "504", "200, cut"];

const fn get(
    name: &'static str,
    what: &'static str,
    guest: &'static str,
    target: &'static str,
    safe: &'static [&'static str],
) -> Attack {
    Attack { name, what, guest, keys: FRESH, by: By::Get(target), connections: CONNECTIONS, safe }
}

impl Attack {
    const fn keys(self, keys: &'static str) -> Attack {
        Attack { keys, ..self }
    }

    const fn connections(self, connections: usize) -> Attack {
        Attack { connections, ..self }
    }

    const fn by(self, by: By) -> Attack {
        Attack { by, ..self }
    }
}

pub(super) const ALL: &[Attack] = &[
    get("spin", "computes for ever", "spin", "/", &["504", "503"]),
    get("spin-reuse", "computes for ever, in instances that are reused", "spin", "/", &["504", "503"])
        .keys(REUSE),
    get("spin-p3", "computes for ever (0.3, reuse)", "spin-p3", "/", &["504", "503", "500"]).keys(REUSE),
    get(
        "starts-by-spinning",
        "computes for ever in its start function",
        "starts-by-spinning",
        "/",
        &["504", "503"],
    ),
    get(
        "initialised",
        "swapped in again and again, computes for ever in `initialize`",
        "initialised",
        "/",
        &["200"],
    )
    .keys("instances = { isolation = \"request\", snapshot = true }")
    .by(By::Swap)
    .connections(2),
    get("allocate", "takes and writes all memory that it may have", "allocate", "/", &["200", "504", "503"])
        .keys("limits.memory-mib = 64\nlimits.concurrent = 4\ninstances.isolation = \"request\""),
    get("allocate-vec", "allocates until it aborts", "allocate", "/vec", &["500", "504", "503"])
        .keys("limits.memory-mib = 64\nlimits.concurrent = 4\ninstances.isolation = \"request\""),
    get(
        "many-memories",
        "holds all memories that the house has, sixteen in each instance",
        "many-memories",
        "/",
        &["200", "503", "504"],
    )
    .keys("limits.concurrent = 1000\ninstances.isolation = \"request\"")
    .connections(400),
    get("recurse", "calls itself until its stack is full", "recurse", "/", &["500", "503"]),
    get("recurse-p3", "calls itself until its stack is full (0.3)", "recurse-p3", "/", &["500", "503"])
        .keys(REUSE),
    get("trap", "traps on every request", "trap", "/", &["500", "503"]),
    get("trap-p3", "traps on every request (0.3, reuse)", "trap-p3", "/", &["500", "503"]).keys(REUSE),
    get("chatter", "prints lines for ever", "chatter", "/", &["504", "503"]),
    get("chatter-p3", "prints lines for ever, by a stream (0.3)", "chatter-p3", "/", &["504", "503", "500"])
        .keys(REUSE),
    get("endless", "streams a body for ever", "endless", "/", &["200, cut", "504", "503"]),
    get("endless-p3", "streams a body for ever (0.3, reuse)", "endless-p3", "/", &["200, cut", "504", "503"])
        .keys(REUSE),
    get("wait", "never reads the 8 MiB that it is sent, and does not answer", "wait", "/", &["504", "503"])
        .by(By::Post(8)),
    get(
        "never-reads",
        "answers without reading the 8 MiB that it is sent",
        "never-reads",
        "/",
        &["200", "503", "closed"],
    )
    .by(By::Post(8)),
    get("thousand-wait", "holds a thousand requests waiting", "wait", "/", &["504", "503"])
        .keys("limits.concurrent = 32\nlimits.queue = 1000\ninstances.isolation = \"request\"")
        .connections(1000),
    get(
        "crowd",
        "holds all connections that an address may have, and opens more whenever it is refused",
        "wait",
        "/",
        &["429", "closed", "504", "503"],
    )
    .keys("limits.concurrent = 32\nlimits.queue = 1000\ninstances.isolation = \"request\"")
    .connections(2200),
    get("dials", "opens TCP connections without end", "dials", "/?address={server}", &["504", "503", "500"])
        .keys("grants.tcp = [\"{server}\"]\ninstances.isolation = \"request\""),
    get(
        "fetches",
        "begins outgoing requests without end",
        "fetches",
        "/?authority={server}",
        &["504", "500", "503"],
    )
    .keys("grants.http = [\"http://{server}\"]\ninstances.isolation = \"request\""),
    get("hoards", "keeps handles until the host gives no more", "hoards", "/", &["500", "504", "503"]),
    get(
        "hoards-p3",
        "keeps handles until the host gives no more (0.3)",
        "hoards-p3",
        "/",
        &["500", "504", "503"],
    )
    .keys(REUSE),
    get(
        "hoards-large",
        "keeps header fields of 30 KB each",
        "hoards",
        "/?bytes=30000",
        &["500", "504", "503"],
    )
    .connections(8),
    get("late", "answers, and computes on", "late", "/?then=spin", LATE),
    get("late-reuse", "answers, and computes on, in instances that are reused", "late", "/?then=spin", LATE)
        .keys(REUSE),
    get(
        "onward-p3",
        "answers, and computes on (0.3, reuse)",
        "onward-p3",
        "/",
        &["200", "503", "504", "500", "200, cut"],
    )
    .keys(REUSE),
];
