//! Dispatch: one request from its head to its answer, through one house.
//!
//! Finds the app by the route, admits, calls and answers. It knows nothing of sockets (see `server`) and nothing of how
//! instances live (see `instance`). All it needs of a house is in the house that it is given.

mod body;
mod log;
mod probe;
mod request;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::time::Instant;
use wasmtime_wasi_http::Error as HttpError;

pub use self::{body::Outgoing, probe::probe};
use self::{body::Watch, log::Access, request::Addressed};
use crate::{
    alarm::Alarm,
    answer::Refusal,
    canary::Choice,
    forwarded::Peer,
    generation::Generation,
    house::{House, Tenant},
    instance::{Body, BodyError, Failure, Occupied, exchange},
    plan::Target,
    router::RequestPath,
    statics::{self, Question, StaticFiles},
};

/// Serves one request. Never fails: what goes wrong is an answer. `alarm` is a timer at hand.
pub async fn dispatch<B>(
    house: Arc<House>,
    peer: Peer,
    request: Request<B>,
    alarm: &mut Alarm,
) -> Response<Outgoing>
where
    B: http_body::Body<Data = Bytes, Error: Into<HttpError>> + Send + Unpin + 'static,
{
    let mut access = Access::new(house.counters.next_request(), request.method().clone());
    match answer(&house, peer, request, &mut access, alarm).await {
        Ok(Answer::File((head, body))) => {
            access.status = head.status;
            Response::from_parts(head, Outgoing::file(body, access))
        }
        Ok(Answer::Guest((head, body))) => {
            access.status = head.status;
            if access.method == Method::HEAD || is_without_content(head.status) {
                // The guest may write a body all the same, and is not to find its stream broken.
                tokio::spawn(BodyExt::collect(Discard { body, left: HEAD_BODY_BYTES_MAX }));
                return Response::from_parts(head, Outgoing::host(Bytes::new(), access));
            }
            Response::from_parts(head, Outgoing::guest(body, access))
        }
        Err(refusal) => {
            match &refusal {
                Refusal::Failure(failure) => access.failed(failure),
                Refusal::Static(failure) => access.static_failed(failure),
                _ => {}
            }
            access.status = refusal.status();
            let (mut head, text) = refusal.response().into_parts();
            head.headers.insert(header::CONTENT_LENGTH, text.len().into());
            Response::from_parts(head, Outgoing::host(text, access))
        }
    }
}

/// An answer and whose it is.
enum Answer {
    Guest(GuestAnswer),
    File(statics::Answer),
}

type GuestAnswer = (http::response::Parts, Body);

async fn answer<B>(
    house: &House,
    peer: Peer,
    request: Request<B>,
    access: &mut Access,
    alarm: &mut Alarm,
) -> Result<Answer, Refusal>
where
    B: http_body::Body<Data = Bytes, Error: Into<HttpError>> + Send + Unpin + 'static,
{
    access.path = request.uri().path().to_owned();
    let addressed = Addressed::new(request, peer, &house.server)?;
    access.client = addressed.origin.client;
    access.host.clone_from(&addressed.authority);
    let host = addressed.host()?;
    let path = addressed.path();
    let port = if addressed.origin.scheme == http::uri::Scheme::HTTPS { 443 } else { 80 };
    let notice = house.notices.as_ref().and_then(|all| all.find(&host, port, &path, addressed.headers()));
    if let Some(notice) = notice {
        return Err(Refusal::Notice(notice));
    }
    let target = house.routes.lookup(&host, port, &path);
    let found = target.and_then(|target| Some((house.apps.get(target.app)?, target)));
    let Some((tenant, target)) = found else {
        return Err(Refusal::UnknownHost {
            host: addressed.authority.clone(),
            path: path.as_str().to_owned(),
        });
    };
    if let Some((files, question)) = static_question(house, target, tenant, (&path, addressed.request())) {
        let app = &tenant.serving.app;
        access.app = Some((app.clone(), None));
        let sending_max = tenant.serving.recipe.limits.static_files;
        if let Some(answer) = files.answer(question, sending_max).await? {
            access.static_file = true;
            return Ok(Answer::File(answer));
        }
    }
    let Choice { generation, cookie } = tenant.choose(addressed.origin.client, addressed.headers());
    access.app = Some((generation.app.clone(), Some(generation.number)));
    let limits = &generation.recipe.limits;
    if addressed.content_length()?.is_some_and(|length| length > limits.body_bytes) {
        return Err(Failure::BodyTooLarge(limits.body_bytes).into());
    }
    let admitted = generation.admit().await?;
    access.stats = Some(generation.stats.clone());
    let occupied = Occupied { _admitted: admitted, _token: house.counters.busy.token() };
    let (mut head, body) =
        serve(house, (&generation, target.route), addressed, occupied, (access, alarm)).await?;
    if let Some(cookie) = cookie {
        head.headers.append(header::SET_COOKIE, cookie);
    }
    Ok(Answer::Guest((head, body)))
}

