//! A request of the host's own to a generation that does not serve yet.

use http::{Request, uri::Scheme};
use http_body_util::{BodyExt, Empty};
use tokio::time::{Instant, timeout_at};

use super::Discard;
use crate::{
    generation::Generation,
    house::Counters,
    instance::{Occupied, exchange},
    plan::Probe,
    router::{HostPattern, Pattern},
};

/// How much of the answer's body is read.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Asks the app for its probe's path, on its first route.
///
/// # Errors
/// What came instead of the status that was to come.
pub async fn probe(generation: &Generation, probe: &Probe, counters: &Counters) -> Result<(), String> {
    let Probe { path, status: wanted, within } = probe;
    let within_ms = within.as_millis();
    let deadline = Instant::now() + *within;
    let asked = async {
        let pool = generation.pool(0).ok_or("the app has no route")?;
        let id = counters.next_request();
        let request = Request::builder()
            .uri(format!("{}://{}{path}", Scheme::HTTP, host(generation)))
            .header("user-agent", "guesthouse-probe")
            .header("x-request-id", id)
            .body(Empty::new().map_err(|never| match never {}).boxed_unsync())
            .map_err(|error| error.to_string())?;
        let admitted = generation.admit().await.map_err(|failure| failure.to_string())?;
        let occupied = Occupied { _admitted: admitted, _token: counters.busy.token() };
        let (job, mut exchange) = exchange(request, id, occupied);
        pool.submit(job);
        let (head, body) = exchange.head().await.map_err(|failure| failure.to_string())?.into_parts();
        let body = exchange.body(body, None, u64::MAX, deadline);
        // The status counts; the body is read so that the guest can end in peace.
        let _ = Discard { body, left: BODY_BYTES_MAX }.collect().await;
        Ok::<u16, String>(head.status.as_u16())
    };
    match timeout_at(deadline, asked).await {
        Ok(Ok(status)) if status == *wanted => Ok(()),
        Ok(Ok(status)) => Err(format!("its probe {path} was answered with {status} instead of {wanted}")),
        Ok(Err(failure)) => Err(format!("its probe {path} was not answered: {failure}")),
        Err(_) => Err(format!("its probe {path} was not answered within {within_ms} ms")),
    }
}

/// A host that leads to the app's first route.
fn host(generation: &Generation) -> String {
    let pattern = generation.routes.first().and_then(|route| Pattern::parse(&route.text).ok());
    match pattern.as_ref().map(Pattern::host) {
        Some(HostPattern::Exact(name)) => name.to_string(),
        Some(HostPattern::Suffix(suffix)) => format!("probe.{suffix}"),
        Some(HostPattern::Any) | None => "localhost".to_owned(),
    }
}
