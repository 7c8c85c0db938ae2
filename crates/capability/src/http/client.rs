//! Outbound HTTP of one app. In: a request, its component's grants, timeouts. Out: a response whose body streams.
//!
//! Follows no redirect, keeps no cookie, decodes no body, repeats nothing that may have had an effect. Every request
//! waits its turn for a bounded time and every phase has a deadline.

use std::{sync::Arc, time::Duration};

use http::{Request, Response, StatusCode, request};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::contract::CallError as _;

use super::{
    body::{Progress, Received, Sent},
    connection::{Connection, Failure, HeadLimits},
    contract::{Body, Error, Scheme, Timeouts},
    dial::{Resolve, SystemResolver, dial},
    grant::{Grant, GrantSet},
    head,
    pool::{Key, Lease, Pool, PoolLimits},
    target::Target,
    tls::{Tls, TlsSettings},
};

/// What the operator sets for one app's outbound HTTP.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For a request that names none.
    pub connect_timeout: Duration,
    /// For a request that names none.
    pub first_byte_timeout: Duration,
    /// For a request that names none.
    pub between_bytes_timeout: Duration,
    /// No guest waits longer for any phase, whatever it asks for.
    pub max_timeout: Duration,
    /// Exchanges of the app at once; one lasts until its response body is over or dropped.
    pub max_exchanges: usize,
    /// Exchanges with one authority at once, and so its connections.
    pub max_exchanges_per_authority: usize,
    /// Exchanges of one invocation at once.
    pub max_exchanges_per_invocation: usize,
    /// How long an exchange over one of these limits waits for its turn.
    pub max_wait: Duration,
    /// Idle connections of the app.
    pub max_idle: usize,
    /// Idle connections to one authority.
    pub max_idle_per_authority: usize,
    /// An idle connection is closed after this; shorter than most servers' own, so that few are found closed.
    pub idle_timeout: Duration,
    /// Bytes of a head in either direction.
    pub max_head_bytes: usize,
    /// Fields of a response head.
    pub max_head_fields: usize,
    /// Bytes of a request body.
    pub max_request_bytes: Option<u64>,
    /// Bytes of a response body.
    pub max_response_bytes: Option<u64>,
    /// Whom to trust.
    pub tls: TlsSettings,
    /// Who looks names up.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(30),
            between_bytes_timeout: Duration::from_secs(30),
            max_timeout: Duration::from_secs(600),
            max_exchanges: 256,
            max_exchanges_per_authority: 128,
            max_exchanges_per_invocation: 32,
            max_wait: Duration::from_secs(1),
            max_idle: 128,
            max_idle_per_authority: 32,
            idle_timeout: Duration::from_secs(30),
            max_head_bytes: 64 * 1024,
            max_head_fields: 100,
            max_request_bytes: None,
            max_response_bytes: None,
            tls: TlsSettings::default(),
            resolver: Arc::new(SystemResolver::new(16)),
        }
    }
}

/// Sends requests and keeps connections for one app. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    app: Arc<App>,
    invocation: Option<Arc<Semaphore>>,
}

#[derive(Debug)]
struct App {
    settings: Settings,
    tls: Tls,
    pool: Arc<Pool>,
    exchanges: Arc<Semaphore>,
}

impl Client {
    /// Opens nothing and reads nothing yet.
    pub fn new(settings: Settings) -> Self {
        let app = App {
            tls: Tls::new(settings.tls.clone()),
            pool: Pool::new(PoolLimits {
                per_authority: settings.max_exchanges_per_authority,
                idle: settings.max_idle,
                idle_per_authority: settings.max_idle_per_authority,
                idle_timeout: settings.idle_timeout,
            }),
            exchanges: Arc::new(Semaphore::new(settings.max_exchanges)),
            settings,
        };
        Self {
            app: Arc::new(app),
            invocation: None,
        }
    }

    /// The same client, its connections included, with the limit that one invocation has to itself.
    #[must_use]
    pub fn for_invocation(&self) -> Self {
        let limit = Semaphore::new(self.app.settings.max_exchanges_per_invocation);
        Self {
            app: Arc::clone(&self.app),
            invocation: Some(Arc::new(limit)),
        }
    }

