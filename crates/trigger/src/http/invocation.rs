//! The life of one invocation: a fresh store, the guest's run within its limits, the response, the account.
//!
//! In: a request that was admitted. Out: a response as soon as its head and, when the guest is quick, its whole body is known.
//! Work after the response keeps its place and its limits; a client that leaves ends it.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::{Duration, Instant},
};

use coracle_capability::{Invocation, config::Variables, observe::Observation};
use coracle_engine::{Account, Metered};
use coracle_gateway::{Body, Exchange};
use http::{Request, Response};
use tokio::{runtime, sync::oneshot, time::sleep};

use super::{
    body::{Streaming, first_frames},
    failure::{Failure, check_head},
    instance::Answer,
    observed::Watched,
    reuse::shared,
    revision::Revision,
    work::{Running, Work},
};
use crate::admission::Place;

/// What the guest answers with, before anything of it was checked.
pub(super) type Head = Result<Response<wasmtime_wasi_http::WasiBody>, String>;

/// Set when a guest failed, before its store is gone: its body must then not look complete.
pub(super) type Failed = Arc<AtomicBool>;

/// Runs one invocation.
pub(super) async fn run(
    revision: Arc<Revision>,
    place: Place,
    exchange: Arc<Exchange>,
    request: Request<Body>,
    environment: Variables,
    watched: Watched,
    background: runtime::Handle,
) -> Response<Body> {
    let (head_sender, mut head) = oneshot::channel();
    let failed = Failed::default();
    let (running, account) = begin(
        revision,
        place,
        Arc::clone(&exchange),
        Arc::clone(&failed),
        Asked {
            request,
            environment,
        },
        head_sender,
        watched,
    );
    let mut work = Work::new(running, account, background);

    let (mut ended, mut silent) = (None, false);
    let answered = std::future::poll_fn(|context| {
        if ended.is_none()
            && let Poll::Ready(end) = Pin::new(&mut work).poll(context)
        {
            ended = Some(end);
        }
        if !silent && let Poll::Ready(answered) = Pin::new(&mut head).poll(context) {
            match answered {
                Ok(head) => return Poll::Ready(Some(head)),
                // The guest is gone. One in the background says why a moment later.
                Err(_) => silent = true,
            }
        }
        if silent && ended.is_some() {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    })
    .await;

    let response = match (answered, &ended) {
        (None, Some(Err(failure))) => return failure.problem().answer(&exchange),
        (None, _) => return Failure::NoResponse.problem().answer(&exchange),
        // A guest that answered and then failed before a byte was sent gets no credit for its head.
        (Some(_), Some(Err(failure))) => return failure.problem().answer(&exchange),
        (Some(Err(code)), _) => return Failure::GuestError(code).problem().answer(&exchange),
        (Some(Ok(response)), _) => response,
    };
    if let Err(failure) = check_head(&response) {
        return failure.problem().answer(&exchange);
    }
    let (parts, body) = response.into_parts();
    let declared = parts.headers.get(http::header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
    let body = first_frames(body, work, ended, &failed, declared).await;
    match body {
        Ok(Streaming::Complete(body) | Streaming::Running(body)) => {
            Response::from_parts(parts, body)
        }
        Err(failure) => failure.problem().answer(&exchange),
    }
}

/// What an invocation begins with.
struct Asked {
    request: Request<Body>,
    environment: Variables,
}

fn begin(
    revision: Arc<Revision>,
    place: Place,
    exchange: Arc<Exchange>,
    failed: Failed,
    asked: Asked,
    head: oneshot::Sender<Head>,
    watched: Watched,
) -> (Running, Arc<Account>) {
    let Asked {
        request,
        environment,
    } = asked;
    // Whoever observes an invocation wants that one and nothing of another.
    let unobserved = matches!(watched.observation, Observation::None);
    if let (Some(crew), Some(shelf), true) = (revision.crew(), revision.shelf(), unobserved) {
        let asked = shared::Asked {
            place,
            exchange,
            failed,
            request,
            environment,
            head,
        };
        // The instance has a task and an account of its own; this one only waits for it.
        let waiting = Account::new(revision.limits().cpu);
        return (shared::work(&revision, crew, shelf, asked), waiting);
    }
    let limits = revision.limits();
    let (account, timeout) = (Account::new(limits.cpu), limits.timeout);
    // Told to the exchange however this ends: also when the client leaves and all of it is dropped.
    let told = Told {
        account: Arc::clone(&account),
        exchange: Arc::clone(&exchange),
    };
    // Whoever watches is told when the guest is gone too.
    let watching = watched.clone();
    let guest = {
        let (account, failed) = (Arc::clone(&account), Arc::clone(&failed));
        async move {
            let fail = |error| {
                failed.store(true, Relaxed);
                let request_id = Some(exchange.request_id);
                Failure::of(&error, &account, revision.template(), request_id)
            };
            let fresh = || {
                revision.fresh(|| Invocation {
                    request_id: exchange.request_id.to_string(),
                    account: Arc::clone(&account),
                    environment: Arc::clone(&environment),
                    observation: watched.observation.clone(),
                })
            };
            let Some(shelf) = revision.shelf().filter(|_| unobserved) else {
                // It is said that a guest failed before its store is gone: that ends its bodies, and they must not look complete.
                let runs = async {
                    let mut instance = fresh().await.map_err(&fail)?;
                    let called = instance.call(request, Answer::to(head)).await;
                    called.map_err(&fail)
                };
                return match watched.observation.turns() {
                    None => runs.await,
                    Some(turns) => turns.drive(runs, || account.is_interrupted()).await,
                };
            };
            let mut instance = match shelf.take(&environment) {
                Some(mut instance) => {
                    shelf.counts().count_reused();
                    let request_id = exchange.request_id.to_string();
                    instance.begin(&revision, request_id, Arc::clone(&account));
                    instance
                }
                None => {
                    shelf.counts().count_created();
                    fresh().await.map_err(&fail)?
                }
            };
            let well = Arc::default();
            let ran = instance.call(request, Answer::noting(head, &well)).await;
            ran.map_err(fail)?;
            if well.load(Relaxed) && !account.memory_refused() && instance.rest() {
                shelf.put(instance);
            }
            Ok(())
        }
    };
    let charged = Arc::clone(&account);
    let running = async move {
        let _place = place;
        let _watching = watching;
        let told = told;
        let ran = {
            let guest = std::pin::pin!(guest);
            let ran = within(timeout, Metered::new(guest, charged)).await;
            failed.fetch_or(ran.is_none(), Relaxed);
            ran
        };
        let ended = ran.unwrap_or(Err(Failure::Timeout));
        if let Err(failure) = &ended {
            told.exchange.set_reason(failure.reason());
        }
        ended
    };
    (Box::pin(running), account)
}

/// What a guest ends with within the limit. A timer is made only for one that is not done at once.
async fn within<F>(limit: Duration, mut guest: Metered<F>) -> Option<F::Output>
where
    F: Future + Unpin,
{
    let began = Instant::now();
    let mut alarm = None;
    std::future::poll_fn(|context| {
        if let Poll::Ready(ended) = Pin::new(&mut guest).poll(context) {
            return Poll::Ready(Some(ended));
        }
        let alarm =
            alarm.get_or_insert_with(|| Box::pin(sleep(limit.saturating_sub(began.elapsed()))));
        alarm.as_mut().poll(context).map(|()| None)
    })
    .await
}

struct Told {
    account: Arc<Account>,
    exchange: Arc<Exchange>,
}

impl Drop for Told {
    fn drop(&mut self) {
        self.exchange.add_cpu(self.account.used());
        self.exchange
            .set_peak_memory_bytes(self.account.memory_bytes());
    }
}
