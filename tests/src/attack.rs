//! Attacks of one app of a house upon all else in it: what the app does, how it is asked, and which answers are safe.

mod cases;

use std::{
    collections::BTreeMap,
    fmt,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{Admin, BAD_ADDRESS, Connection, House, Manifest, PATIENCE, Request, steady::give_precedence};

/// Connections that the server keeps open which hostile apps connect to.
const KEPT_MAX: usize = 4_000;
/// The stack of a client's thread, of which there may be thousands.
const STACK_BYTES: usize = 128 * 1024;

/// How hard it is attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// With the times that an operator may give an app.
    Full,
    /// With times so short that each limit is soon met.
    Short,
}

/// One attack.
#[derive(Clone, Copy)]
pub struct Attack {
    /// The name of the case.
    pub name: &'static str,
    /// What the app does, for people.
    pub what: &'static str,
    guest: &'static str,
    /// Keys of the app beside its times; `{server}` as in [`By::Get`].
    keys: &'static str,
    by: By,
    connections: usize,
    /// The outcomes that are safe. The first must be seen.
    pub safe: &'static [&'static str],
}

/// How the app is made to do it.
#[derive(Clone, Copy)]
enum By {
    /// GET of this target. `{server}` stands for the address of a server that takes connections and says nothing.
    Get(&'static str),
    /// POST of a body of so many MiB.
    Post(usize),
    /// Swaps, each with a setting that makes its initialisation compute for ever.
    Swap,
}

/// How often each outcome was seen: a status; `200, cut` for an answer that broke off; `closed` where there was none;
/// `hung` where a client gave up.
#[derive(Debug, Clone, Default)]
pub struct Outcomes(BTreeMap<String, u64>);

impl Outcomes {
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    pub fn add(&mut self, other: Outcomes) {
        for (outcome, count) in other.0 {
            *self.0.entry(outcome).or_default() += count;
        }
    }

    /// What of it is not safe.
    pub fn others_than(&self, attack: &Attack) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|outcome| !attack.safe.contains(outcome))
    }

    /// What of it is not safe, or missing.
    pub fn unsafe_for(&self, attack: &Attack) -> Option<String> {
        if let Some(other) = self.others_than(attack).next() {
            return Some(format!("{other} is not among {:?}", attack.safe));
        }
        let first = attack.safe.first()?;
        (!self.0.contains_key(*first)).then(|| format!("{first} was never seen"))
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (outcome, count)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(out, "{comma}{count} × {outcome}")?;
        }
        Ok(())
    }
}

impl Attack {
    /// All of them.
    pub fn all() -> &'static [Attack] {
        cases::ALL
    }

    /// # Panics
    ///
    /// Where there is none of that name.
    pub fn named(name: &str) -> &'static Attack {
        Attack::all()
            .iter()
            .find(|attack| attack.name == name)
            .unwrap_or_else(|| panic!("there is no attack {name:?}"))
    }

    /// Adds the app to a house. `server` is what it may connect to, where that is its way.
    #[must_use]
    pub fn app(&self, manifest: Manifest, strength: Strength, server: &Silent) -> Manifest {
        let times = match strength {
            Strength::Full => "cpu-ms = 1000\nlimits.request-ms = 3000\nlimits.stream-ms = 4000",
            Strength::Short => "cpu-ms = 300\nlimits.request-ms = 1000\nlimits.stream-ms = 1500",
        };
        let keys = self.keys.replace("{server}", &server.address.to_string());
        manifest.app(&self.app_name(), self.guest, &format!("limits.{times}\n{keys}"))
    }

    /// Begins. `server` is the one that [`Attack::app`] was told.
    pub fn start(&self, house: &House, server: &Silent) -> Attacking {
        let shared = Arc::new(Shared::default());
        let request = self.request(server);
        let threads = (0..self.connections)
            .map(|number| {
                let (shared, request, app) = (shared.clone(), request.clone(), self.app_name());
                let (address, by, admin) =
                    (house.address(), self.by, matches!(self.by, By::Swap).then(|| house.api()));
                let client = move || {
                    give_precedence();
                    match admin {
                        Some(admin) => swap(&admin, &app, number, &shared),
                        None => ask(address, &request, by, &shared),
                    }
                };
                thread::Builder::new().stack_size(STACK_BYTES).spawn(client).expect("a thread for a client")
            })
            .collect();
        Attacking { shared, threads }
    }

    /// So that all attacks may live in one house.
    fn app_name(&self) -> String {
        format!("hostile-{}", self.name)
    }

    fn request(&self, server: &Silent) -> Request {
        let host = format!("{}.test", self.app_name());
        match self.by {
            By::Get(target) => Request::get(&host, &target.replace("{server}", &server.address.to_string())),
            By::Post(mib) => Request::post(&host, "/", vec![b'x'; mib << 20]),
            By::Swap => Request::get(&host, "/"),
        }
    }
}

