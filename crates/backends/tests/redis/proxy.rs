//! A network between the backend and Redis, which a test can break. In: a server's port. Out: another port, and what may happen to
//! the connections through it.

use std::sync::{
    Arc,
    atomic::{AtomicU16, AtomicU64, Ordering::SeqCst},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

pub(crate) struct Proxy {
    pub(crate) port: u16,
    fault: watch::Sender<Fault>,
    connections: Arc<AtomicU64>,
    server: Arc<AtomicU16>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    None,
    /// Connections made until now carry nothing more and stay open; newer ones work: half open after a failover.
    HalfOpenUntil(u64),
    /// What is sent arrives, and the connection ends instead of bringing the answer.
    CutAnswers,
}

impl Proxy {
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (fault, faults) = watch::channel(Fault::None);
        let connections = Arc::new(AtomicU64::new(0));
        let counted = connections.clone();
        let server = Arc::new(AtomicU16::new(server));
        let target = server.clone();
        tokio::spawn(async move {
            while let Ok((inside, _)) = listener.accept().await {
                let number = counted.fetch_add(1, SeqCst) + 1;
                tokio::spawn(carry(number, inside, target.load(SeqCst), faults.clone()));
            }
        });
        Self {
            port,
            fault,
            connections,
            server,
        }
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(SeqCst)
    }

    pub(crate) fn inflict(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// From now on connections are made to another server, as when a name points elsewhere after a failover.
    pub(crate) fn redirect(&self, server: u16) {
        self.server.store(server, SeqCst);
    }

    pub(crate) fn half_open(&self) {
        self.inflict(Fault::HalfOpenUntil(self.connections()));
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

async fn carry(
    number: u64,
    mut inside: TcpStream,
    server: u16,
    mut faults: watch::Receiver<Fault>,
) {
    let Ok(mut outside) = TcpStream::connect(("127.0.0.1", server)).await else {
        return;
    };
    let (mut up, mut down) = ([0; 65_536], [0; 65_536]);
    loop {
        let fault = *faults.borrow_and_update();
        if matches!(fault, Fault::HalfOpenUntil(last) if number <= last) {
            std::future::pending::<()>().await;
        }
        tokio::select! {
            _ = faults.changed() => {}
            read = inside.read(&mut up) => match read {
                Ok(bytes @ 1..) => outside.write_all(&up[..bytes]).await.unwrap(),
                _ => return,
            },
            read = outside.read(&mut down) => match read {
                Ok(bytes @ 1..) if fault != Fault::CutAnswers => {
                    if inside.write_all(&down[..bytes]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}
