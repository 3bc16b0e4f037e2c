//! Places for connections: so many in all, and so many for each client.
//!
//! A client is an address, of IPv6 the network of 64 bits that one subscriber has at least (RFC 6177). Peers that speak for
//! others, trusted proxies and Unix sockets, are not counted as clients.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::lock;
use crate::{forwarded::Peer, plan, turns::Turns};

/// Connections at once that are told why they are refused; others are only closed.
const REFUSALS_MAX: usize = 1024;
/// From one refusal to the next, of all clients: whoever opens another connection as soon as one is refused has to wait, and
/// the threads that serve have time for all else.
const REFUSAL_PAUSE: Duration = Duration::from_millis(1);
/// Between two log lines about refused connections.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// All places of a server.
pub(super) struct Places {
    in_all: Mutex<InAll>,
    clients: Arc<Clients>,
    refusals: Arc<Semaphore>,
    turns: Arc<Turns>,
    refused: AtomicU64,
    logged: Mutex<Logged>,
}

/// Places of all clients together. When their number changes, connections that have one keep it.
struct InAll {
    max: usize,
    free: Arc<Semaphore>,
}

/// Connections that are open, by client.
#[derive(Default)]
struct Clients(Mutex<HashMap<IpAddr, usize>>);

/// When the log last told of refused connections, and how many there had been.
#[derive(Default)]
struct Logged {
    at: Option<Instant>,
    refused: u64,
}

/// A client's place. Dropped, it is free.
pub(super) struct Place(Option<(IpAddr, Arc<Clients>)>);

/// A connection has no place, since its client has as many as it may.
pub(super) struct Full {
    /// The place of the refusal; `None` where so many are being refused that this one is only closed.
    told: Option<OwnedSemaphorePermit>,
    turns: Arc<Turns>,
}

impl Full {
    /// Waits until the connection's turn to be told has come: at once, where few are refused. False where it is none of those
    /// that are told.
    pub(super) async fn turn(&self) -> bool {
        if self.told.is_some() {
            self.turns.wait().await;
        }
        self.told.is_some()
    }
}

impl Places {
    pub(super) fn new(max: usize) -> Self {
        Self {
            in_all: Mutex::new(InAll::new(max)),
            clients: Arc::default(),
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
            turns: Arc::new(Turns::new(REFUSAL_PAUSE)),
            refused: AtomicU64::new(0),
            logged: Mutex::default(),
        }
    }

    /// The places of all clients together, of which there are so many from now on.
    pub(super) fn in_all(&self, max: usize) -> Arc<Semaphore> {
        let mut in_all = lock(&self.in_all);
        if in_all.max != max {
            *in_all = InAll::new(max);
        }
        in_all.free.clone()
    }

    /// A place for a connection of this peer.
    pub(super) fn take(&self, peer: Peer, server: &plan::Server) -> Result<Place, Full> {
        let Some(client) = client(peer, server) else { return Ok(Place(None)) };
        let max = server.connections_per_client_max;
        if self.clients.enter(client, max) {
            return Ok(Place(Some((client, self.clients.clone()))));
        }
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(since) = lock(&self.logged).due(refused) {
            tracing::warn!(
                "{since} connection(s) refused, the latest of {client}, which has {max}: as many as \
                 `[server] connections-per-client` allows (name it in `trusted-proxies` if it is your proxy)"
            );
        }
        Err(Full { told: self.refusals.clone().try_acquire_owned().ok(), turns: self.turns.clone() })
    }

    /// Connections refused so far because their client had too many.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl InAll {
    fn new(max: usize) -> Self {
        Self { max, free: Arc::new(Semaphore::new(max)) }
    }
}

impl Clients {
    /// Counts one more connection of a client, unless it has as many as it may.
    fn enter(&self, client: IpAddr, max: usize) -> bool {
        let mut clients = lock(&self.0);
        let open = clients.entry(client).or_default();
        // A client without connections is never refused: the limit is at least one.
        let free = *open < max.max(1);
        *open += usize::from(free);
        free
    }

    fn leave(&self, client: IpAddr) {
        let mut clients = lock(&self.0);
        if let Some(open) = clients.get_mut(&client) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                clients.remove(&client);
            }
        }
    }
}

