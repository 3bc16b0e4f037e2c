//! From a granted host to the addresses that may be connected to.
//!
//! A name is resolved once, and what is connected to is what was checked: a name server that answers otherwise the next time
//! is not asked a second time.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs},
    sync::Arc,
};

use ipnet::IpNet;

use super::{Usage, networks};
use crate::{plan::RemoteHost, taken::Slot};

/// Addresses of one name that are looked at.
const ADDRESSES: usize = 32;

/// Why there is no address.
#[derive(Debug)]
pub(crate) enum LookupError {
    /// Nobody knows the name, or who would know did not answer.
    Unknown,
    /// It leads nowhere but to this address and its like, which it may not lead to.
    Prohibited(IpAddr),
}

/// The addresses of `host` that an app to which it is granted may connect to: at least one. `slot` is taken up until the
/// system's resolver has done, even where nobody waits for it any more.
///
/// # Errors
/// As [`LookupError`] says.
pub(crate) async fn resolve(
    host: &RemoteHost,
    networks: &[IpNet],
    usage: &Arc<Usage>,
    slot: Arc<Slot>,
) -> Result<Vec<IpAddr>, LookupError> {
    let found = match host {
        RemoteHost::Address(address) => vec![*address],
        _ if host.is_localhost() => vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        RemoteHost::Name(name) => look_up(name.clone(), usage, slot).await.ok_or(LookupError::Unknown)?,
    };
    let Some(first) = found.first().copied() else { return Err(LookupError::Unknown) };
    let allowed: Vec<_> =
        found.into_iter().filter(|address| networks::allowed(host, *address, networks)).collect();
    if allowed.is_empty() { Err(LookupError::Prohibited(first)) } else { Ok(allowed) }
}

/// Asks the system's resolver.
async fn look_up(name: String, usage: &Usage, slot: Arc<Slot>) -> Option<Vec<IpAddr>> {
    let thread = usage.lookups.clone().acquire_owned().await.ok()?;
    let asked = tokio::task::spawn_blocking(move || {
        let _held = (slot, thread);
        let mut addresses: Vec<IpAddr> = Vec::new();
        let found = (name, 0).to_socket_addrs().ok()?;
        for address in found.map(|address| address.ip().to_canonical()).take(ADDRESSES) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Some(addresses)
    });
    asked.await.ok().flatten()
}