/// An attack that goes on. Dropped, it stops.
pub struct Attacking {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    outcomes: Mutex<Outcomes>,
    news: Condvar,
}

impl Shared {
    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn note(&self, outcome: String) {
        *self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).0.entry(outcome).or_default() += 1;
        self.news.notify_all();
    }
}

impl Attacking {
    /// Waits until there have been so many outcomes.
    ///
    /// # Panics
    ///
    /// When there are not.
    pub fn wait_for(&self, count: u64) {
        let outcomes = self.shared.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let few = |outcomes: &mut Outcomes| outcomes.count() < count;
        let (outcomes, late) = self
            .shared
            .news
            .wait_timeout_while(outcomes, PATIENCE, few)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!late.timed_out(), "waited for {count} outcomes: {outcomes}");
    }

    pub fn outcomes(&self) -> Outcomes {
        self.shared.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets every client have its answer, and gives all outcomes.
    ///
    /// # Panics
    ///
    /// Where a client did.
    pub fn stop(mut self) -> Outcomes {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a client of the attack");
        }
        self.outcomes()
    }
}

impl Drop for Attacking {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// Asks again and again on one connection, as long as the house keeps it.
fn ask(address: SocketAddr, request: &Request, by: By, shared: &Shared) {
    let bytes = request.bytes();
    let mut connection = None;
    while !shared.stops() {
        let open = connection.take().map_or_else(|| Connection::try_tcp_from(BAD_ADDRESS, address), Ok);
        let outcome = match open {
            Ok(mut open) => {
                let (outcome, keeps) = once(&mut open, &bytes, request.method());
                // What was not read of a body stands between its answer and the next.
                connection = (keeps && !matches!(by, By::Post(_))).then_some(open);
                outcome
            }
            Err(error) => error.kind().to_string(),
        };
        shared.note(outcome);
    }
}

/// Asks once: what came of it, and whether the connection is of further use.
fn once(connection: &mut Connection, request: &[u8], method: &str) -> (String, bool) {
    let begun = Instant::now();
    // A house that refuses a body may close before it has read it: its answer counts.
    let _ = connection.try_send(request);
    let gave_up = || begun.elapsed() >= PATIENCE;
    match connection.try_head() {
        Ok(head) => match connection.discard(&head, method) {
            Ok(()) => (head.status.to_string(), !head.closes()),
            Err(_) if gave_up() => (format!("{}, hung", head.status), false),
            Err(_) => (format!("{}, cut", head.status), false),
        },
        Err(_) if gave_up() => ("hung".to_owned(), false),
        Err(_) => ("closed".to_owned(), false),
    }
}

fn swap(admin: &Admin, app: &str, client: usize, shared: &Shared) {
    for number in 0_u64.. {
        if shared.stops() {
            return;
        }
        // Each is another image: one that is known to be impossible is not taken again.
        let settings = json!({ "MARK": format!("{client}-{number}"), "DO": "spin" });
        shared.note(match admin.try_swap(app, &json!({ "settings": settings })) {
            Ok(reply) => reply.status.to_string(),
            Err(_) => "closed".to_owned(),
        });
    }
}

/// A server that takes connections, says nothing on them, and keeps them open.
pub struct Silent {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Silent {
    /// # Panics
    ///
    /// Where there is no port for it.
    pub fn start() -> Silent {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = stop.clone();
            move || {
                give_precedence();
                let mut kept = std::collections::VecDeque::new();
                for connection in listener.incoming() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    match connection {
                        Ok(connection) => kept.push_back(connection),
                        Err(_) => thread::sleep(Duration::from_millis(10)),
                    }
                    if kept.len() > KEPT_MAX {
                        kept.pop_front();
                    }
                }
            }
        });
        Silent { address, stop, thread: Some(thread) }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A connection wakes it.
        let woken = std::net::TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}
