//! One kept connection. In: a request. Out: how many bytes answered it, or why it failed. Opened when it is needed, and again after a failure.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, sync::Mutex};

use crate::{
    tally::Failure,
    target::{Expected, Protocol, Target},
};

/// One connection, shared by the streams on it.
pub(crate) struct Connection {
    addresses: Vec<SocketAddr>,
    protocol: Protocol,
    expected: Expected,
    request: Request<Full<Bytes>>,
    sender: Mutex<Option<Sender>>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    pub(crate) fn new(target: &Target) -> Self {
        Self {
            addresses: target.addresses.clone(),
            protocol: target.protocol,
            expected: target.expected.clone(),
            request: target.to_send(),
            sender: Mutex::new(None),
        }
    }

    /// Connects, so that the first request need not.
    pub(crate) async fn open(&self) -> Result<(), Failure> {
        let mut sender = self.sender.lock().await;
        if sender.is_none() {
            *sender = Some(connect(&self.addresses, self.protocol).await?);
        }
        Ok(())
    }

    /// One request to its last byte.
    pub(crate) async fn exchange(&self) -> Result<u64, Failure> {
        let mut sender = self.take().await?;
        let request = self.request.clone();
        let sent = match &mut sender {
            Sender::Http1(sender) => sender.send_request(request).await,
            Sender::Http2(sender) => sender.send_request(request).await,
        };
        let response = sent.map_err(|error| Failure::of(&error))?;
        let status = response.status();
        let mut body = response.into_body();
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::of(&error))?;
            bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        // Only what ended well is used again. For streams a copy stayed.
        if let Sender::Http1(_) = sender {
            *self.sender.lock().await = Some(sender);
        }
        if self.expected.covers(status) {
            Ok(bytes)
        } else {
            Err(Failure::Status(status.as_u16()))
        }
    }

    /// A sender that can send now: the whole of HTTP/1.1, a copy for a stream of HTTP/2.
    async fn take(&self) -> Result<Sender, Failure> {
        let mut kept = self.sender.lock().await;
        if let Some(mut sender) = kept.take()
            && sender.is_ready().await
        {
            return Ok(keep_copy(&mut kept, sender));
        }
        let mut sender = connect(&self.addresses, self.protocol).await?;
        if !sender.is_ready().await {
            return Err(Failure::Closed);
        }
        Ok(keep_copy(&mut kept, sender))
    }
}

fn keep_copy(kept: &mut Option<Sender>, sender: Sender) -> Sender {
    if let Sender::Http2(streams) = &sender {
        *kept = Some(Sender::Http2(streams.clone()));
    }
    sender
}

impl Sender {
    /// False when the other side has closed it.
    async fn is_ready(&mut self) -> bool {
        match self {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        }
    }
}

async fn connect(addresses: &[SocketAddr], protocol: Protocol) -> Result<Sender, Failure> {
    let stream = TcpStream::connect(addresses).await;
    let stream = stream.map_err(|_| Failure::Connect)?;
    // A request leaves when it is made.
    stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
    let stream = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => {
            let (sender, connection) = http1::handshake(stream)
                .await
                .map_err(|_| Failure::Connect)?;
            // How it ends is told to whoever waits for an answer on it.
            tokio::spawn(async move { drop(connection.await) });
            Ok(Sender::Http1(sender))
        }
        Protocol::Http2 => {
            let handshake = http2::handshake(TokioExecutor::new(), stream);
            let (sender, connection) = handshake.await.map_err(|_| Failure::Connect)?;
            tokio::spawn(async move { drop(connection.await) });
            Ok(Sender::Http2(sender))
        }
    }
}
