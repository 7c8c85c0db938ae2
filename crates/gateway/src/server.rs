//! A socket, its table and its end.
//!
//! In: an address, a [`Config`], a table behind an `ArcSwap`, an observer. Out: a [`Handle`] that drains. Whoever holds the
//! `ArcSwap` swaps the table: requests that begin afterwards see the new one, connections notice nothing.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    config::Config,
    cores::{Core, Cores},
    exchange::Observer,
    listener::{self, Accepting, Roster},
    route::Routes,
    service::Gateway,
};

const BACKLOG: i32 = 1_024;
/// A peer that vanished without a word is noticed within this time, idle or not.
const VANISHED: Duration = Duration::from_secs(60);
/// What connections that were cut have to end by themselves.
const CUT: Duration = Duration::from_secs(1);

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error(
        "the address {address} is in use; choose another with `--listen`, or port 0 for any free one"
    )]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Ports below 1024 belong to the system.
    #[error("listening on {address} is not permitted; choose a port above 1023 with `--listen`")]
    NotPermitted {
        /// The address asked for.
        address: SocketAddr,
    },
    /// This machine has no such address.
    #[error("this machine does not have the address {}; choose one of its own with `--listen`, or 127.0.0.1", address.ip())]
    NotOurs {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}")]
    Other {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// A bound socket that does not serve yet. Connections already queue in the kernel.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: Config,
}

impl Server {
    /// Binds an IPv4 or IPv6 address; `[::]` listens on both.
    pub fn bind(address: SocketAddr, config: Config) -> Result<Self, BindError> {
        listen(address)
            .and_then(|listener| Self::from_listener(listener, config))
            .map_err(|source| match source.kind() {
                io::ErrorKind::AddrInUse => BindError::InUse { address },
                io::ErrorKind::PermissionDenied => BindError::NotPermitted { address },
                io::ErrorKind::AddrNotAvailable => BindError::NotOurs { address },
                _ => BindError::Other { address, source },
            })
    }

    /// Takes a socket that is bound and listening already.
    pub fn from_listener(listener: TcpListener, config: Config) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            config,
        })
    }

    /// The address with the port that was chosen if port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Begins to serve in the runtime of the caller.
    pub fn serve(
        self,
        routes: Arc<ArcSwap<Routes>>,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Handle> {
        let here = Arc::new([Core::new(tokio::runtime::Handle::current())]);
        self.accept_on(here, None, routes, observer)
    }

    /// Begins to serve on these threads. They end with the [`Handle`].
    pub fn serve_on(
        self,
        cores: Cores,
        routes: Arc<ArcSwap<Routes>>,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Handle> {
        self.accept_on(Arc::clone(&cores.cores), Some(cores), routes, observer)
    }

    fn accept_on(
        self,
        cores: Arc<[Core]>,
        threads: Option<Cores>,
        routes: Arc<ArcSwap<Routes>>,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Handle> {
        let roster = Arc::new(Roster::default());
        let all = Arc::new(Accepting {
            slots: Arc::new(Semaphore::new(self.config.max_connections)),
            gateway: Arc::new(Gateway {
                config: self.config,
                routes,
                observer,
            }),
            roster: Arc::clone(&roster),
            cores: Arc::clone(&cores),
        });
        let mut accepting = Vec::with_capacity(cores.len());
        for (index, core) in cores.iter().enumerate() {
            let _in = core.runtime.enter();
            let listener = tokio::net::TcpListener::from_std(self.listener.try_clone()?)?;
            let accept = listener::accept(listener, Arc::clone(&all), index);
            accepting.push(core.runtime.spawn(accept));
        }
        Ok(Handle {
            roster,
            accepting,
            address: self.address,
            _threads: threads,
        })
    }
}

/// A serving server. Dropping it does not end the server; [`Handle::drain`] does.
pub struct Handle {
    roster: Arc<Roster>,
    accepting: Vec<tokio::task::JoinHandle<()>>,
    address: SocketAddr,
    _threads: Option<Cores>,
}

impl Handle {
    /// The address served.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.roster.connections()
    }

    /// Ends: accepts no more, closes idle connections at once, lets requests in flight finish for up to `grace` (HTTP/1.1 then
    /// closes, HTTP/2 is sent GOAWAY), and cuts the rest. Returns how many requests were cut.
    pub async fn drain(self, grace: Duration) -> usize {
        self.roster.close();
        // The socket is closed before anything else is awaited: from here on connecting is refused.
        for accepting in self.accepting {
            let _ = accepting.await;
        }
        if timeout(grace, self.roster.empty()).await.is_ok() {
            return 0;
        }
        let cut = self.roster.cut();
        let _ = timeout(CUT, self.roster.empty()).await;
        cut
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Handle")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    watch_for_vanished(&SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepted sockets inherit these on Linux, so that they cost nothing per connection.
fn watch_for_vanished(socket: &SockRef<'_>) -> io::Result<()> {
    let keepalive = TcpKeepalive::new()
        .with_time(VANISHED / 2)
        .with_interval(VANISHED / 6)
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(VANISHED))?;
    Ok(())
}
