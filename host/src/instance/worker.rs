//! Workers: the tasks that own stores and call into guests.
//!
//! [`once`] serves one request with a fresh instance, [`many`] goes on with the same instance as the policy allows.
//! A 0.2 guest serves one request at a time; a 0.3 guest several, by wasmtime's `run_concurrent`.
//!
//! A worker can always be stopped from outside, by its [`Control`]: inside `run_concurrent` nothing is polled while a
//! guest computes or blocks in a host call, so no deadline is kept in there alone. Guests yield at every epoch tick,
//! and the loop outside is polled then.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use rustix::io::Errno;
use tokio::{sync::oneshot, time::Instant};
use wasmtime::{
    AsContextMut, Store,
    component::{Accessor, ResourceTableError},
};
use wasmtime_wasi_http::{
    Error as HttpError, FieldMapError, WasiHttpView,
    handler::Proxy,
    p2::bindings::{Proxy as P2, http::types as p2_types},
    p3::{self, bindings::Service as P3},
};

use super::{
    control::{Control, Stop},
    exchange::{Corpse, Failure, Job, Reply},
    guest::{Guest, OutOfTime, Template},
    pool::{Chair, Policy},
};

/// Serves one request with a fresh instance.
pub(super) async fn once(template: Arc<Template>, control: Arc<Control>, job: Job) {
    let Some((instance, job)) = Instance::start(template, &control, job).await else { return };
    match &instance.proxy {
        Proxy::P2(_) => {
            let template = instance.template.clone();
            let stopped = pin!(control.stopped(template.limits.stream, &template.cut));
            if let Some((instance, served)) = instance.serve_p2(&control, stopped, job, || {}).await {
                served.returned();
                instance.end().await;
            }
        }
        Proxy::P3(_) => instance.serve_p3(&control, Feed::One(Some(job)), 1, Duration::ZERO).await,
    }
}

/// Starts an instance and lets it go: whether that can be done is all that is wanted.
pub(super) async fn try_out(template: Arc<Template>) -> Result<(), Failure> {
    let control = Arc::new(Control::new());
    control.begin();
    Instance::new(template, &control, 0).await.map(drop)
}

/// Serves requests with one instance until the policy, a failure or idleness ends it.
pub(super) async fn many(template: Arc<Template>, policy: Policy, control: Arc<Control>, mut chair: Chair) {
    let Some(first) = chair.jobs.recv().await else { return };
    let Some((instance, first)) = Instance::start(template, &control, first).await else { return };
    instance.serve_many(policy, control, chair, Some(first)).await;
}

/// As [`many`], with an instance that is started before there is a request for it. Tells how that went.
pub(super) async fn ahead(
    template: Arc<Template>,
    policy: Policy,
    control: Arc<Control>,
    mut chair: Chair,
    tell: oneshot::Sender<Result<(), Failure>>,
) {
    control.begin();
    let started = Instance::new(template, &control, 0).await;
    control.done();
    match started {
        Ok(instance) => {
            control.set_idle(true);
            // Who asked may have gone; the instance is as good.
            let _ = tell.send(Ok(()));
            let first = match instance.proxy {
                Proxy::P2(_) => chair.jobs.recv().await,
                Proxy::P3(_) => None,
            };
            instance.serve_many(policy, control, chair, first).await;
        }
        Err(failure) => {
            let _ = tell.send(Err(failure));
        }
    }
}

/// Waits for the next request, at most `idle_max`.
async fn idle(chair: &mut Chair, idle_max: Duration) -> Option<Job> {
    let mut until = Instant::now() + idle_max;
    loop {
        tokio::select! {
            biased;
            job = chair.jobs.recv() => return job,
            () = chair.alarm.until(until) => {
                if chair.leave_idle() {
                    return None;
                }
                until = Instant::now() + idle_max;
            }
        }
    }
}

/// One instance with its store.
struct Instance {
    template: Arc<Template>,
    store: Store<Guest>,
    proxy: Proxy,
    /// Answers that are on their way to the client still, though the guest has returned. A body that was left unfinished is
    /// told from a finished one by the store that still stands.
    delivering: Vec<Arc<Reply>>,
}

impl Instance {
    /// Makes the instance for `job`; on failure the job has its answer.
    async fn start(template: Arc<Template>, control: &Arc<Control>, job: Job) -> Option<(Self, Job)> {
        match Self::new(template, control, job.id).await {
            Ok(instance) => Some((instance, job)),
            Err(failure) => {
                job.reply.answer(Err(failure));
                None
            }
        }
    }

