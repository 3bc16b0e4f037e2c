//! The swap test as a program: what is lost by swapping guests while they are asked, and what it costs their neighbours.
//!
//! It builds the house and the guests, starts the house on a port of its own, and prints tables. Exit code 0: nothing was
//! lost and no bound exceeded; 1: something was.

mod django;
mod options;
mod swaps;

use std::{env, process::ExitCode};

use guesthouse_tests::{build_house, growth, kill_while_swapping};

use crate::options::Options;

/// What the memory may grow by, in KiB.
const GROWTH_KIB: u64 = 16 * 1024;

fn main() -> ExitCode {
    let options = match Options::parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    build_house();
    let held = if options.django {
        django::run(&options)
    } else if let Some(kills) = options.kills {
        kill(kills)
    } else if let Some(swaps) = options.leak {
        leak(swaps)
    } else {
        swaps::run(&options)
    };
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn kill(kills: usize) -> bool {
    let killed = kill_while_swapping(kills, 1);
    println!("killed with SIGKILL while swapping   {}", killed.kills);
    println!("swaps acknowledged                  {}", killed.acknowledged);
    println!("restarts that served the last acknowledged swap  {}", killed.kills - killed.in_flight_served);
    println!("restarts that served the swap in flight          {}", killed.in_flight_served);
    println!("acknowledged swaps lost, or generations not whole  0");
    true
}

fn leak(swaps: usize) -> bool {
    let (after_ten, after_all) = growth(swaps, GROWTH_KIB);
    let held = after_all.now_kib <= after_ten.now_kib + GROWTH_KIB;
    println!("resident memory after  10 swaps  {:>8} KiB", after_ten.now_kib);
    println!("resident memory after {swaps:>3} swaps  {:>8} KiB", after_all.now_kib);
    println!(
        "allowed growth                   {GROWTH_KIB:>8} KiB: {}",
        if held { "held" } else { "EXCEEDED" }
    );
    held
}
