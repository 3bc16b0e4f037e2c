//! Many swaps of one of three apps, by file and through the admin interface by turns, while all three are asked.

use std::{
    thread,
    time::{Duration, Instant},
};

use guesthouse_tests::{Load, Served, Swapping, Times};

use crate::options::Options;

/// Whether nothing was lost.
pub(crate) fn run(options: &Options) -> bool {
    let guests = if options.p3 { ["version-1-p3", "version-2-p3"] } else { ["version-1", "version-2"] };
    let length = options.length.unwrap_or(Duration::from_secs(60));
    let pace = options.pace.unwrap_or(Duration::from_millis(5));
    let pace = Some(pace).filter(|pace| !pace.is_zero());
    let mut swapping = Swapping::start(guests, &["neighbour", "reusing"]);
    let clients = swapping.clients(pace);
    let load = Load::start(swapping.house.address(), &clients);
    load.wait_for_answers(100);
    let mut lost = load.take().lost;

    eprintln!("{} s without swaps", length.as_secs());
    let (steady, steady_length) = phase(&load, || thread::sleep(length));
    eprintln!("{} swaps in {} s or more", options.swaps, length.as_secs());
    let (mut by_file, mut by_api) = (Times::default(), Times::default());
    let (swapped, swapped_length) =
        phase(&load, || swap(&mut swapping, options.swaps, length, &mut by_file, &mut by_api));
    // What was in flight when the last phase ended counts as well.
    let rest = load.stop();
    lost.extend([&steady, &swapped, &rest].iter().flat_map(|served| served.lost.clone()));

    match pace {
        Some(pace) => println!("load: {} clients, each with a request every {pace:?}", clients.len()),
        None => println!("load: {} clients, each with a request as soon as it has an answer", clients.len()),
    }
    println!("      (3 apps; for each one connection kept alive, and one new for each request)");
    if let Some(pace) = pace {
        let wanted = clients.len() as f64 * steady_length.as_secs_f64() / pace.as_secs_f64();
        if (steady.times.count() as f64) < 0.97 * wanted {
            println!(
                "      THIS MACHINE DOES NOT KEEP UP WITH IT: the times are those of a queue that grows; try --pace-ms"
            );
        }
    }
    println!("\n                          seconds   requests     p50 ms     p99 ms     max ms");
    for (name, served, length) in
        [("without swapping", &steady, steady_length), ("while swapping", &swapped, swapped_length)]
    {
        println!(
            "{name:24} {:>8.1} {:>10} {}",
            length.as_secs_f64(),
            served.times.count(),
            row(&served.times)
        );
    }
    println!("\nswaps of one app                      count     p50 ms     p99 ms     max ms");
    for (name, times) in
        [("by file, to the first answer", &by_file), ("through the admin API, to done", &by_api)]
    {
        println!("{name:32} {:>10} {}", times.count(), row(times));
    }
    println!(
        "\nrequests lost (failed, wrong, or from a generation that was replaced before)  {}",
        lost.len()
    );
    for why in lost.iter().take(20) {
        println!("    {why}");
    }
    lost.is_empty()
}

fn row(times: &Times) -> String {
    let [p50, p99, max] = [50.0, 99.0, 100.0].map(|percent| times.percentile_ms(percent));
    format!("{p50:>10.2} {p99:>10.2} {max:>10.2}")
}

/// What was served while this was done, and how long it took.
fn phase(load: &Load, work: impl FnOnce()) -> (Served, Duration) {
    let begun = Instant::now();
    work();
    (load.take(), begun.elapsed())
}

/// Spreads the swaps over the time; where they take longer, so does the phase.
fn swap(swapping: &mut Swapping, swaps: u64, length: Duration, by_file: &mut Times, by_api: &mut Times) {
    let begun = Instant::now();
    for swap in 0..swaps {
        let due = begun + length.mul_f64(swap as f64 / swaps as f64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // By turns, so that each way brings either version, and each comes after either way.
        match swap % 4 {
            0 | 3 => by_file.push(swapping.by_file()),
            _ => by_api.push(swapping.by_api()),
        }
    }
}