    /// Makes an instance; its output until the first request is logged under `request`.
    async fn new(template: Arc<Template>, control: &Arc<Control>, request: u64) -> Result<Self, Failure> {
        let made = async {
            let pre = template.linked.pre()?;
            let mut store = template.store(pre, control, template.room(control).await?)?;
            store.data_mut().begin(request);
            match control.meter(pre.instantiate_async(&mut store)).await {
                Ok(proxy) => Ok((store, proxy)),
                Err(error) => Err(start_error(&error, &store, &template)),
            }
        };
        let result = tokio::select! {
            biased;
            stop = control.stopped(template.limits.stream, &template.cut) => {
                Err(stop.failure(template.limits.stream))
            }
            made = made => made.map_err(|error: anyhow::Error| match error.downcast::<Failure>() {
                Ok(failure) => failure,
                Err(error) => Failure::Instantiation(format!("{error:#}")),
            }),
        };
        result.map(|(store, proxy)| Self { template, store, proxy, delivering: Vec::new() })
    }

    /// Serves requests from `first` on, until the policy, a failure or idleness ends it.
    async fn serve_many(
        mut self,
        policy: Policy,
        control: Arc<Control>,
        mut chair: Chair,
        first: Option<Job>,
    ) {
        if let Proxy::P3(_) = &self.proxy {
            let feed = Feed::Many { first, chair };
            return self.serve_p3(&control, feed, policy.concurrency, policy.idle).await;
        }
        let template = self.template.clone();
        let mut stopped = pin!(control.stopped(template.limits.stream, &template.cut));
        let mut next = first;
        while let Some(job) = next.take() {
            let served;
            match self.serve_p2(&control, stopped.as_mut(), job, || chair.waits()).await {
                Some((instance, reply)) => (self, served) = (instance, reply),
                None => return,
            }
            if control.retired() {
                served.returned();
                break;
            }
            control.set_idle(true);
            // The seat first: whoever gets the place of this request finds it free.
            chair.release();
            served.returned();
            next = match chair.next_in_line() {
                Some(job) => Some(job),
                None => chair.jobs.recv().await,
            };
        }
        drop(chair);
        self.end().await;
    }

    /// Lets the instance go, when all that it answered has been delivered.
    async fn end(self) {
        outlive(self.store, self.delivering).await;
    }

    /// Serves one request with a 0.2 guest. Gives the instance back where it is of further use, and the reply, which has to
    /// be told of that.
    async fn serve_p2(
        mut self,
        control: &Control,
        stopped: Pin<&mut impl Future<Output = Stop>>,
        job: Job,
        waits: impl Fn(),
    ) -> Option<(Self, Arc<Reply>)> {
        let Proxy::P2(guest) = &self.proxy else { return None };
        let Job { request, id, reply } = job;
        let reply = Arc::new(reply);
        control.set_idle(false);
        self.store.data_mut().begin(id);
        let result = tokio::select! {
            biased;
            // First, since most calls are done at once, and what stops them need not be asked then. One that computes on
            // gives way at every tick.
            result = control.watch(call_p2(&mut self.store, guest, request, &reply), waits) => Ok(result),
            stop = stopped => Err(stop),
        };
        match result {
            Ok(Ok(())) => {
                if reply.answered() {
                    self.delivering.retain(|reply| !reply.has_ended());
                    self.delivering.push(reply.clone());
                } else {
                    reply.answer(Err(Failure::NoAnswer));
                }
                Some((self, reply))
            }
            Ok(Err(error)) => {
                let failure = call_failure(&error, self.store.data(), &self.template);
                self.bury(&[(id, reply)], failure);
                None
            }
            Err(Stop::Cancelled) => {
                if !self.delivering.is_empty() {
                    tokio::spawn(self.end());
                }
                None
            }
            Err(stop) => {
                let failure = stop.failure(self.template.limits.stream);
                self.bury(&[(id, reply)], failure);
                None
            }
        }
    }

    /// Ends a failed instance: those who wait for an answer get the failure, bodies on their way are broken off.
    fn bury(self, replies: &[(u64, Arc<Reply>)], failure: Failure) {
        let Self { template, store, delivering, .. } = self;
        let corpse: Corpse = Arc::new(Mutex::new(store));
        if !delivering.is_empty() {
            tokio::spawn(outlive(corpse.clone(), delivering));
        }
        let text = failure.to_string();
        let mut failure = Some(failure);
        for (id, reply) in replies {
            let failure = failure.take().unwrap_or_else(|| Failure::Collateral(text.clone()));
            if let Some(failure) = reply.fail(failure, corpse.clone()) {
                log_late(&template, *id, &failure);
            }
        }
    }

