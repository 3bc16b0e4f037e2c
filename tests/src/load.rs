//! A load generator: clients that ask a house until they are told to stop, hold every answer against what is known, and
//! count what is lost.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{Connection, PATIENCE, Request, Response};

/// What is called as a request begins, and gives what judges its answer.
pub type Check = Arc<dyn Fn() -> Box<dyn FnOnce(&Response) -> Result<(), String>> + Send + Sync>;

/// One client of the load.
#[derive(Clone)]
pub struct Client {
    pub host: String,
    pub path: String,
    /// Whether all its requests go over one connection, or each over one of its own.
    pub keep_alive: bool,
    /// The time from the beginning of one request to the next; without it the next follows upon the answer.
    pub pace: Option<Duration>,
    pub check: Check,
}

impl Client {
    /// A client that wants an answer with status 200.
    pub fn new(host: &str, path: &str) -> Client {
        let check: Check = Arc::new(|| {
            Box::new(|answer| match answer.status() {
                200 => Ok(()),
                status => Err(format!("status {status}: {}", String::from_utf8_lossy(&answer.body))),
            })
        });
        Client { host: host.to_owned(), path: path.to_owned(), keep_alive: true, pace: None, check }
    }

    #[must_use]
    pub fn fresh(mut self) -> Client {
        self.keep_alive = false;
        self
    }

    #[must_use]
    pub fn paced(mut self, pace: Duration) -> Client {
        self.pace = Some(pace);
        self
    }

    #[must_use]
    pub fn checked(mut self, check: Check) -> Client {
        self.check = check;
        self
    }
}

/// What a load came to.
#[derive(Debug, Clone, Default)]
pub struct Served {
    /// The times of the answers that were right.
    pub times: Times,
    /// Requests without an answer, with a broken one or with a wrong one: what was wrong.
    pub lost: Vec<String>,
}

impl Served {
    pub fn add(&mut self, other: Served) {
        self.times.add(other.times);
        self.lost.extend(other.lost);
    }

    /// # Panics
    ///
    /// Where anything was lost, or nothing was asked.
    pub fn assert_nothing_lost(&self) {
        let shown = &self.lost[..self.lost.len().min(20)];
        assert!(shown.is_empty(), "{} lost of {}: {shown:#?}", self.lost.len(), self.times.count());
        assert!(self.times.count() > 0, "nothing was asked");
    }
}

/// Many times of one kind.
#[derive(Debug, Clone, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn add(&mut self, other: Times) {
        self.0.extend(other.0);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that this part of them does not exceed, in milliseconds; none of none.
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

/// A load that goes on. Dropped, it stops.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// What was served since it was last taken.
    served: Mutex<Served>,
    news: Condvar,
}

impl Load {
    /// Starts the clients, and waits until each has had an answer or lost one.
    pub fn start(address: SocketAddr, clients: &[Client]) -> Load {
        let shared = Arc::new(Shared::default());
        let threads: Vec<_> = clients
            .iter()
            .map(|client| {
                let (shared, client) = (shared.clone(), client.clone());
                thread::spawn(move || client.run(address, &shared))
            })
            .collect();
        let load = Load { shared, threads };
        load.wait_for_answers(clients.len());
        load
    }

    /// Waits until so many more requests have been answered or lost.
    ///
    /// # Panics
    ///
    /// When they are not.
    pub fn wait_for_answers(&self, count: usize) {
        let served = self.shared.served.lock().unwrap();
        let before = served.times.count() + served.lost.len();
        let few = |served: &mut Served| served.times.count() + served.lost.len() < before + count;
        let (served, late) = self.shared.news.wait_timeout_while(served, PATIENCE, few).unwrap();
        drop(served);
        assert!(!late.timed_out(), "the load stands still");
    }

    /// What was served since the start, or since this was last called.
    pub fn take(&self) -> Served {
        std::mem::take(&mut *self.shared.served.lock().unwrap())
    }

    /// Lets every client finish its request, and gives what was served and not yet taken.
    ///
    /// # Panics
    ///
    /// Where a client did.
    pub fn stop(mut self) -> Served {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a client of the load");
        }
        self.take()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Client {
    fn run(&self, address: SocketAddr, shared: &Shared) {
        let request = Request::get(&self.host, &self.path);
        let request = if self.keep_alive { request } else { request.header("connection", "close") };
        let request = request.bytes();
        let mut connection = None;
        let mut due = Instant::now();
        while !shared.stop.load(Ordering::Relaxed) {
            let begun = self.wait_until_due(&mut due);
            let judge = (self.check)();
            let outcome = ask(&mut connection, address, &request).and_then(|answer| {
                if !self.keep_alive || answer.head.closes() {
                    connection = None;
                }
                judge(&answer)
            });
            let took = begun.elapsed();
            let lost = outcome.is_err();
            let mut served = shared.served.lock().unwrap();
            match outcome {
                Ok(()) => served.times.push(took),
                Err(why) => served.lost.push(format!("{} {}: {why}", self.host, self.path)),
            }
            drop(served);
            shared.news.notify_all();
            if lost {
                connection = None;
                // A house that is gone is not asked a million times.
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// A request that an earlier one held up began when it was due: a stall counts for all whom it would have met.
    fn wait_until_due(&self, due: &mut Instant) -> Instant {
        let Some(pace) = self.pace else { return Instant::now() };
        let this = *due;
        *due += pace;
        match this.checked_duration_since(Instant::now()) {
            Some(early) => {
                thread::sleep(early);
                Instant::now()
            }
            None => this,
        }
    }
}

fn ask(connection: &mut Option<Connection>, address: SocketAddr, request: &[u8]) -> Result<Response, String> {
    if connection.is_none() {
        *connection = Some(Connection::try_tcp(address).map_err(|error| format!("no connection: {error}"))?);
    }
    let open = connection.as_mut().ok_or("no connection")?;
    open.try_send(request).map_err(|error| format!("the request is not taken: {error}"))?;
    open.try_response("GET").map_err(|broken| broken.to_string())
}