/// What a request asks of the static files of its app, if the app has any.
fn static_question<'a, B>(
    house: &'a House,
    target: &Target,
    tenant: &Tenant,
    (path, request): (&RequestPath<'_>, &Request<B>),
) -> Option<(&'a Arc<StaticFiles>, Question)> {
    let files = house.statics.get(target.app).filter(|files| files.are_any())?;
    let below = path.without(&tenant.serving.routes.get(target.route)?.prefix);
    Some((files, files.question(request, (path.as_str(), below))?))
}

async fn serve<B>(
    house: &House,
    (generation, route): (&Arc<Generation>, usize),
    addressed: Addressed<B>,
    occupied: Occupied,
    (access, alarm): (&Access, &mut Alarm),
) -> Result<GuestAnswer, Refusal>
where
    B: http_body::Body<Data = Bytes, Error: Into<HttpError>> + Send + Unpin + 'static,
{
    let (Some(pool), Some(rules)) = (generation.pool(route), generation.routes.get(route)) else {
        return Err(Failure::Instantiation("the route has no instances".into()).into());
    };
    let limits = &generation.recipe.limits;
    let begun = Instant::now();
    let watch = Arc::new(Watch::default());
    let request = addressed.for_guest(rules, access.request)?.map(|body| {
        let stall_max = house.server.stall_timeout;
        body::Incoming::new(body, limits.body_bytes, stall_max, watch.clone()).boxed_unsync()
    });
    let (job, mut exchange) = exchange(request, access.request, occupied);
    pool.submit(job);
    let response = tokio::select! {
        biased;
        head = exchange.head() => head?,
        () = alarm.until(begun + limits.request) => return Err(Failure::Timeout(limits.request).into()),
        failure = watch.failed() => return Err(failure.into()),
    };
    // A guest that was told of the broken body may have answered for it; the host's own answer is the right one.
    if let Some(failure) = watch.failure() {
        return Err(failure.into());
    }
    generation.stats.answered(begun.elapsed());
    let (head, body) = response.into_parts();
    let length = check_head(&head).map_err(Failure::BadAnswer)?;
    let answer_max = limits.answer_bytes;
    // What announces too much is no answer; what grows too long is cut.
    if access.method != Method::HEAD && length.is_some_and(|length| length > answer_max) {
        return Err(Failure::AnswerTooLarge(answer_max).into());
    }
    let body = exchange.body(body, length, answer_max, begun + limits.stream);
    Ok((head, body))
}

/// Checks what the guest answered as far as it concerns the connection, and returns the announced length of the body.
fn check_head(head: &http::response::Parts) -> Result<Option<u64>, String> {
    if head.status.is_informational() {
        return Err(format!("status {} is none of a final answer", head.status.as_u16()));
    }
    request::content_length(&head.headers).map_err(str::to_owned)
}

/// Statuses whose answers end with their head (RFC 9110, section 6.4.1).
fn is_without_content(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// How much of a body a guest may write in answer to HEAD, before it learns that nobody reads it.
const HEAD_BODY_BYTES_MAX: usize = 1 << 20;

/// A body whose data nobody wants. Ends, and with it the guest's stream, when it has become too long.
struct Discard {
    body: Body,
    left: usize,
}

impl http_body::Body for Discard {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
        let length = frame.data_ref().map_or(0, Bytes::len);
        self.left = self.left.saturating_sub(length);
        Poll::Ready((self.left > 0).then(|| Ok(Frame::data(Bytes::new()))))
    }
}