    /// Serves requests with a 0.3 guest, up to `concurrency` at once.
    async fn serve_p3(
        mut self,
        control: &Arc<Control>,
        mut feed: Feed,
        concurrency: usize,
        idle_max: Duration,
    ) {
        let Proxy::P3(guest) = &self.proxy else { return };
        let waiting = Mutex::new(Vec::new());
        let end = {
            let run = self.store.run_concurrent(async |accessor| {
                Concurrent { accessor, guest, control, waiting: &waiting }
                    .run(&mut feed, concurrency, idle_max)
                    .await
            });
            tokio::select! {
                biased;
                stop = control.stopped(self.template.limits.stream, &self.template.cut) => Err(stop),
                result = control.meter(run) => Ok(result.and_then(|result| result)),
            }
        };
        // No more requests come to this instance.
        drop(feed);
        let waiting = waiting.into_inner().unwrap_or_else(PoisonError::into_inner);
        match end {
            Ok(Ok(())) | Err(Stop::Cancelled) => {}
            Ok(Err(error)) => {
                let failure = call_failure(&error, self.store.data(), &self.template);
                self.bury(&waiting, failure);
            }
            Err(stop) => {
                let failure = stop.failure(self.template.limits.stream);
                self.bury(&waiting, failure);
            }
        }
    }
}

/// Keeps a store until these answers have been delivered.
async fn outlive<T>(store: T, answers: Vec<Arc<Reply>>) {
    for answer in answers {
        answer.ended().await;
    }
    drop(store);
}

/// Calls `wasi:http/incoming-handler#handle` (`wasi-http-0.2`) and waits until it returns.
async fn call_p2(
    store: &mut Store<Guest>,
    guest: &P2,
    request: http::Request<wasmtime_wasi_http::WasiBody>,
    reply: &Arc<Reply>,
) -> wasmtime::Result<()> {
    let https = request.uri().scheme() == Some(&http::uri::Scheme::HTTPS);
    let scheme = if https { p2_types::Scheme::Https } else { p2_types::Scheme::Http };
    let request = store.data_mut().http().new_incoming_request(scheme, request)?;
    let reply = reply.clone();
    let out = store.data_mut().http().new_response_outparam_from_callback(move |answer| {
        reply.answer(answer.map_err(|code| Failure::ErrorCode(format!("{code:?}"))));
    })?;
    guest.wasi_http_incoming_handler().call_handle(store, request, out).await
}

/// Where a 0.3 worker's requests come from.
enum Feed {
    One(Option<Job>),
    Many { first: Option<Job>, chair: Chair },
}

impl Feed {
    /// The next request; `None` when there will be no more. Cancel-safe.
    async fn next(&mut self, idle_max: Option<Duration>) -> Option<Job> {
        match self {
            Self::One(job) => job.take(),
            Self::Many { first, chair } => match (first.take(), idle_max) {
                (Some(job), _) => Some(job),
                (None, Some(idle_max)) => idle(chair, idle_max).await,
                (None, None) => chair.jobs.recv().await,
            },
        }
    }

    fn release(&self) {
        if let Self::Many { chair, .. } = self {
            chair.release();
        }
    }
}

/// The loop inside `run_concurrent`.
struct Concurrent<'a> {
    accessor: &'a Accessor<Guest>,
    guest: &'a P3,
    control: &'a Control,
    /// Requests in the guest, for when the instance fails as a whole.
    waiting: &'a Mutex<Vec<(u64, Arc<Reply>)>>,
}

