//! Accepts connections and gives each its core and its task.
//!
//! In: a bound socket, on every core. Out: [`Session`]s in a [`Roster`], so that a drain can reach every connection. Absent: HTTP, which begins
//! in `connection`.

mod chunks;
mod connection;
mod inspector;
mod session;
mod stream;

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::{
    cores::{Core, Seat},
    service::Gateway,
};

pub(crate) use session::{Roster, Session};

/// How long to wait when the process or the system has no descriptor left. The queue of the kernel holds newcomers meanwhile.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// What the cores that accept from one socket share.
pub(crate) struct Accepting {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) cores: Arc<[Core]>,
    /// One permit per connection, so that their number is bounded and the rest waits in the kernel's queue.
    pub(crate) slots: Arc<Semaphore>,
}

/// Accepts on this core until the roster closes. All cores accept from the same socket: whoever looks first takes the connection, so
/// that a core that is busy leaves newcomers to the others.
pub(crate) async fn accept(listener: TcpListener, accepting: Arc<Accepting>, here: usize) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = accepting.roster.closed() => return,
            accepted = next(&listener, &accepting.slots) => accepted,
        };
        match accepted {
            Ok((tcp, permit)) => welcome(tcp, permit, &accepting, here),
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept; waiting");
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}

async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (tcp, _) = listener.accept().await?;
    Ok((tcp, permit))
}

fn welcome(tcp: TcpStream, permit: OwnedSemaphorePermit, accepting: &Accepting, here: usize) {
    let Ok(peer) = tcp.peer_addr() else {
        return;
    };
    let _ = tcp.set_nodelay(true);
    let session = Session::new(peer);
    let Some(entry) = accepting.roster.enter(&session) else {
        return;
    };
    let gateway = Arc::clone(&accepting.gateway);
    let seat = Seat::take(&accepting.cores, here);
    let core = seat.core();
    let serve = async move |tcp| {
        connection::serve(tcp, gateway, session).await;
        drop((entry, permit, seat));
    };
    if core == here {
        tokio::spawn(serve(tcp));
        return;
    }
    // The other core's runtime has to watch it. When the system refuses that, the connection closes.
    if let (Some(core), Ok(tcp)) = (accepting.cores.get(core), tcp.into_std()) {
        core.runtime.spawn(async move {
            if let Ok(tcp) = TcpStream::from_std(tcp) {
                serve(tcp).await;
            }
        });
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
