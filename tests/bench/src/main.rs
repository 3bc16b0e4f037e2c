//! The benchmark: Guesthouse beside `wasmtime serve`, bare hyper and gunicorn, in the same run.
//!
//! It installs the peers, builds the house and the guests, lets the systems take turns, compares every answer with the
//! expected one, and writes a table and plots. `docs/benchmarks/README.md` says what each figure means.

mod cases;
mod contest;
mod guests;
mod install;
mod instructions;
mod load;
mod machine;
mod options;
mod processes;
mod report;
mod statistics;
mod systems;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::LazyLock,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use crate::{
    cases::{CONNECTIONS, Case},
    guests::Guests,
    install::Installed,
    machine::Run,
    options::{Hidden, Options},
    report::{Manner, Row},
};

/// What all cases need.
#[derive(Debug)]
pub struct Bench {
    installed: Installed,
    guests: Guests,
    rounds: u32,
    /// How long one system is under load in each round.
    turn: Duration,
    /// Distinct small apps in one house.
    apps: usize,
    /// Sites of one Django component in one house, and how often such a house is opened in each round.
    sites: usize,
    openings: usize,
    /// Django sites that come to a house, and rounds of that: each asks every site hundreds of times.
    further: usize,
    site_rounds: u32,
    /// Whether the machine counts instructions.
    counts_instructions: bool,
    /// Whether the house takes snapshot images.
    has_images: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.hidden {
        Some(Hidden::Limit) => systems::serve_limit().map(|()| true),
        Some(Hidden::Load { file }) => instructions::run_load(file).map(|()| true),
        None if options.list => {
            Case::value_variants().iter().for_each(|case| println!("{:15} {}", case.name(), case.about()));
            Ok(true)
        }
        None => run(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and writes. False where a case failed.
fn run(options: &Options) -> Result<bool> {
    let bench = prepare(options)?;
    let chosen =
        if options.cases.is_empty() { Case::value_variants().to_vec() } else { options.cases.clone() };
    let (mut rows, mut failed) = (Vec::<Row>::new(), Vec::new());
    for case in chosen {
        progress(&format!("case {}: {}", case.name(), case.about()));
        match case.run(&bench) {
            Ok(measured) => rows.extend(measured),
            Err(error) => {
                eprintln!("error: case {}: {error:#}", case.name());
                failed.push(case.name());
            }
        }
    }
    let folder = match &options.out {
        Some(folder) => folder.clone(),
        None if options.is_full() && failed.is_empty() => root().join("docs/benchmarks"),
        None => target()?.join("bench"),
    };
    let requirements = fs::read_to_string(bench.guests.django_project.join("requirements.txt"))?;
    let manner = Manner {
        quick: options.quick,
        rounds: bench.rounds,
        seconds: bench.turn.as_secs_f64(),
        connections: CONNECTIONS,
        apps: bench.apps,
        instructions: bench.counts_instructions,
    };
    report::write(&folder, &Run::now(&bench.guests.house, &requirements)?, &manner, &rows)?;
    println!("{}", report::table(&rows));
    progress(&format!("written to {}", folder.display()));
    if !failed.is_empty() {
        eprintln!("error: failed: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}

fn prepare(options: &Options) -> Result<Bench> {
    progress("preparing");
    let installed = Installed::open()?;
    let guests = Guests::build()?;
    let (rounds, seconds) = if options.quick { (3, 0.7) } else { (5, 5.0) };
    let rounds = options.rounds.unwrap_or(rounds);
    let bench = Bench {
        rounds,
        turn: Duration::from_secs_f64(options.seconds.unwrap_or(seconds)),
        apps: options.apps.map_or(if options.quick { 100 } else { 1_000 }, usize::from),
        sites: if options.quick { 10 } else { 20 },
        openings: if options.quick { 1 } else { 5 },
        further: if options.quick { 2 } else { 4 },
        site_rounds: if options.quick { 1 } else { rounds },
        counts_instructions: instructions::are_counted(),
        has_images: guests.has_images()?,
        installed,
        guests,
    };
    if !bench.counts_instructions {
        progress("no instructions are counted: this machine has no counter, or there is no perf");
    }
    Ok(bench)
}

/// The project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Cargo's target folder, in which this program lies.
fn target() -> Result<PathBuf> {
    let program = env::current_exe().context("the path of this program")?;
    Ok(program.ancestors().nth(2).context("a program lies in a profile of the target folder")?.to_owned())
}

/// A line on standard error, with the seconds since the start.
fn progress(line: &str) {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    eprintln!("[{:>4.0} s] {line}", BEGUN.elapsed().as_secs_f64());
}
