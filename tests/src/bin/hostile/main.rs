//! What a hostile app costs its neighbours, as a table: for each attack a house with two well-behaved apps that are asked
//! at a steady rate, and one that attacks at full load.
//!
//! It builds the house and the guests, and starts the houses on ports of their own. Exit code 0: no request of a
//! neighbour was lost, no p99 was above the bound, and the hostile app had none but safe answers; 1: anything else.

mod options;

use std::{
    env,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use guesthouse_tests::{
    Attack, Cores, Held, House, Manifest, Measured, Outcomes, Request, Response, Silent, Steady, Strength,
    build_house,
};

use crate::options::Options;

/// The neighbours: one whose instances are reused, and one with a fresh instance for each request.
const NEIGHBOURS: [(&str, &str); 2] = [("reused", "reuse"), ("fresh", "request")];
/// How long an attack goes on before it is measured beside.
const WARM_UP: Duration = Duration::from_secs(2);
/// Before the first of all: a neighbour that was never asked is slow at first.
const CAPACITY: Duration = Duration::from_secs(4);
/// What a house may take to let go of what an attack made it hold.
const SETTLING: Duration = Duration::from_secs(15);

/// What differs between two equal moments: memory in KiB, threads, descriptors.
const NOISE: Held = Held { memory_kib: 16 * 1024, threads: 2, descriptors: 4 };

fn main() -> ExitCode {
    let options = match Options::parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    if options.list {
        Attack::all().iter().for_each(|attack| println!("{:20} {}", attack.name, attack.what));
        return ExitCode::SUCCESS;
    }
    build_house();
    if run(&options) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One neighbour with the rate at which it is asked.
struct Neighbour {
    request: Request,
    expected: Response,
    rate: f64,
}

fn run(options: &Options) -> bool {
    let server = Silent::start();
    let alone = House::start_unlogged(&neighbours());
    let neighbours = NEIGHBOURS.map(|(name, _)| measured_alone(&alone, name, options.rate));
    drop(alone);
    println!(
        "\nNeighbours are asked {:.0} (reused) and {:.0} (fresh) times a second for {} s each, by turns; times in ms.\n",
        neighbours[0].rate,
        neighbours[1].rate,
        options.length.as_secs()
    );
    println!(
        "| case | reused p50 | p99 | max | lost | fresh p50 | p99 | max | lost | sent late p99 | cores taken | answers of the hostile app \
         | house before | at the end | settled |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|---|---|---|");
    let mut faults = Vec::new();
    let attacks = options.cases.iter().map(|attack| Some(*attack));
    for attack in std::iter::once(None).chain(attacks) {
        let name = attack.map_or("none", |attack| attack.name);
        let row = beside(attack, &neighbours, options.length, &server);
        println!("| {name} {row}");
        faults
            .extend(row.faults(attack, options.bound_ms).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    println!();
    faults.iter().for_each(|fault| println!("- {fault}"));
    faults.is_empty()
}

fn neighbours() -> Manifest {
    NEIGHBOURS.iter().fold(Manifest::new(), |manifest, (name, isolation)| {
        manifest.app(name, "hello-rust", &format!("instances.isolation = {isolation:?}"))
    })
}

fn measured_alone(house: &House, name: &str, part: f64) -> Neighbour {
    let request = Request::get(&format!("{name}.test"), "/");
    let expected = house.send(&request);
    assert_eq!(expected.status(), 200, "{}", expected.text());
    // Not what a house does that was just started.
    Steady::capacity(house.address(), &request, &expected, WARM_UP);
    let capacity = Steady::capacity(house.address(), &request, &expected, CAPACITY);
    println!("{name:8} alone: {capacity:.0} requests a second");
    Neighbour { request, expected, rate: capacity * part }
}

/// What was measured beside one attack.
struct Row {
    neighbours: Vec<Measured>,
    /// Which part of the cores' time another machine had meanwhile, in percent.
    taken: Option<f64>,
    outcomes: Outcomes,
    before: Option<Held>,
    at_end: Option<Held>,
    settled: Option<Held>,
}

fn beside(attack: Option<&Attack>, neighbours: &[Neighbour], length: Duration, server: &Silent) -> Row {
    let manifest = self::neighbours();
    let manifest = match attack {
        Some(attack) => attack.app(manifest, Strength::Full, server),
        None => manifest,
    };
    let house = House::start_unlogged(&manifest);
    for neighbour in neighbours {
        // So that neither is asked for the first time under the attack, nor the memory before it that of a new house.
        Steady::capacity(house.address(), &neighbour.request, &neighbour.expected, WARM_UP);
    }
    let before = house.held();
    let attacking = attack.map(|attack| attack.start(&house, server));
    let cores = Cores::now();
    let measured = neighbours.iter().map(|Neighbour { request, expected, rate }| {
        let load = Steady::start(house.address(), request, expected, *rate);
        thread::sleep(WARM_UP);
        // What was lost at the beginning counts, what was slow is told apart.
        let mut measured = load.take();
        thread::sleep(length);
        let rest = load.stop();
        measured.times = rest.times;
        measured.late = rest.late;
        measured.lost += rest.lost;
        measured.reasons.extend(rest.reasons);
        measured
    });
    let neighbours = measured.collect();
    let taken = cores.and_then(Cores::taken_percent);
    let at_end = house.held();
    let outcomes = attacking.map(guesthouse_tests::Attacking::stop).unwrap_or_default();
    Row { neighbours, taken, outcomes, before, at_end, settled: settled(&house, before) }
}

/// What the house holds once it has let go, or when patience ends.
fn settled(house: &House, before: Option<Held>) -> Option<Held> {
    let deadline = Instant::now() + SETTLING;
    loop {
        let (held, before) = (house.held()?, before?);
        if held.is_within(before, NOISE) || Instant::now() >= deadline {
            return Some(held);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

impl Row {
    fn faults(&self, attack: Option<&Attack>, bound_ms: f64) -> Vec<String> {
        let mut faults = Vec::new();
        for (measured, (name, _)) in self.neighbours.iter().zip(NEIGHBOURS) {
            let p99 = measured.times.percentile_ms(99.0);
            if measured.lost > 0 {
                faults.push(format!(
                    "{name}: {} lost, such as {:?}",
                    measured.lost,
                    measured.reasons.first()
                ));
            }
            // Nothing was measured where it is no number.
            if p99.is_nan() || p99 > bound_ms {
                faults.push(format!("{name}: the p99 of {p99:.1} ms is above {bound_ms} ms"));
            }
        }
        if let Some(attack) = attack {
            faults.extend(self.outcomes.unsafe_for(attack));
        }
        if self.settled.is_none() {
            faults.push("the house has ended".to_owned());
        }
        faults
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut late: f64 = 0.0;
        for measured in &self.neighbours {
            let [p50, p99, max] = [50.0, 99.0, 100.0].map(|percent| measured.times.percentile_ms(percent));
            write!(out, "| {p50:.2} | {p99:.2} | {max:.1} | {} ", measured.lost)?;
            late = late.max(measured.late.percentile_ms(99.0));
        }
        let taken = self.taken.map_or("unknown".to_owned(), |taken| format!("{taken:.1} %"));
        let held = |held: Option<Held>| held.map_or("gone".to_owned(), |held| held.to_string());
        write!(
            out,
            "| {late:.2} | {taken} | {} | {} | {} | {} |",
            self.outcomes,
            held(self.before),
            held(self.at_end),
            held(self.settled)
        )
    }
}
