//! One long body there and back. In: an echo that runs. Out: bytes a second, sending and receiving at once on one connection.

use std::{
    convert::Infallible,
    fmt::Write as _,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::{QUIET, WARM};
use crate::{
    contender::{self, Contender, Paths},
    machine,
    process::Server,
    statistics::Rounds,
};

/// As much of it as is sent at once.
static CHUNK: [u8; 64 << 10] = [b'x'; 64 << 10];

/// One echo.
pub(super) struct Echo {
    pub(super) contender: Contender,
    server: Server,
    pub(super) mb_per_second: Rounds,
    cpu_s: Rounds,
}

/// All of them in turns, with a body of so many MiB.
pub(super) fn measure(
    paths: &Paths,
    cores: Option<&str>,
    rounds: u32,
    mib: u64,
    quiet: Duration,
) -> anyhow::Result<Vec<Echo>> {
    let mut all = Vec::new();
    for contender in contender::echoes(paths) {
        all.push(Echo::start(contender, cores)?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for round in 0..rounds {
        for echo in &mut all {
            machine::wait_for_quiet(QUIET, quiet);
            echo.server.resume()?;
            runtime.block_on(echo.round(mib << 20))?;
            echo.server.pause()?;
            eprintln!(
                "{mib} MiB, round {}: {:<18} {:6.0} MB/s",
                round + 1,
                echo.contender.key,
                echo.mb_per_second.last()
            );
        }
    }
    Ok(all)
}

pub(super) fn table(all: &[Echo], mib: u64) -> String {
    let mut text = format!(
        "\nA body of {mib} MiB there and back on one connection:\n\n| server | MB / s | CPU s |\n|---|---|---|\n"
    );
    for echo in all {
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.2} |",
            echo.contender.label, echo.mb_per_second, echo.cpu_s
        );
    }
    text
}

impl Echo {
    fn start(contender: Contender, cores: Option<&str>) -> anyhow::Result<Self> {
        let server = Server::start(contender.command(cores))?;
        std::thread::sleep(WARM);
        server.pause()?;
        Ok(Self {
            contender,
            server,
            mb_per_second: Rounds::default(),
            cpu_s: Rounds::default(),
        })
    }

    async fn round(&mut self, bytes: u64) -> anyhow::Result<()> {
        let address = self.server.address();
        let before = self.server.cpu();
        let began = Instant::now();
        let came = there_and_back(address, bytes).await;
        let came = came.with_context(|| format!("{}: a body of {bytes}", self.contender.key))?;
        let took = began.elapsed();
        ensure!(
            came == bytes,
            "{}: {came} of {bytes} came",
            self.contender.key
        );
        self.mb_per_second
            .push(bytes as f64 / 1e6 / took.as_secs_f64());
        let cpu = self.server.cpu().saturating_sub(before);
        self.cpu_s.push(cpu.as_secs_f64());
        Ok(())
    }
}

async fn there_and_back(address: &str, bytes: u64) -> anyhow::Result<u64> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::post("/")
        .header("host", address)
        .body(Long { left: bytes })?;
    let mut body = sender.send_request(request).await?.into_body();
    let mut came = 0;
    while let Some(frame) = body.frame().await {
        came += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(came)
}

/// So many bytes, made while they are sent.
struct Long {
    left: u64,
}

impl Body for Long {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.left.min(CHUNK.len() as u64);
        if length == 0 {
            return Poll::Ready(None);
        }
        self.left -= length;
        let length = usize::try_from(length).unwrap_or(CHUNK.len());
        let chunk = Bytes::from_static(&CHUNK).slice(..length);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
