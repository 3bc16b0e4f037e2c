//! An open-loop load: requests are due at a fixed rate whatever becomes of those before them, and each is timed from when
//! it was due. So a house that stands still for a while is charged for all who would have come meanwhile.
//!
//! One thread does it over as many connections as are needed, and asks the system for precedence over what it measures.

use std::{
    collections::VecDeque,
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, epoll, poll},
    process::{Pid, getpriority_process, setpriority_process},
};

use crate::{Request, Response, Times};

/// Connections at once. Where all are busy a request waits, and its time counts.
const LANES_MAX: usize = 1_000;
/// Requests at once while it is measured how many can be served.
const LANES_FULL: usize = 16;
/// After which a request is lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether a request is lost.
const LOOK: Duration = Duration::from_millis(100);
/// How many losses are kept with their reasons.
const REASONS_MAX: usize = 20;

/// What an open-loop load came to.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// From when a request was due to the end of its answer.
    pub times: Times,
    /// From when a request was due to when it was sent, while a connection stood ready: the load's own noise, which is in
    /// the times above.
    pub late: Times,
    pub lost: usize,
    /// Why, of the first of them.
    pub reasons: Vec<String>,
}

impl Measured {
    fn lose(&mut self, why: String) {
        self.lost += 1;
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(why);
        }
    }
}

/// A load that goes on. Dropped, it stops.
pub struct Steady {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    measured: Mutex<Measured>,
}

impl Steady {
    /// Starts to ask so often in each second. Every answer must be the one that `expected` is, to the byte of its body.
    ///
    /// # Panics
    ///
    /// Where the rate is none.
    pub fn start(address: SocketAddr, request: &Request, expected: &Response, rate: f64) -> Steady {
        let interval = Duration::from_secs_f64(1.0 / rate);
        Steady::run(address, request, expected, Some(interval))
    }

    /// How many requests in a second are answered, when each of sixteen connections sends the next as soon as it has the
    /// answer.
    ///
    /// # Panics
    ///
    /// Where any is lost.
    pub fn capacity(address: SocketAddr, request: &Request, expected: &Response, length: Duration) -> f64 {
        let full = Steady::run(address, request, expected, None);
        let begun = Instant::now();
        thread::sleep(length);
        let served = full.take();
        let took = begun.elapsed();
        full.stop();
        assert_eq!(served.lost, 0, "{:#?}", served.reasons);
        served.times.count() as f64 / took.as_secs_f64()
    }

    fn run(
        address: SocketAddr,
        request: &Request,
        expected: &Response,
        interval: Option<Duration>,
    ) -> Steady {
        let shared = Arc::new(Shared::default());
        let mut asking = Asking {
            address,
            request: request.bytes(),
            expected: expected.body.clone(),
            interval,
            poll: epoll::create(epoll::CreateFlags::CLOEXEC).expect("the system's events"),
            lanes: Vec::new(),
            idle: Vec::new(),
            busy: 0,
            due: VecDeque::new(),
            behind: false,
            looked: Instant::now(),
        };
        let thread = thread::spawn({
            let shared = shared.clone();
            move || asking.run(&shared)
        });
        Steady { shared, thread: Some(thread) }
    }