    /// Sends a request to an absolute URL, when a grant covers it, and returns when the head of the response is here.
    ///
    /// Dropping the future or the response body ends the exchange. Must be called on a Tokio runtime.
    pub async fn send(
        &self,
        grants: &GrantSet,
        request: Request<Body>,
        timeouts: Timeouts,
    ) -> Result<Response<Body>, Error> {
        let (mut head, body) = request.into_parts();
        let target = Target::of(&head)?;
        let grant = grants.permits(&target)?;
        let declared = head::outgoing(&mut head.headers, self.app.settings.max_head_bytes)?;
        put_headers(&mut head, grant).await?;

        let phases = self.phases(timeouts);
        let key = Arc::new(Key::new(&target, &grants.allowed));
        let places = self.places(&key).await?;
        let progress = Progress::new();
        let body = Sent::new(
            body,
            Arc::clone(&progress),
            declared,
            self.app.settings.max_request_bytes,
        );
        let mut lease = Lease::new(Arc::clone(&self.app.pool), key, progress, places);

        let response = self
            .exchange(&mut lease, &target, Request::from_parts(head, body), phases)
            .await?;
        self.receive(lease, response, phases)
    }

    /// At most two attempts: the second only when the first met a connection that was closed while it was idle.
    async fn exchange(
        &self,
        lease: &mut Lease,
        target: &Target,
        mut request: Request<Sent>,
        phases: Phases,
    ) -> Result<Response<Incoming>, Error> {
        let deadline = Instant::now() + phases.connect;
        if let Some(connection) = self.app.pool.checkout(&lease.key).await {
            let spare = spare(&request, &lease.progress);
            match attempt(lease, connection, target, request, phases).await {
                Ok(response) => return Ok(response),
                Err(failure) => request = again(failure, spare)?,
            }
        }
        let connection = self.connect(&lease.key, deadline).await?;
        attempt(lease, connection, target, request, phases)
            .await
            .map_err(|failure| failure.error)
    }

    /// A new connection, or the shared one that somebody else made meanwhile.
    async fn connect(&self, key: &Key, deadline: Instant) -> Result<Connection, Error> {
        let pool = &self.app.pool;
        let dialling = pool.dialling(key);
        let _first = match &dialling {
            Some(dialling) => Some(
                timeout_at(deadline, dialling.lock())
                    .await
                    .map_err(|_| Error::ConnectionTimeout)?,
            ),
            None => None,
        };
        if dialling.is_some()
            && let Some(shared) = pool.shared(key)
        {
            return Ok(shared);
        }
        let connection = timeout_at(deadline, self.dial(key, deadline))
            .await
            .map_err(|_| Error::ConnectionTimeout)??;
        pool.opened(key, &connection);
        Ok(connection)
    }