impl Concurrent<'_> {
    async fn run(&self, feed: &mut Feed, concurrency: usize, idle_max: Duration) -> wasmtime::Result<()> {
        let mut serving = FuturesUnordered::new();
        let mut open = true;
        loop {
            open &= !self.control.retired();
            let room = open && serving.len() < concurrency;
            if serving.is_empty() {
                if !room {
                    // Work that the guest does after its answers keeps the instance, as long as the limits allow.
                    poll_fn(|cx| self.accessor.poll_no_interesting_tasks(cx)).await;
                    return Ok(());
                }
                let idle =
                    poll_fn(|cx| Poll::Ready(self.accessor.poll_no_interesting_tasks(cx).is_ready())).await;
                self.control.set_idle(idle);
            }
            let idle_max = serving.is_empty().then_some(idle_max);
            tokio::select! {
                biased;
                Some(result) = serving.next() => {
                    result?;
                    feed.release();
                }
                job = feed.next(idle_max), if room => match job {
                    Some(job) => serving.push(self.serve(job)),
                    None => open = false,
                },
            }
        }
    }

    /// Calls `wasi:http/handler#handle` (`wasi-http-0.3`), streams its body and waits until the client is done.
    ///
    /// # Errors
    /// When the instance trapped: all its requests are lost.
    async fn serve(&self, job: Job) -> wasmtime::Result<()> {
        let Job { request, id, reply } = job;
        let reply = Arc::new(reply);
        self.control.set_idle(false);
        self.waiting().push((id, reply.clone()));
        let (call, processed) = self.accessor.with(|mut store| {
            store.get().begin(id);
            let (request, processed) = p3::Request::from_http(store.get().http().hooks, request);
            // Boxed for its type: by its own one it would seem to borrow the store.
            let processed: Pin<Box<dyn Future<Output = Result<(), HttpError>> + Send>> = Box::pin(processed);
            let request = store.get().http().table.push(request)?;
            let function = self.guest.wasi_http_handler().func_handle();
            let call = function.start_call_concurrent(store.as_context_mut(), (request,))?;
            wasmtime::error::Ok((call, processed))
        })?;
        let function = self.guest.wasi_http_handler().func_handle();
        let mut finish = pin!(function.finish_call_concurrent(self.accessor, call).fuse());
        let answer = tokio::select! {
            answer = &mut finish => answer?.0,
            // The guest goes on until the instance is let go.
            () = reply.ended() => {
                self.forget(id);
                return Ok(());
            }
        };
        match answer {
            Ok(response) => {
                let response = self.accessor.with(|mut store| {
                    let response = store.get().http().table.delete(response)?;
                    response.into_http(&mut store, processed)
                })?;
                reply.answer(Ok(response));
                reply.ended().await;
            }
            Err(code) => reply.answer(Err(Failure::ErrorCode(format!("{code:?}")))),
        }
        self.forget(id);
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(u64, Arc<Reply>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, id: u64) {
        self.waiting().retain(|(waiting, _)| *waiting != id);
    }
}

/// What an error of a call into the guest means to those who wait.
fn call_failure(error: &wasmtime::Error, guest: &Guest, template: &Template) -> Failure {
    if error.downcast_ref::<OutOfTime>().is_some() {
        return Failure::Cpu(template.limits.cpu);
    }
    Failure::Trapped(describe(error, guest, template))
}

/// What the system means by `ENOMEM` (`mmap(2)`, `mprotect(2)`), and the limit that a house of many apps meets first.
const NO_MEMORY: &str = "the system gives the process no more memory, or no more mappings than `sysctl vm.max_map_count` says: raise \
    it, or give the apps smaller `limits.concurrent`";

fn start_error(error: &wasmtime::Error, store: &Store<Guest>, template: &Template) -> anyhow::Error {
    if error.downcast_ref::<OutOfTime>().is_some() {
        return Failure::Cpu(template.limits.cpu).into();
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Failure::NoRoom(error.to_string()).into();
    }
    // What other apps hold as well is no fault of this one.
    if system_error(error) == Some(Errno::NOMEM) {
        return Failure::NoRoom(NO_MEMORY.into()).into();
    }
    if store.data().limiter().share_refused() {
        return Failure::AppMemory(template.limits.app_memory_bytes >> 20).into();
    }
    Failure::Instantiation(describe(error, store.data(), template)).into()
}

/// What the system answered, where that is the innermost cause.
fn system_error(error: &wasmtime::Error) -> Option<Errno> {
    let cause = error.root_cause();
    cause.downcast_ref().copied().or_else(|| Errno::from_io_error(cause.downcast_ref::<io::Error>()?))
}

/// The innermost cause first, since that is what went wrong; then what the host knows beside it.
pub(super) fn describe(error: &wasmtime::Error, guest: &Guest, template: &Template) -> String {
    let mut text = error.root_cause().to_string();
    let limits = &template.limits;
    if guest.limiter().refused() {
        let limit = limits.memory_bytes >> 20;
        text.push_str(&format!(" (after more memory than memory-mib = {limit} was refused)"));
    }
    if guest.limiter().share_refused() {
        let limit = limits.app_memory_bytes >> 20;
        text.push_str(&format!(" (after more memory than app-memory-mib = {limit} was refused)"));
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        text.push_str(&format!(" (after more than handles = {} were refused)", limits.handles));
    }
    if let Some(FieldMapError::TotalSizeTooBig) = error.downcast_ref() {
        text.push_str(&format!(" (limits.fields-kib = {})", limits.fields_bytes >> 10));
    }
    text
}

/// A failure after the head of the answer: nobody but the log can be told.
fn log_late(template: &Template, request: u64, failure: &Failure) {
    // That the app is throttled is said with the failures that are answered.
    let _ = template.stats.failed(failure);
    tracing::error!(
        app = &*template.app,
        generation = template.generation,
        request,
        cause = failure.cause(),
        "{failure}"
    );
}
