//! A house that lives for long among good and hostile guests and clients, and is swapped meanwhile: whether it holds more
//! and more of the system, and whether any good answer is wrong or lost.
//!
//! Exit code 0: memory, threads and descriptors at the end are those of the fifth minute, and every answer of the good
//! apps was right; 1: anything else.

mod options;

use std::{
    env,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use guesthouse_tests::{
    Attack, Client, Floor, Held, House, Load, Manifest, Outcomes, Request, Served, Silent, Steady, Strength,
    Swapper, Times, build_house,
};

use crate::options::Options;

/// How long each attack lasts. All of them come by in the time before the reference, and often afterwards.
const ATTACK: Duration = Duration::from_secs(4);
/// The time from one swap to the next.
const SWAP: Duration = Duration::from_secs(3);
/// What a house may take to let go of what it held for requests that have ended.
const SETTLING: Duration = Duration::from_secs(20);
/// What differs between two equal moments: memory in KiB, threads, descriptors.
const NOISE: Held = Held { memory_kib: 32 * 1024, threads: 4, descriptors: 16 };

/// The apps that must be served well: one is swapped, the others are not.
const NEIGHBOURS: [(&str, &str); 2] = [("reused", "reuse"), ("fresh", "request")];

fn main() -> ExitCode {
    let options = match Options::parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    build_house();
    if run(&options) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All that goes on beside the attacks.
struct Good {
    steady: Vec<Steady>,
    swapped: Load,
    served: usize,
    lost: Vec<String>,
    /// Of the steady loads since it was last asked.
    times: Times,
    /// How late those loads themselves were: what stands still with them is not the house, but the machine.
    late: Times,
}

impl Good {
    fn start(house: &House, floor: &Floor, rate: f64) -> Good {
        let steady = NEIGHBOURS.iter().map(|(name, _)| {
            let request = Request::get(&format!("{name}.test"), "/");
            let expected = house.send(&request);
            assert_eq!(expected.status(), 200, "{}", expected.text());
            Steady::start(house.address(), &request, &expected, rate)
        });
        let client =
            Client::new("swapped.test", "/?pad=1000").paced(Duration::from_millis(20)).checked(floor.check());
        let steady = steady.collect();
        let swapped = Load::start(house.address(), &[client.clone(), client.fresh()]);
        Good { steady, swapped, served: 0, lost: Vec::new(), times: Times::default(), late: Times::default() }
    }

    /// Counts what was served since it was last called, beside this attack. What was lost is said at once, since a soak takes
    /// long.
    fn count(&mut self, attack: &str) {
        let mut losses = Vec::new();
        for load in &self.steady {
            let measured = load.take();
            self.served += measured.times.count();
            self.times.add(measured.times);
            self.late.add(measured.late);
            losses.extend(measured.reasons);
        }
        let Served { times, lost } = self.swapped.take();
        self.served += times.count();
        losses.extend(lost);
        for why in losses {
            println!("lost beside {attack}: {why}");
            self.lost.push(why);
        }
    }

    /// p50, p99 and maximum of the steady loads' times since it was last asked, and by how much they were late at most,
    /// in milliseconds.
    fn times_ms(&mut self) -> [f64; 4] {
        let (times, late) = (std::mem::take(&mut self.times), std::mem::take(&mut self.late));
        let [p50, p99, max] = [50.0, 99.0, 100.0].map(|percent| times.percentile_ms(percent));
        [p50, p99, max, late.percentile_ms(100.0)]
    }
}

fn run(options: &Options) -> bool {
    let server = Silent::start();
    let attacks: Vec<&Attack> = Attack::all().iter().collect();
    let manifest = NEIGHBOURS.iter().fold(Manifest::new(), |manifest, (name, isolation)| {
        manifest.app(name, "hello-rust", &format!("instances.isolation = {isolation:?}"))
    });
    let manifest = manifest.head("[host]\nwatch = false").version("swapped", 1, 0, "");
    let manifest =
        attacks.iter().fold(manifest, |manifest, attack| attack.app(manifest, Strength::Short, &server));
    let house = House::start_unlogged(&manifest);
    let mut swapper = Swapper::new(house.api(), "swapped");
    let mut good = Good::start(&house, &swapper.floor, options.rate);

    println!(
        "minute   memory  threads  descriptors     served  lost  p50 ms  p99 ms  max ms  sent late ms  swaps  hostile answers"
    );
    let (begun, mut minute, mut swaps) = (Instant::now(), 1, 0);
    let (mut next_swap, mut outcomes) = (begun, Outcomes::default());
    let mut faults = Vec::new();
    let mut reference = None;
    for attack in attacks.iter().cycle() {
        let attacking = attack.start(&house, &server);
        let ends = Instant::now() + ATTACK;
        while Instant::now() < ends {
            thread::sleep(next_swap.min(ends).saturating_duration_since(Instant::now()));
            if Instant::now() >= next_swap {
                swapper.swap();
                swaps += 1;
                next_swap = Instant::now() + SWAP;
            }
        }
        let seen = attacking.stop();
        // What is missing in so short a time is no fault; what must not be, is.
        faults.extend(seen.others_than(attack).map(|outcome| format!("{}: {outcome}", attack.name)));
        outcomes.add(seen);
        good.count(attack.name);
        let Some(now) = house.held() else {
            faults.push("the house has ended".to_owned());
            break;
        };
        if begun.elapsed() >= Duration::from_secs(60) * minute {
            let [p50, p99, max, late] = good.times_ms();
            println!(
                "{minute:>6} {:>5} MiB {:>8} {:>12} {:>10} {:>5} {p50:>7.2} {p99:>7.2} {max:>7.1} {late:>13.1} {swaps:>6}  {outcomes}",
                now.memory_mib(),
                now.threads,
                now.descriptors,
                good.served,
                good.lost.len()
            );
            outcomes = Outcomes::default();
            minute += 1;
        }
        if reference.is_none() && begun.elapsed() >= options.reference() {
            reference = settled(&house, None);
        }
        if begun.elapsed() >= options.length {
            break;
        }
    }
    let end = settled(&house, reference);
    good.count("nothing");
    faults.extend(good.lost.iter().map(|why| format!("a good app: {why}")));
    report(reference, end, &good, &faults)
}

fn report(reference: Option<Held>, end: Option<Held>, good: &Good, faults: &[String]) -> bool {
    let (Some(reference), Some(end)) = (reference, end) else {
        println!("\nthe house has ended");
        return false;
    };
    println!("\nafter the reference time  {reference}");
    println!("at the end                {end}");
    let grown = !end.is_within(reference, NOISE);
    println!("{}", if grown { "GROWN beyond noise" } else { "the same, but for noise" });
    println!("good answers {}, lost or wrong {}", good.served, good.lost.len());
    for fault in faults.iter().take(50) {
        println!("- {fault}");
    }
    !grown && faults.is_empty()
}

/// What the house holds between two attacks, when what the last one made it hold is gone: the least within a time, or as
/// soon as it is within the bound.
fn settled(house: &House, bound: Option<Held>) -> Option<Held> {
    let deadline = Instant::now() + SETTLING;
    let mut least = house.held()?;
    while Instant::now() < deadline && !bound.is_some_and(|bound| least.is_within(bound, NOISE)) {
        thread::sleep(Duration::from_millis(200));
        let held = house.held()?;
        least.memory_kib = least.memory_kib.min(held.memory_kib);
        least.threads = least.threads.min(held.threads);
        least.descriptors = least.descriptors.min(held.descriptors);
    }
    Some(least)
}
