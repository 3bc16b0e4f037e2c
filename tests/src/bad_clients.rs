//! Bad clients: each does one thing that a good one does not, many at once, and is held against what the house has to make
//! of it: an answer of a known status, or none; the end of the connection within a bound; good neighbours that are
//! answered all the while; and memory by the connection.

mod cases;
mod wire;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    ops::RangeInclusive,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use self::wire::Wire;
pub use self::{cases::all, wire::End};
use crate::{BAD_ADDRESS, Client, House, Load, Manifest, Memory, PATIENCE, Times, steady::give_precedence};

/// One way to be a bad client.
pub struct BadClient {
    pub name: &'static str,
    /// What it sends, in words.
    pub sends: &'static str,
    play: fn(&mut Wire),
    expected: Expected,
}

/// What a bad client may get.
struct Expected {
    /// Statuses of the first answer; what is not in there is a fault.
    statuses: &'static [u16],
    /// Whether a connection may end without any answer.
    silence: bool,
    /// Answers on one connection.
    answers: RangeInclusive<usize>,
}

/// The limits of a front door, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Door {
    pub header_ms: u64,
    pub idle_ms: u64,
    pub body_ms: u64,
    pub request_ms: u64,
    pub stream_ms: u64,
}

/// What became of many of one kind.
pub struct Seen {
    pub connections: usize,
    /// First statuses, `None` where no answer came, with the ways in which the connections ended.
    pub outcomes: BTreeMap<(Option<u16>, End), usize>,
    /// From the first connection to the moment at which the house has none of them any more.
    pub gone_after: Duration,
    /// How much the house's resident memory rose at most, KiB.
    pub growth_kib: u64,
    /// The neighbours' answers meanwhile.
    pub neighbours: Times,
    /// What is not as it must be.
    pub faults: Vec<String>,
}

/// The neighbours of bad clients: one keeps its connection, one has another for each request.
const NEIGHBOURS: usize = 2;
const NEIGHBOURS_PACE: Duration = Duration::from_millis(10);

impl Door {
    /// The house whose door this is, with so many connections for a client.
    pub fn manifest(&self, connections_per_client: usize) -> Manifest {
        let Door { header_ms, idle_ms, body_ms, request_ms, stream_ms } = self;
        let server = format!(
            "header-ms = {header_ms}\nidle-ms = {idle_ms}\nbody-ms = {body_ms}\nheader-kib = 16\n\
             connections-per-client = {connections_per_client}"
        );
        let limits = format!(
            "limits = {{ request-ms = {request_ms}, stream-ms = {stream_ms}, queue-ms = {request_ms}, body-mib = 1, \
             queue = 10000 }}"
        );
        ["sink", "stream", "endless", "wait"]
            .iter()
            .fold(Manifest::new().server(&server), |manifest, app| manifest.app(app, app, &limits))
            .app("good", "hello-rust", "")
    }

    /// When the last connection must be gone.
    fn bound(&self) -> Duration {
        let Door { header_ms, idle_ms, body_ms, request_ms, stream_ms } = self;
        // A request waits in the queue at most as long as it may take.
        Duration::from_millis(header_ms + idle_ms + 2 * body_ms + 2 * request_ms + stream_ms) + PATIENCE / 4
    }
}

impl BadClient {
    /// Plays so many of these at once against a house of this door, beside good neighbours.
    ///
    /// # Panics
    ///
    /// When the house does not come up.
    pub fn play(&self, count: usize, door: &Door) -> Seen {
        let house = House::start_unlogged(&door.manifest(count + 1));
        let good = Client::new("good.test", "/").paced(NEIGHBOURS_PACE);
        let neighbours = [good.clone(), good.fresh()];
        // What the house allocates once, it has allocated.
        let load = Load::start(house.address(), &neighbours);
        load.wait_for_answers(100);
        self.attack(1, house.address(), door);
        let mut faults = load.stop().lost;
        let load = Load::start(house.address(), &neighbours);
        let before = house.memory().now_kib;
        Memory::reset_peak(house.pid());

        let (seen, gone_after) = thread::scope(|scope| {
            let attack = scope.spawn(|| self.attack(self.connections(count), house.address(), door));
            let gone_after = gone(&house, || attack.is_finished());
            (attack.join().expect("the bad clients end"), gone_after)
        });
        let growth_kib = house.memory().peak_kib.saturating_sub(before);
        load.wait_for_answers(10);
        let served = load.stop();
        faults.extend(served.lost);
        faults.extend(seen.iter().filter_map(|wire| self.fault(wire)));
        match gone_after {
            Some(after) if after <= door.bound() => {}
            after => faults.push(format!("connections are held: {after:?} of {:?}", door.bound())),
        }
        let mut outcomes = BTreeMap::new();
        for wire in &seen {
            *outcomes.entry((wire.status(), wire.end)).or_default() += 1;
        }
        let gone_after = gone_after.unwrap_or(Duration::MAX);
        let connections = seen.len();
        Seen { connections, outcomes, gone_after, growth_kib, neighbours: served.times, faults }
    }

    /// How many connections stand for `count` clients.
    fn connections(&self, count: usize) -> usize {
        if self.expected.statuses == cases::BEYOND { 2 * count } else { count }
    }

    fn attack(&self, connections: usize, house: SocketAddr, door: &Door) -> Vec<Wire> {
        let all_connected = Barrier::new(connections);
        thread::scope(|scope| {
            let one = || {
                // What the clients' own computing takes from their neighbours' is not the house's doing.
                give_precedence();
                let mut wire = Wire::new(BAD_ADDRESS, house, *door);
                all_connected.wait();
                (self.play)(&mut wire);
                wire.close();
                wire
            };
            let threads: Vec<_> = (0..connections)
                .map(|_| {
                    let thread = thread::Builder::new().stack_size(256 * 1024);
                    thread.spawn_scoped(scope, one).expect("a thread")
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a bad client")).collect()
        })
    }

    fn fault(&self, wire: &Wire) -> Option<String> {
        let Expected { statuses, silence, answers } = &self.expected;
        if wire.end == End::Open {
            return Some("the house keeps the connection open".into());
        }
        match wire.status() {
            None if *silence => None,
            None => Some("no answer".into()),
            Some(status) if !statuses.contains(&status) => Some(format!("status {status}")),
            Some(_) if !answers.contains(&wire.answers()) => Some(format!("{} answers", wire.answers())),
            Some(_) => None,
        }
    }
}

/// Waits until the clients are at their end, and the house has no more connections than those of the neighbours: when it
/// was seen with more of them for the last time.
fn gone(house: &House, ended: impl Fn() -> bool) -> Option<Duration> {
    let api = house.api();
    let begun = Instant::now();
    let mut held = Duration::ZERO;
    while begun.elapsed() < 3 * PATIENCE {
        let ended = ended();
        let connections = api.status()["connections"].as_u64().expect("a number");
        if connections > NEIGHBOURS as u64 {
            held = begun.elapsed();
        } else if ended {
            return Some(held);
        }
        // The pace of asking, not a wait for anything.
        thread::sleep(Duration::from_millis(10));
    }
    None
}
