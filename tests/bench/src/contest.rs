//! Systems under load, taking turns: A B A B, so that what else the machine does meets all of them alike.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    Bench, instructions,
    load::{Load, Served, Until},
    progress,
    statistics::Summary,
    systems::Server,
};

/// One system, and what it is asked.
pub struct Entrant<'a> {
    pub server: &'a Server,
    pub load: Load,
}

/// What one system came to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    pub per_second: Summary,
    /// Medians and 99th percentiles of each round's latencies, in milliseconds.
    pub p50_ms: Summary,
    pub p99_ms: Summary,
    /// CPU time of the server's processes for each request, in microseconds.
    pub cpu_us: Summary,
    /// Instructions in user mode of the server's processes for each request, where they can be counted.
    pub instructions: Option<f64>,
}

/// Rounds of one system.
#[derive(Default)]
struct Rounds {
    per_second: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    cpu_us: Vec<f64>,
}

/// Each system is warmed up before the first round: with so many requests by each connection, since a reused instance of
/// Python takes its time to start, and then for this part of a turn.
const WARM_UP_REQUESTS: usize = 20;
const WARM_UP: f64 = 0.3;
/// The part of a turn's requests over which instructions are counted: they hardly vary.
const COUNTED: f64 = 0.2;

/// Runs all rounds; an outcome for each entrant, in their order.
///
/// # Errors
///
/// An answer was wrong or lost.
pub fn contest(bench: &Bench, what: &str, entrants: &[Entrant<'_>]) -> Result<Vec<Outcome>> {
    let mut rounds: Vec<Rounds> = entrants.iter().map(|_| Rounds::default()).collect();
    for entrant in entrants {
        let connections = entrant.load.connections;
        entrant.run(Until::Count(connections * WARM_UP_REQUESTS))?;
        entrant.run(Until::Time(bench.turn.mul_f64(WARM_UP)))?;
    }
    for number in 1..=bench.rounds {
        for (entrant, rounds) in entrants.iter().zip(&mut rounds) {
            entrant.turn(bench.turn, rounds)?;
        }
        let last = |rounds: &Rounds| rounds.per_second.last().copied().unwrap_or_default();
        let told: Vec<String> = entrants
            .iter()
            .zip(&rounds)
            .map(|(entrant, rounds)| format!("{} {:.0}", entrant.server.name, last(rounds)))
            .collect();
        progress(&format!("{what}, round {number} of {}: requests/s: {}", bench.rounds, told.join(", ")));
    }
    entrants.iter().zip(rounds).map(|(entrant, rounds)| entrant.outcome(bench, rounds)).collect()
}

impl Entrant<'_> {
    fn run(&self, until: Until) -> Result<Served> {
        let load = self.load.clone().with(self.load.connections, until);
        load.run().with_context(|| format!("{} said:\n{}", self.server.name, self.server.said()))
    }

    fn turn(&self, time: Duration, rounds: &mut Rounds) -> Result<()> {
        let before = self.server.cpu_time()?;
        let mut served = self.run(Until::Time(time))?;
        let cpu = self.server.cpu_time()? - before;
        rounds.per_second.push(served.per_second());
        rounds.p50_ms.push(served.percentile_ms(50.0));
        rounds.p99_ms.push(served.percentile_ms(99.0));
        rounds.cpu_us.push(cpu.as_secs_f64() * 1e6 / served.requests() as f64);
        Ok(())
    }

    fn outcome(&self, bench: &Bench, rounds: Rounds) -> Result<Outcome> {
        let summary = |samples| Summary::of(samples).context("no rounds");
        let per_second = summary(rounds.per_second)?;
        let instructions = if bench.counts_instructions {
            let requests = (per_second.median * bench.turn.as_secs_f64() * COUNTED).ceil() as usize;
            Some(instructions::per_request(&self.server.pids(), &self.load, requests.max(10))?)
        } else {
            None
        };
        Ok(Outcome {
            per_second,
            p50_ms: summary(rounds.p50_ms)?,
            p99_ms: summary(rounds.p99_ms)?,
            cpu_us: summary(rounds.cpu_us)?,
            instructions,
        })
    }
}
