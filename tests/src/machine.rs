//! What the machine itself is kept from: a virtual one shares its cores with others.

use std::{fs, thread};

/// How many cores a house has here.
#[expect(clippy::disallowed_methods, reason = "no thread of a test keeps to a core")]
pub fn cores() -> usize {
    thread::available_parallelism().expect("the number of cores").get()
}

/// The time of all cores together, in ticks since the start of the system (`proc_stat(5)`).
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    all: u64,
    taken: u64,
}

impl Cores {
    /// None where the kernel does not tell.
    pub fn now() -> Option<Cores> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        // The eighth is the time that was taken; what follows is in the first two already.
        let ticks: Vec<u64> = fields.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Cores { all: ticks.iter().sum(), taken: *ticks.get(7)? })
    }

    /// Which part of their time the cores were not there since then, in percent: they had work, and ran for another
    /// machine ("steal").
    pub fn taken_percent(since: Cores) -> Option<f64> {
        let now = Cores::now()?;
        let all = now.all.saturating_sub(since.all);
        (all > 0).then(|| 100.0 * now.taken.saturating_sub(since.taken) as f64 / all as f64)
    }
}
