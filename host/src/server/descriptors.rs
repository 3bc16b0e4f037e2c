//! File descriptors for the connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are needed beside those of connections: files of apps, listeners, pipes of builds.
const OTHERS: u64 = 4_096;

/// Raises the soft limit of descriptors as far as the connections need it: what a shell or a service manager gives is
/// often 1024. Tells the operator where the hard limit does not allow it.
pub(super) fn provide(connections_max: usize) {
    let wanted = (connections_max as u64).saturating_add(OTHERS);
    let limit = getrlimit(Resource::Nofile);
    let raised = limit.maximum.map_or(wanted, |maximum| wanted.min(maximum));
    if limit.current.is_some_and(|current| current < raised) {
        let soft = Rlimit { current: Some(raised), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, soft) {
            tracing::warn!("the limit of open files cannot be raised to {raised}: {error}");
        }
    }
    if let Some(maximum) = limit.maximum.filter(|maximum| *maximum < wanted) {
        tracing::warn!(
            "`[server] connections` is {connections_max}, and the system allows {maximum} open files: further \
             connections wait (raise `ulimit -Hn`, or LimitNOFILE in a systemd unit)"
        );
    }
}
