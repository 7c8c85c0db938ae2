//! HTTP requests as invocations, for both generations of `wasi:http`.
//!
//! In: a request from the gateway. Out: the component's response, streamed with back-pressure. The task that holds the connection
//! also runs the guest, so a response that is complete when the guest ends leaves as one message with its length; a guest that is
//! still running when its first bytes are due goes on in a task of its own, and one that computes leaves the core to others. One core for both generations; `p2` and `p3` only
//! differ in how a handler is called.

mod body;
mod failure;
mod instance;
mod invocation;
mod observed;
mod p2;
mod p3;
mod replay;
mod reuse;
mod revision;
mod work;

pub use observed::{Finished, Holdings, Recordings, Watching};
pub use replay::{ReplayError, replay};
pub use reuse::{InstanceCounts, Reuse, Room};
pub use revision::{Revision, UnservableError};

use std::{pin::Pin, sync::Arc};

use coracle_gateway::{Body, Destination, Exchange, Problem};
use http::{Request, Response, StatusCode};
use tokio::runtime;

use crate::admission::{Admission, Turned};

/// A component behind a route.
pub struct Handler {
    revision: Arc<Revision>,
    admission: Arc<Admission>,
    watching: Watching,
    background: runtime::Handle,
}

impl Handler {
    /// Answers with this revision, as long as the gate admits; `watching` is told what its invocations do. Guests that prove to be
    /// bound by the processor go on in `background`.
    pub fn new(
        revision: Arc<Revision>,
        admission: Arc<Admission>,
        watching: Watching,
        background: runtime::Handle,
    ) -> Self {
        Self {
            revision,
            admission,
            watching,
            background,
        }
    }
}

impl Destination for Handler {
    fn call(&self, request: Request<Body>) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        let (revision, admission) = (Arc::clone(&self.revision), Arc::clone(&self.admission));
        let (watching, background) = (self.watching.clone(), self.background.clone());
        Box::pin(async move {
            let Some(exchange) = request.extensions().get::<Arc<Exchange>>().map(Arc::clone) else {
                return Problem::internal().response(coracle_gateway::RequestId::random());
            };
            exchange.set_component(Arc::clone(&revision.template().component));
            match admission.enter().await {
                Ok(place) => {
                    let environment = revision.template().environment.now().await;
                    let (watched, request) = watching.begin(&exchange, request, &environment);
                    let response = invocation::run(
                        revision,
                        place,
                        exchange,
                        request,
                        environment,
                        watched.clone(),
                        background,
                    );
                    watched.answer(response.await)
                }
                Err(turned) => overloaded(turned).answer(&exchange),
            }
        })
    }
}

fn overloaded(turned: Turned) -> Problem {
    let (reason, detail) = match turned {
        Turned::QueueFull => (
            "queue-full",
            "The service is at its limit and its queue is full.",
        ),
        Turned::TooLate => (
            "queue-timeout",
            "The service is at its limit and nobody was done in time.",
        ),
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason, detail).retry_after(1)
}
