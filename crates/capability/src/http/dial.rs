//! From a host to a TCP connection. In: host, port, what the operator allows. Out: a stream to an address that was
//! checked.
//!
//! A name is resolved once; every address it has is checked, and exactly the checked addresses are dialled, so that a
//! name that changes its mind between check and use (DNS rebinding) gains nothing. Never a unix socket, never a proxy.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    net::TcpStream,
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{address::Allowed, contract::Error, target::Host};

/// More addresses than these are not looked at: a hostile name can have thousands.
const MAX_ADDRESSES: usize = 16;

/// The least time that one address gets while others wait.
const MIN_ATTEMPT: Duration = Duration::from_millis(250);

/// Looks names up.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of `name`, in order of preference. The caller holds the deadline and drops the future at it.
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver (`getaddrinfo`), a bounded number of lookups at once.
#[derive(Debug)]
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl SystemResolver {
    /// `getaddrinfo` cannot be cancelled: a lookup keeps its thread, and its place among `max_lookups`, until it is
    /// over.
    pub fn new(max_lookups: usize) -> Self {
        Self {
            lookups: Arc::new(Semaphore::new(max_lookups)),
        }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let (lookups, name) = (Arc::clone(&self.lookups), name.to_owned());
        Box::pin(async move {
            let place = lookups.acquire_owned().await.map_err(io::Error::other)?;
            let lookup = tokio::task::spawn_blocking(move || {
                let _place = place;
                let found = (name.as_str(), 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}

/// Connects to the first allowed address that answers, before `deadline`.
pub(super) async fn dial(
    host: &Host,
    port: u16,
    allowed: &Allowed,
    resolver: &dyn Resolve,
    deadline: Instant,
) -> Result<TcpStream, Error> {
    let addresses = addresses(host, resolver, deadline).await?;
    let mut remaining = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut first = Error::DestinationNotFound;
    for ip in addresses {
        let attempt = connect(
            host,
            SocketAddr::new(ip.to_canonical(), port),
            allowed,
            share(deadline, remaining),
        )
        .await;
        match attempt {
            Ok(stream) => return Ok(stream),
            // What happened when dialling says more than that another address was prohibited.
            Err(error)
                if matches!(
                    first,
                    Error::DestinationNotFound | Error::DestinationIpProhibited(_)
                ) =>
            {
                first = error
            }
            Err(_) => {}
        }
        remaining = remaining.saturating_sub(1);
    }
    Err(first)
}

async fn addresses(
    host: &Host,
    resolver: &dyn Resolve,
    deadline: Instant,
) -> Result<Vec<IpAddr>, Error> {
    let name = match host {
        Host::Address(ip) => return Ok(vec![*ip]),
        Host::Name(name) => name,
    };
    let found = timeout_at(deadline, resolver.resolve(name))
        .await
        .map_err(|_| Error::DnsTimeout)?;
    let mut addresses = found.map_err(|error| Error::DnsError(error.to_string()))?;
    addresses.truncate(MAX_ADDRESSES);
    Ok(addresses)
}

/// Check and connect stand together: nothing is awaited between them, and the address is a number by now.
async fn connect(
    host: &Host,
    address: SocketAddr,
    allowed: &Allowed,
    deadline: Instant,
) -> Result<TcpStream, Error> {
    allowed
        .address_of(host, address)
        .map_err(|prohibited| Error::DestinationIpProhibited(prohibited.to_string()))?;
    let attempt = timeout_at(deadline, TcpStream::connect(address))
        .await
        .map_err(|_| Error::ConnectionTimeout)?;
    let stream = attempt.map_err(|error| connect_error(&error))?;
    // Requests are written whole; waiting for more (Nagle) only delays the last segment.
    stream
        .set_nodelay(true)
        .map_err(|error| connect_error(&error))?;
    Ok(stream)
}

/// An equal share of what is left for each address, so that one black hole does not use up the time of all.
fn share(deadline: Instant, remaining: u32) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    deadline.min(now + left.checked_div(remaining).unwrap_or(left).max(MIN_ATTEMPT))
}

fn connect_error(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            Error::ConnectionTerminated
        }
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
            Error::DestinationIpUnroutable
        }
        _ => Error::DestinationUnavailable,
    }
}
