//! What bad clients get, how long the house holds their connections, and what memory they cost it, as a table: for each kind
//! a house of its own, many of them at once, and two good neighbours that are asked all the while.
//!
//! It builds the house and the guests, and starts the houses on ports of their own. Exit code 0: everything was as it must
//! be; 1: something was not.

use std::{env, process::ExitCode};

use guesthouse_tests::{Door, Seen, bad_clients, build_house};

const USAGE: &str = "\
usage: clients [--connections N] [CASE...]
           plays N (500) bad clients of each kind at once, or of those kinds whose name has one of these words";

/// Short beside the defaults, long beside what a busy machine takes for anything else.
const DOOR: Door = Door { header_ms: 2000, idle_ms: 5000, body_ms: 2000, request_ms: 4000, stream_ms: 8000 };

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let (mut connections, mut words) = (500, Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--connections" => match arguments.next().and_then(|number| number.parse().ok()) {
                Some(number) => connections = number,
                None => return usage(),
            },
            flag if flag.starts_with('-') => return usage(),
            word => words.push(word.to_owned()),
        }
    }
    build_house();
    if run(connections, &words) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn run(connections: usize, words: &[String]) -> bool {
    println!(
        "{connections} of each kind at once; header-ms = {}, idle-ms = {}, body-ms = {}, request-ms = {}, stream-ms = \
         {}, header-kib = 16, body-mib = 1.\n\nGone after: when the house had none of them any more. Memory: how much \
         its resident memory rose at most, by the connection. Good neighbours: their answers meanwhile.\n",
        DOOR.header_ms, DOOR.idle_ms, DOOR.body_ms, DOOR.request_ms, DOOR.stream_ms
    );
    println!("| case | sent | came back | gone after s | KiB each | good neighbours | p99 ms |");
    println!("|---|---|---|--:|--:|--:|--:|");
    let mut faults = Vec::new();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    for client in bad_clients().iter().filter(|client| chosen(client.name)) {
        let seen = client.play(connections, &DOOR);
        println!(
            "| {} | {} | {} | {:.1} | {:.1} | {} | {:.1} |",
            client.name,
            client.sends,
            came_back(&seen),
            seen.gone_after.as_secs_f64(),
            seen.growth_kib as f64 / seen.connections as f64,
            seen.neighbours.count(),
            seen.neighbours.percentile_ms(99.0)
        );
        let shown = seen.faults.iter().take(5);
        faults.extend(shown.map(|fault| format!("{}: {fault}", client.name)));
    }
    println!("\nfaults: {}", faults.len());
    faults.iter().for_each(|fault| println!("    {fault}"));
    faults.is_empty()
}

/// `408, closed (500)`, the most first.
fn came_back(seen: &Seen) -> String {
    let mut outcomes: Vec<_> = seen.outcomes.iter().collect();
    outcomes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let shown = outcomes.iter().map(|((status, end), count)| {
        let status = status.map_or("no answer".to_owned(), |status| status.to_string());
        format!("{status}, {end} ({count})")
    });
    shown.collect::<Vec<_>>().join("; ")
}
