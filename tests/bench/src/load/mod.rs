//! The load: connections on one thread that ask for one page over and over, compare every answer with the expected one,
//! and take the time of each.

mod connection;
mod expected;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::{task::JoinSet, time::timeout};

use self::connection::Connection;
pub use self::expected::{Expected, Gap};
use crate::statistics::percentile;

/// How long a server may owe answers when the load is over.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked of whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Load {
    pub address: SocketAddr,
    /// In turn.
    pub hosts: Vec<String>,
    pub path: String,
    pub connections: usize,
    pub until: Until,
    pub expected: Expected,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Until {
    Time(Duration),
    /// So many requests.
    Count(usize),
}

/// What a load came to. No answer was wrong.
#[derive(Debug)]
pub struct Served {
    pub elapsed: Duration,
    /// Seconds from each request to the end of its answer.
    pub latencies: Vec<f64>,
}

impl Served {
    pub fn requests(&self) -> usize {
        self.latencies.len()
    }

    pub fn per_second(&self) -> f64 {
        self.requests() as f64 / self.elapsed.as_secs_f64()
    }

    /// Milliseconds; NaN where nothing was asked.
    pub fn percentile_ms(&mut self, percent: f64) -> f64 {
        percentile(&mut self.latencies, percent).map_or(f64::NAN, |seconds| seconds * 1000.0)
    }
}

impl Load {
    /// A load of one request.
    pub fn once(address: SocketAddr, host: &str, path: &str, expected: Expected) -> Load {
        let (hosts, path) = (vec![host.to_owned()], path.to_owned());
        Load { address, hosts, path, connections: 1, until: Until::Count(1), expected }
    }

    #[must_use]
    pub fn with(mut self, connections: usize, until: Until) -> Load {
        self.connections = connections;
        self.until = until;
        self
    }

    /// # Errors
    ///
    /// The first answer that was wrong or lost.
    pub fn run(&self) -> Result<Served> {
        let begun = Instant::now();
        let (ends, left, patience) = match self.until {
            Until::Time(time) => (Some(begun + time), usize::MAX, time + PATIENCE),
            Until::Count(count) => (None, count, 10 * PATIENCE),
        };
        let latencies = runtime()?.block_on(async {
            let shared = Arc::new(Shared { ends, left: AtomicUsize::new(left) });
            let mut clients = JoinSet::new();
            let requests: Arc<[Vec<u8>]> = self.hosts.iter().map(|host| self.request(host)).collect();
            for number in 0..self.connections {
                // Each begins elsewhere, or all would ask for the same one at once.
                let first = number * requests.len() / self.connections;
                let client =
                    client(self.address, requests.clone(), first, self.expected.clone(), shared.clone());
                clients.spawn(client);
            }
            let mut latencies = Vec::new();
            let all = async {
                while let Some(client) = clients.join_next().await {
                    latencies.extend(client??);
                }
                anyhow::Ok(())
            };
            timeout(patience, all).await.context("answers are lost: none comes any more")??;
            anyhow::Ok(latencies)
        });
        let latencies = latencies.with_context(|| format!("http://{}{}", self.address, self.path))?;
        Ok(Served { elapsed: begun.elapsed(), latencies })
    }

    fn request(&self, host: &str) -> Vec<u8> {
        format!("GET {} HTTP/1.1\r\nhost: {host}\r\n\r\n", self.path).into_bytes()
    }
}

/// Asks for a page once and gives its body, whatever it is.
///
/// # Errors
///
/// No answer, or another status than 200.
pub fn fetch(address: SocketAddr, host: &str, path: &str) -> Result<Vec<u8>> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    runtime()?.block_on(async {
        let mut connection = Connection::new(address);
        let answer = timeout(PATIENCE, connection.ask(request.as_bytes())).await.context("no answer")??;
        anyhow::ensure!(
            answer.status == 200,
            "http://{host}{path}: status {}: {}",
            answer.status,
            String::from_utf8_lossy(answer.body)
        );
        Ok(answer.body.to_owned())
    })
}

/// Asks one host after another for `/`, once each, over one connection. Gives the seconds that each answer took.
///
/// # Errors
///
/// The first answer that was wrong or lost.
pub fn each_once(address: SocketAddr, hosts: &[(String, Expected)]) -> Result<Vec<f64>> {
    runtime()?.block_on(async {
        let mut connection = Connection::new(address);
        connection.open().await?;
        let mut latencies = Vec::with_capacity(hosts.len());
        for (host, expected) in hosts {
            let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
            let begun = Instant::now();
            let answer = timeout(PATIENCE, connection.ask(request.as_bytes())).await.context("no answer")?;
            let answer = answer.with_context(|| format!("http://{host}/"))?;
            latencies.push(begun.elapsed().as_secs_f64());
            expected.check(answer.status, answer.body).with_context(|| format!("http://{host}/"))?;
        }
        Ok(latencies)
    })
}

struct Shared {
    ends: Option<Instant>,
    /// Requests that nobody has begun.
    left: AtomicUsize,
}

impl Shared {
    fn goes_on(&self, now: Instant) -> bool {
        match self.ends {
            Some(ends) => now < ends,
            None => {
                let take = |left: usize| left.checked_sub(1);
                self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
            }
        }
    }
}

async fn client(
    address: SocketAddr,
    requests: Arc<[Vec<u8>]>,
    first: usize,
    expected: Expected,
    shared: Arc<Shared>,
) -> Result<Vec<f64>> {
    let mut connection = Connection::new(address);
    let mut latencies = Vec::new();
    let mut begun = Instant::now();
    for request in requests.iter().cycle().skip(first) {
        if !shared.goes_on(begun) {
            break;
        }
        let told = || format!("{:?}", String::from_utf8_lossy(request));
        let answer = connection.ask(request).await.with_context(told)?;
        let ended = Instant::now();
        expected.check(answer.status, answer.body).with_context(told)?;
        latencies.push((ended - begun).as_secs_f64());
        begun = ended;
    }
    Ok(latencies)
}

/// One thread: it shares the cores with the server, as wrk with one thread does.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the load")
}