    async fn dial(&self, key: &Key, deadline: Instant) -> Result<Connection, Error> {
        let App { settings, tls, .. } = &*self.app;
        let limits = HeadLimits {
            bytes: settings.max_head_bytes,
            fields: settings.max_head_fields,
        };
        let stream = dial(
            &key.host,
            key.port,
            &key.allowed,
            &*settings.resolver,
            deadline,
        )
        .await?;
        if key.scheme == Scheme::Http {
            return Connection::http1(stream, limits).await;
        }
        let stream = tls.connect(stream, &key.host).await?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Connection::http2(stream, limits).await,
            _ => Connection::http1(stream, limits).await,
        }
    }

    fn receive(
        &self,
        lease: Lease,
        response: Response<Incoming>,
        phases: Phases,
    ) -> Result<Response<Body>, Error> {
        let Settings {
            max_head_fields,
            max_response_bytes,
            ..
        } = self.app.settings;
        let (mut head, body) = response.into_parts();
        // Nobody asked to switch protocols: `Upgrade` was not sent.
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::HttpProtocolError);
        }
        if head.headers.len() > max_head_fields {
            return Err(Error::HttpResponseHeaderSectionSize(None));
        }
        if max_response_bytes.is_some_and(|max| body.size_hint().lower() > max) {
            return Err(Error::HttpResponseBodySize(max_response_bytes));
        }
        head::incoming(&mut head.headers);
        let body = Received::new(body, lease, phases.between_bytes, max_response_bytes);
        Ok(Response::from_parts(head, body.boxed_unsync()))
    }

    /// A place for the exchange everywhere, the narrowest limit first.
    async fn places(&self, key: &Arc<Key>) -> Result<Vec<OwnedSemaphorePermit>, Error> {
        let deadline = Instant::now() + self.app.settings.max_wait;
        let queues = [
            self.invocation.clone(),
            Some(self.app.pool.places(key)),
            Some(Arc::clone(&self.app.exchanges)),
        ];
        let mut places = Vec::with_capacity(queues.len());
        for queue in queues.into_iter().flatten() {
            match timeout_at(deadline, queue.acquire_owned()).await {
                Ok(Ok(place)) => places.push(place),
                _ => return Err(Error::ConnectionLimitReached),
            }
        }
        Ok(places)
    }

    fn phases(&self, timeouts: Timeouts) -> Phases {
        let settings = &self.app.settings;
        let phase = |asked: Option<Duration>, default: Duration| {
            asked.unwrap_or(default).min(settings.max_timeout)
        };
        Phases {
            connect: phase(timeouts.connect, settings.connect_timeout),
            first_byte: phase(timeouts.first_byte, settings.first_byte_timeout),
            between_bytes: phase(timeouts.between_bytes, settings.between_bytes_timeout),
        }
    }
}

/// Timeouts with every default filled in and every ceiling applied.
#[derive(Debug, Clone, Copy)]
struct Phases {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

async fn attempt(
    lease: &mut Lease,
    connection: Connection,
    target: &Target,
    request: Request<Sent>,
    phases: Phases,
) -> Result<Response<Incoming>, Failure> {
    let connection = lease.connection.insert(connection);
    let sending = connection.send(request, target);
    match lease
        .progress
        .watch(sending, phases.first_byte, phases.between_bytes)
        .await
    {
        Ok(outcome) => outcome,
        Err(silence) => {
            // A connection on which nothing came back may be dead; who uses it now may finish, nobody joins them.
            lease.pool.forget(&lease.key, connection);
            Err(Failure {
                error: silence,
                unsent: None,
                is_closed: false,
            })
        }
    }
}

/// RFC 9110, 9.2.2: a client "SHOULD NOT automatically retry a request with a non-idempotent method unless it has some
/// means to know [...] that the original request was never applied". `unsent` is that means.
fn again(failure: Failure, spare: Option<Request<Sent>>) -> Result<Request<Sent>, Error> {
    match (failure.unsent, spare) {
        (Some(request), _) => Ok(request),
        (None, Some(spare)) if failure.is_closed => Ok(spare),
        _ => Err(failure.error),
    }
}

/// The same request once more, when sending it twice is as good as once and its body is empty.
fn spare(request: &Request<Sent>, progress: &Arc<Progress>) -> Option<Request<Sent>> {
    if !request.method().is_idempotent() || !request.body().is_end_stream() {
        return None;
    }
    let empty = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let mut spare = Request::new(Sent::new(empty, Arc::clone(progress), None, None));
    *spare.method_mut() = request.method().clone();
    *spare.uri_mut() = request.uri().clone();
    *spare.headers_mut() = request.headers().clone();
    Some(spare)
}

/// Puts the secrets of a grant into a request. Without them it is not sent.
async fn put_headers(head: &mut request::Parts, grant: &Grant) -> Result<(), Error> {
    for name in grant.headers.names() {
        head.headers.remove(name);
    }
    if !grant.headers.is_empty() {
        let secrets =
            grant
                .headers
                .headers()
                .await
                .map_err(|error| match error.is_temporary() {
                    true => Error::DestinationUnavailable,
                    false => {
                        let names: Vec<&str> = grant
                            .headers
                            .names()
                            .map(http::HeaderName::as_str)
                            .collect();
                        Error::Internal(format!(
                            "the secret for {} cannot be used: {error}",
                            names.join(", ")
                        ))
                    }
                })?;
        head.headers.extend(secrets);
    }
    Ok(())
}