impl Logged {
    /// How many were refused since the last line, if another line is due.
    fn due(&mut self, refused: u64) -> Option<u64> {
        if self.at.is_some_and(|at| at.elapsed() < LOG_PAUSE) {
            return None;
        }
        let since = refused.saturating_sub(self.refused);
        *self = Self { at: Some(Instant::now()), refused };
        Some(since)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((client, clients)) = self.0.take() {
            clients.leave(client);
        }
    }
}

/// Whose connections are counted together; `None` where they are not.
fn client(peer: Peer, server: &plan::Server) -> Option<IpAddr> {
    let Peer::Ip(address) = peer else { return None };
    let address = address.to_canonical();
    if server.trusted_proxies.iter().any(|net| net.contains(&address)) {
        return None;
    }
    Some(match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    })
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use proptest::prelude::*;

    use super::*;

    fn server(max: usize) -> plan::Server {
        plan::Server {
            header_timeout: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            stall_timeout: Duration::ZERO,
            drain_timeout: Duration::ZERO,
            connections_max: 1,
            connections_per_client_max: max,
            header_bytes_max: 8192,
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            trust_unix: false,
            log: plan::LogFormat::Text,
        }
    }

    fn peer(address: &str) -> Peer {
        Peer::Ip(address.parse().unwrap())
    }

    #[test]
    fn a_client_is_an_address_or_a_network() {
        let (places, server) = (Places::new(1), server(1));
        let same = [("1.2.3.4", "::ffff:1.2.3.4"), ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2")];
        for (first, second) in same {
            let place = places.take(peer(first), &server).ok();
            assert!(place.is_some(), "{first}");
            assert!(places.take(peer(second), &server).is_err(), "{second}");
            drop(place);
            assert!(places.take(peer(second), &server).is_ok(), "{second}");
        }
        let mut held = Vec::new();
        for other in ["1.2.3.4", "1.2.3.5", "2001:db8:0:1::1", "2001:db8:0:2::1", "::1"] {
            held.push(places.take(peer(other), &server).ok().expect(other));
        }
        for proxy in [peer("10.1.1.1"), peer("::ffff:10.1.1.1"), Peer::Unix, Peer::Unix, peer("10.1.1.1")] {
            held.push(places.take(proxy, &server).ok().expect("not counted"));
        }
        assert_eq!(places.refused(), 2);
    }

    #[test]
    fn those_who_are_told_why_are_bounded() {
        let (places, server) = (Places::new(1), server(1));
        let _one = places.take(peer("1.2.3.4"), &server).ok().unwrap();
        let refused: Vec<_> =
            (0..2 * REFUSALS_MAX).filter_map(|_| places.take(peer("1.2.3.4"), &server).err()?.told).collect();
        assert_eq!(refused.len(), REFUSALS_MAX);
    }

    #[tokio::test]
    async fn those_who_are_told_why_are_told_one_after_the_other() {
        let (places, server) = (Places::new(1), server(1));
        let _one = places.take(peer("1.2.3.4"), &server).ok().unwrap();
        let count = 20;
        let full: Vec<_> = (0..count).filter_map(|_| places.take(peer("1.2.3.4"), &server).err()).collect();
        let begun = Instant::now();
        assert_eq!(join_all(full.iter().map(Full::turn)).await, [true; 20]);
        assert!(begun.elapsed() >= REFUSAL_PAUSE * (count - 1), "{:?}", begun.elapsed());
    }

    proptest! {
        /// Against a list of who is in.
        #[test]
        fn places_are_counted(max in 1_usize..4, steps in prop::collection::vec((any::<bool>(), 0_u8..3), 0..60)) {
            let (places, server) = (Places::new(1), server(max));
            let mut inside: Vec<(u8, Place)> = Vec::new();
            for (enters, who) in steps {
                if enters {
                    let present = inside.iter().filter(|(other, _)| *other == who).count();
                    let place = places.take(Peer::Ip([192, 0, 2, who].into()), &server);
                    prop_assert_eq!(place.is_ok(), present < max);
                    inside.extend(place.ok().map(|place| (who, place)));
                } else if let Some(index) = inside.iter().position(|(other, _)| *other == who) {
                    inside.remove(index);
                }
            }
            inside.clear();
            prop_assert!(lock(&places.clients.0).is_empty());
        }
    }
}
