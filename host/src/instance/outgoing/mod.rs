//! What guests reach beyond the house: outgoing requests ([`http`]), sockets and names ([`sockets`]). Each is checked against
//! the app's grants, counted against its limits, and told to the operator where it is refused.

mod body;
mod http;
mod sockets;
mod streams;
mod tls;

use std::{fmt, net::IpAddr, sync::Arc};

pub(super) use self::{
    http::Hooks,
    sockets::{Reached, View, add_to_linker},
};
use super::guest::Template;
use crate::{
    outgoing::{LookupError, resolve},
    plan::RemoteHost,
    taken::Slot,
};

/// What the instances of a template may reach.
#[derive(Clone)]
pub(super) struct Access(Arc<Template>);

impl Access {
    pub(super) fn new(template: Arc<Template>) -> Self {
        Self(template)
    }

    /// Tells the operator of a refused call, once for each target in a while.
    fn refuse(&self, what: &str, target: impl fmt::Display, help: impl fmt::Display) {
        let usage = &self.0.stats.outgoing;
        usage.count_refusal();
        usage.refusals.tell(&self.0.app, what, target, help);
    }

    /// A place among the outgoing requests, sockets and look-ups of the app; none where it has too many.
    fn slot(&self, what: &str) -> Option<Slot> {
        let max = self.0.limits.outgoing;
        let slot = self.0.stats.outgoing.take(max);
        if slot.is_none() {
            let help = format!("the app has {max} requests, sockets and look-ups open (`limits.outgoing`)");
            self.refuse(what, "over a limit", help);
        }
        slot
    }

    /// The addresses of a granted host that the app may connect to; at least one.
    async fn resolve(&self, host: &RemoteHost, slot: Arc<Slot>) -> Result<Vec<IpAddr>, LookupError> {
        let networks = &self.0.grants.networks;
        let found = resolve(host, networks, &self.0.stats.outgoing, slot).await;
        if let Err(LookupError::Prohibited(address)) = &found {
            let help = format!(
                "it leads to {address}, which is no public address: if that is meant, grant it with `grants.networks = \
                 [\"{address}\"]`"
            );
            self.refuse("a connection to", host, help);
        }
        found
    }
}
