//! The admin interface beside a house that serves.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tokio::{sync::oneshot, task::JoinHandle};

use super::say;
use crate::{admin::AdminServer, log::Tail, plan, reload::Manager};

/// How often a house without its admin listener looks whether it can have it.
const RETRY: Duration = Duration::from_secs(5);

/// A running admin interface.
pub(super) struct Admin {
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

/// Serves the admin interface from now on.
///
/// A house does not fail for a socket that nobody asked for: where the default address is taken (by the house before
/// this one, which still finishes its requests), it waits for it.
///
/// # Errors
/// A listener that the manifest names cannot be bound.
pub(super) async fn begin(admin: &plan::Admin, manager: Arc<Manager>, logs: Tail) -> Result<Admin> {
    let bound = match bind(admin).await {
        Ok(server) => Some(server),
        Err(error) if admin.named => return Err(error),
        Err(error) => {
            tracing::warn!("{error:#}; until it can, this house has no admin interface");
            None
        }
    };
    let admin = admin.clone();
    let (stop, mut stopped) = oneshot::channel();
    let running = tokio::spawn(async move {
        let server = match bound {
            Some(server) => server,
            None => tokio::select! {
                server = bind_later(&admin) => server,
                _ = &mut stopped => return,
            },
        };
        let stopped = async {
            let _ = stopped.await;
        };
        server.run(manager, logs, stopped).await;
    });
    Ok(Admin { stop, running })
}

async fn bind(admin: &plan::Admin) -> Result<AdminServer> {
    let server = AdminServer::bind(admin).await?;
    say(&format!("admin on {}", server.url()));
    Ok(server)
}

async fn bind_later(admin: &plan::Admin) -> AdminServer {
    loop {
        tokio::time::sleep(RETRY).await;
        if let Ok(server) = bind(admin).await {
            return server;
        }
    }
}

impl Admin {
    /// Ends it: the socket's file is gone afterwards.
    pub(super) async fn end(self) {
        let _ = self.stop.send(());
        let _ = self.running.await;
    }
}