    /// What came of it since the start, or since this was last called.
    pub fn take(&self) -> Measured {
        std::mem::take(&mut *self.shared.measured.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends no more, waits for the answers that are due, and gives what was not yet taken.
    ///
    /// # Panics
    ///
    /// Where the thread of the load did.
    pub fn stop(mut self) -> Measured {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the thread of the load");
        }
        self.take()
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// One connection.
struct Lane {
    socket: TcpStream,
    /// When the request that it carries was due; none where it is idle.
    due: Option<Instant>,
    answer: Vec<u8>,
}

struct Asking {
    address: SocketAddr,
    request: Vec<u8>,
    expected: Vec<u8>,
    /// Without one, a request is due whenever there are fewer than [`LANES_FULL`].
    interval: Option<Duration>,
    poll: OwnedFd,
    /// By their places, by which their events are told too.
    lanes: Vec<Option<Lane>>,
    /// Places of lanes that are idle. The one that was used last comes last, and is used first.
    idle: Vec<usize>,
    busy: usize,
    due: VecDeque<Instant>,
    /// Requests wait for a connection, since the house has kept all of them busy.
    behind: bool,
    /// When it was last looked whether any has waited for too long.
    looked: Instant,
}

impl Asking {
    fn run(&mut self, shared: &Shared) {
        take_precedence();
        let mut next = Instant::now();
        loop {
            let now = Instant::now();
            let stops = shared.stop.load(Ordering::Relaxed);
            let mut measured = Measured::default();
            if stops {
                self.due.clear();
            } else if let Some(interval) = self.interval {
                while next <= now {
                    self.due.push_back(next);
                    next += interval;
                }
            } else {
                self.due.extend((self.busy..LANES_FULL).map(|_| now));
            }
            self.send_due(&mut measured);
            let wait = if self.interval.is_some() && !stops {
                next.saturating_duration_since(Instant::now())
            } else {
                LOOK
            };
            if stops && self.busy == 0 {
                return;
            }
            self.read(wait, &mut measured);
            let mut all = shared.measured.lock().unwrap_or_else(PoisonError::into_inner);
            all.times.add(measured.times);
            all.late.add(measured.late);
            all.lost += measured.lost;
            let room = REASONS_MAX.saturating_sub(all.reasons.len());
            all.reasons.extend(measured.reasons.into_iter().take(room));
        }
    }

    fn send_due(&mut self, measured: &mut Measured) {
        while let Some(due) = self.due.front().copied() {
            let ready = self.busy < LANES_MAX;
            if !ready && due.elapsed() < PATIENCE {
                self.behind = true;
                return;
            }
            self.due.pop_front();
            if !ready {
                measured.lose("no connection was free in time".to_owned());
                continue;
            }
            let late = due.elapsed();
            match self.send(due) {
                Ok(()) if self.behind => {}
                Ok(()) => measured.late.push(late),
                Err(error) => measured.lose(format!("the request is not taken: {error}")),
            }
        }
        self.behind = false;
    }

    /// Sends on a connection that stands open, or on a new one.
    fn send(&mut self, due: Instant) -> io::Result<()> {
        let place = match self.idle.pop() {
            Some(place) => place,
            None => self.open()?,
        };
        let Some(lane) = &mut self.lanes[place] else { return Err(io::ErrorKind::NotConnected.into()) };
        lane.due = Some(due);
        lane.answer.clear();
        let sent = lane.socket.write_all(&self.request);
        match sent {
            Ok(()) => self.busy += 1,
            Err(_) => self.lanes[place] = None,
        }
        sent
    }

    fn open(&mut self) -> io::Result<usize> {
        let socket = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let place = self.lanes.iter().position(Option::is_none).unwrap_or(self.lanes.len());
        epoll::add(&self.poll, &socket, epoll::EventData::new_u64(place as u64), epoll::EventFlags::IN)?;
        let lane = Some(Lane { socket, due: None, answer: Vec::new() });
        if place == self.lanes.len() {
            self.lanes.push(lane);
        } else {
            self.lanes[place] = lane;
        }
        Ok(place)
    }

    /// Waits for answers, no longer than this, and reads what has come of them.
    fn read(&mut self, longest: Duration, measured: &mut Measured) {
        let longest = Timespec {
            tv_sec: i64::try_from(longest.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: longest.subsec_nanos().into(),
        };
        // What waits for the events themselves may count in whole milliseconds. A signal ends it early, and it is waited
        // again.
        let _ = poll(&mut [PollFd::new(&self.poll, PollFlags::IN)], Some(&longest));
        let mut events = Vec::with_capacity(LANES_MAX);
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let _ = epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), Some(&now));
        for event in &events {
            let place = event.data.u64() as usize;
            let Some(lane) = &mut self.lanes[place] else { continue };
            let Some(due) = lane.due else {
                // A house may close what was idle for long.
                self.drop_lane(place);
                continue;
            };
            match lane.read(&self.expected) {
                Ok(None) => {}
                Ok(Some(closes)) => {
                    measured.times.push(due.elapsed());
                    self.busy -= 1;
                    lane.due = None;
                    if closes {
                        self.lanes[place] = None;
                    } else {
                        self.idle.push(place);
                    }
                }
                Err(why) => {
                    measured.lose(why);
                    self.drop_lane(place);
                }
            }
        }
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            let late = |lane: &Lane| lane.due.is_some_and(|due| due.elapsed() >= PATIENCE);
            let places: Vec<usize> =
                (0..self.lanes.len()).filter(|&place| self.lanes[place].as_ref().is_some_and(late)).collect();
            for place in places {
                measured.lose(format!("no answer within {PATIENCE:?}"));
                self.drop_lane(place);
            }
        }
    }

    fn drop_lane(&mut self, place: usize) {
        match self.lanes[place].take() {
            Some(Lane { due: Some(_), .. }) => self.busy -= 1,
            _ => self.idle.retain(|&idle| idle != place),
        }
    }
}

impl Lane {
    /// Reads what has come. Once the answer is whole and right: whether the house closes after it.
    fn read(&mut self, expected: &[u8]) -> Result<Option<bool>, String> {
        let mut buffer = [0; 16 * 1024];
        let ended = match self.socket.read(&mut buffer) {
            Ok(0) => true,
            Ok(count) => {
                self.answer.extend_from_slice(&buffer[..count]);
                false
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        match Response::parse(&self.answer) {
            Ok(answer) if answer.status() == 200 && answer.body == expected => Ok(Some(answer.head.closes())),
            Ok(answer) => {
                let body = String::from_utf8_lossy(&answer.body).into_owned();
                Err(format!("status {}: {}", answer.status(), body.trim_end()))
            }
            Err(broken) if ended => Err(broken.to_string()),
            Err(_) => Ok(None),
        }
    }
}

/// Puts the calling thread before ordinary ones, as far as the system lets it.
fn take_precedence() {
    let Some(thread) = thread_id() else { return };
    let quietly = |command: &mut Command| {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    };
    if !quietly(Command::new("chrt").args(["--fifo", "--pid", "1", &thread])) {
        quietly(Command::new("renice").args(["-n", "-20", "-p", &thread]));
    }
}

/// Puts the calling thread behind others of this program and of the house.
pub(crate) fn give_precedence() {
    let number = thread_id().and_then(|thread| thread.parse().ok()).and_then(Pid::from_raw);
    // A thread that competes as others do makes the load a heavier one, and no other.
    if let Ok(nice) = getpriority_process(number) {
        let _ = setpriority_process(number, (nice + 10).min(19));
    }
}

/// How the kernel calls this thread (`proc_thread-self(5)`).
fn thread_id() -> Option<String> {
    let link = fs::read_link("/proc/thread-self").ok()?;
    Some(link.file_name()?.to_str()?.to_owned())
}
