//! One line for each request, when its answer has ended, and one for each failure.

use std::{net::IpAddr, sync::Arc, time::Instant};

use http::{Method, StatusCode};

use super::body::Broken;
use crate::{
    generation::Stats,
    instance::{BodyError, Failure},
    log::ACCESS,
    statics::StaticFailure,
};

/// What the access log says of one request. Logs itself when dropped.
pub(super) struct Access {
    pub(super) begun: Instant,
    pub(super) request: u64,
    pub(super) client: Option<IpAddr>,
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) path: String,
    /// The app, and the generation that serves the request: none where the host does with a file.
    pub(super) app: Option<(Arc<str>, Option<u64>)>,
    /// Whether the answer is one of the app's static files.
    pub(super) static_file: bool,
    /// Counts of the generation that serves the request, once it has a place there.
    pub(super) stats: Option<Arc<Stats>>,
    pub(super) status: StatusCode,
    bytes: u64,
    cut: bool,
    failed: bool,
}

impl Access {
    pub(super) fn new(request: u64, method: Method) -> Self {
        Self {
            begun: Instant::now(),
            request,
            client: None,
            method,
            host: String::new(),
            path: String::new(),
            app: None,
            static_file: false,
            stats: None,
            // As nginx writes for a client that left before there was an answer.
            status: StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
            bytes: 0,
            cut: false,
            failed: false,
        }
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// The answer was not delivered to its end.
    pub(super) fn cut(&mut self) {
        self.cut = true;
    }

    /// The request got no answer from its app; says why, once.
    pub(super) fn failed(&mut self, failure: &Failure) {
        if std::mem::replace(&mut self.failed, true) {
            return;
        }
        let pause = self.stats.as_ref().and_then(|stats| {
            stats.causes.count(failure.cause());
            stats.failed(failure)
        });
        let (app, generation) = self.app();
        if let Some(pause) = pause {
            let ms = pause.as_millis();
            tracing::error!(app, generation, "crashes again and again: requests are turned away for {ms} ms");
        }
        let request = self.request;
        match failure {
            // The client's own doing, which the access log shows well enough, and what was said once for all.
            Failure::ClientGone
            | Failure::ClientStalled
            | Failure::BodyTooLarge(_)
            | Failure::AppMemory(_)
            | Failure::Throttled(_) => {
                tracing::debug!(app, generation, request, cause = failure.cause(), "{failure}");
            }
            // As many as there are requests, and of one reason.
            Failure::NoRoom(_) => {
                if let (Some(stats), Some(app)) = (&self.stats, app) {
                    stats.refusals.tell(app, "a request", "for want of room", failure);
                }
            }
            Failure::QueueFull(_) | Failure::QueueTimeout(_) | Failure::Drained => {
                tracing::warn!(app, generation, request, cause = failure.cause(), "{failure}");
            }
            _ => tracing::error!(app, generation, request, cause = failure.cause(), "{failure}"),
        }
    }

    /// The answer broke off; says why where nobody has yet.
    pub(super) fn broken(&mut self, error: &Broken) {
        self.cut = true;
        if matches!(error, Broken::Guest(BodyError::Failed)) || std::mem::replace(&mut self.failed, true) {
            return;
        }
        if let Some(stats) = &self.stats {
            stats.causes.count(error.cause());
        }
        let (app, generation) = self.app();
        tracing::error!(app, generation, request = self.request, cause = error.cause(), "{error}");
    }

    /// A static file could not be sent.
    pub(super) fn static_failed(&mut self, failure: &StaticFailure) {
        // Being busy is said once a minute, where it is found out.
        if let StaticFailure::Unreadable(_) = failure {
            let (app, request) = (self.app().0, self.request);
            tracing::error!(app, request, path = self.path, cause = failure.cause(), "{failure}");
        }
    }

    fn app(&self) -> (Option<&str>, Option<u64>) {
        match &self.app {
            Some((app, generation)) => (Some(app), *generation),
            None => (None, None),
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let (app, generation) = self.app();
        let client = self.client.map(tracing::field::display);
        let milliseconds = self.begun.elapsed().as_secs_f64() * 1e3;
        tracing::info!(
            target: ACCESS,
            app,
            generation,
            request = self.request,
            client,
            method = self.method.as_str(),
            host = self.host,
            path = self.path,
            status = self.status.as_u16(),
            bytes = self.bytes,
            // Microseconds are enough.
            ms = (milliseconds * 1e3).round() / 1e3,
            r#static = self.static_file.then_some(true),
            cut = self.cut.then_some(true),
            "access"
        );
    }
}
