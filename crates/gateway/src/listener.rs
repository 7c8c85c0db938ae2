//! Accepts connections and gives each its task.
//!
//! In: a bound socket. Out: [`Session`]s in a [`Roster`], so that a drain can reach every connection. Absent: HTTP, which begins
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

use crate::service::Gateway;

pub(crate) use session::{Roster, Session};

/// How long to wait when the process or the system has no descriptor left. The queue of the kernel holds newcomers meanwhile.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Accepts until the roster closes. Each connection holds a permit, so that their number is bounded and the rest waits in the
/// kernel's queue.
pub(crate) async fn accept(listener: TcpListener, gateway: Arc<Gateway>, roster: Arc<Roster>) {
    let slots = Arc::new(Semaphore::new(gateway.config.max_connections));
    loop {
        let accepted = tokio::select! {
            biased;
            () = roster.closed() => return,
            accepted = next(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((tcp, permit)) => welcome(tcp, permit, &gateway, &roster),
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

fn welcome(
    tcp: TcpStream,
    permit: OwnedSemaphorePermit,
    gateway: &Arc<Gateway>,
    roster: &Arc<Roster>,
) {
    let Ok(peer) = tcp.peer_addr() else {
        return;
    };
    let _ = tcp.set_nodelay(true);
    let session = Session::new(peer);
    let Some(entry) = roster.enter(&session) else {
        return;
    };
    let gateway = Arc::clone(gateway);
    tokio::spawn(async move {
        connection::serve(tcp, gateway, session).await;
        drop(entry);
        drop(permit);
    });
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
