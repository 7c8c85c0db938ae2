//! The life of a request at the edge: admit, route, call, shape the answer.
//!
//! In: one parsed head and its body. Out: one response, always; the connection never sees an error of a destination, only the
//! end of a body. Deliberately absent: limits on what a destination does; those are its own.

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use arc_swap::ArcSwap;
use http::{HeaderValue, Request, Response, StatusCode, Version, header, request::Parts};
use hyper::body::Incoming;

use crate::{
    account::Account,
    admission::{self, Refused, Then, admit, closing},
    body::{Outgoing, inbound},
    config::Config,
    exchange::{Body, Exchange, Observer},
    listener::Session,
    problem::Problem,
    reply::Asked,
    request_id::Trace,
    route::{Matched, Routes},
};

/// What all connections of a server share.
pub(crate) struct Gateway {
    pub(crate) config: Config,
    pub(crate) routes: Arc<ArcSwap<Routes>>,
    pub(crate) observer: Arc<dyn Observer>,
}

/// The edge as one connection sees it.
pub(crate) struct Edge {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    observer: Arc<dyn Observer>,
}

/// The observer of all as one connection knows it: every request counts who holds it, and cores should not count in one place.
struct Relay(Arc<dyn Observer>);

impl Observer for Relay {
    fn finished(&self, exchange: &Exchange) {
        self.0.finished(exchange);
    }
}

type Calling = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

impl hyper::service::Service<Request<Incoming>> for Edge {
    type Response = Response<Outgoing>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        let (parts, incoming) = request.into_parts();
        let continued = admission::trace(&parts);
        let trace = continued.unwrap_or_else(Trace::begin);
        let observer = Arc::clone(&self.observer);
        let exchange = Exchange::new(trace.id, parts.method.clone(), parts.uri.path(), observer);
        let account = Account::open(exchange, &self.session);
        if parts.version == Version::HTTP_2 {
            self.session.hand_to_executor(&account.exchange);
        }
        let mut asked = Asked::new(&parts);
        match self.begin(parts, incoming, (continued, trace), &mut asked, &account) {
            Ok(calling) => Answer::Calling {
                calling,
                asked,
                account: Some(account),
            },
            Err(refused) => Answer::Ready(Some(refuse(refused, asked, account))),
        }
    }
}

impl Edge {
    pub(crate) fn new(gateway: Arc<Gateway>, session: Arc<Session>) -> Self {
        let observer = Arc::new(Relay(Arc::clone(&gateway.observer)));
        Self {
            gateway,
            session,
            observer,
        }
    }

    fn begin(
        &self,
        mut parts: Parts,
        incoming: Incoming,
        (continued, trace): (Option<Trace>, Trace),
        asked: &mut Asked,
        account: &Account,
    ) -> Result<Calling, Refused> {
        if let Some(refusal) = self.session.next_head() {
            return Err(closing(refusal.problem()));
        }
        let config = &self.gateway.config;
        *asked = asked.with(admit(&mut parts, self.session.forwarded_for(), config)?);
        admission::set_trace(&mut parts, continued, trace);
        let host = parts
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());

        // The guard ends with this call: a request in flight owns its destination's future, not the table.
        let routes = self.gateway.routes.load();
        let route = match routes.find(host, parts.uri.path(), &parts.method) {
            Matched::Route(route) => route,
            Matched::Nothing => return Err(not_found()),
            Matched::MethodNotAllowed(allow) => return Err(method_not_allowed(allow)),
        };
        account.exchange.set_app(Arc::clone(&route.app));
        account.exchange.set_route(Arc::clone(&route.label));

        let body = inbound(incoming, account, config);
        parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        parts.extensions.insert(Arc::clone(&account.exchange));
        let request = Request::from_parts(parts, body);
        catch_unwind(AssertUnwindSafe(|| route.destination.call(request)))
            .map_err(|_| Problem::internal().into())
    }
}

fn not_found() -> Refused {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-route",
        "No route has this host and path.",
    )
    .into()
}

fn method_not_allowed(allow: &HeaderValue) -> Refused {
    Refused {
        problem: Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "No route with this path has this method.",
        ),
        then: Then::Allow(allow.clone()),
    }
}

fn refuse(refused: Refused, asked: Asked, account: Account) -> Response<Outgoing> {
    let mut response = refused.problem.answer(&account.exchange);
    let headers = response.headers_mut();
    match refused.then {
        Then::Continue => {}
        Then::Close => drop(headers.insert(header::CONNECTION, HeaderValue::from_static("close"))),
        Then::Allow(methods) => drop(headers.insert(header::ALLOW, methods)),
    }
    asked.own(response, account)
}

/// The answer to one request. Dropped early, the client left: the destination's future goes with it.
pub(crate) enum Answer {
    Ready(Option<Response<Outgoing>>),
    Calling {
        calling: Calling,
        asked: Asked,
        account: Option<Account>,
    },
}

impl Future for Answer {
    type Output = Result<Response<Outgoing>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match &mut *self {
            Self::Ready(response) => response.take(),
            Self::Calling {
                calling,
                asked,
                account,
            } => {
                // A destination's panic is its own 500; the connection and everybody else's requests go on.
                let polled = catch_unwind(AssertUnwindSafe(|| calling.as_mut().poll(cx)));
                let response = match polled {
                    Ok(polled) => Some(ready!(polled)),
                    Err(_) => None,
                };
                account.take().map(|account| match response {
                    Some(response) => asked.reply(response, account),
                    None => asked.own(Problem::internal().answer(&account.exchange), account),
                })
            }
        };
        // hyper polls no future again that is ready.
        response.map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
    }
}
