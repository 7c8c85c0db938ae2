//! The auth service and the echo in hyper alone: the floor under every figure. In: requests. Out: the answers of `auth-core`, the guests'
//! own logic, with the same key compiled in; or the request's body as it comes. The runtime and the allocator are the product's.

use std::{convert::Infallible, net::Ipv4Addr, time::SystemTime};

use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body::Body;
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

const RECORD: &[u8] = br#"{"user_id":"user_123","expires_at":4102444800}"#;

/// Serves the auth service until it is killed.
pub(crate) fn serve() -> anyhow::Result<()> {
    serve_with(|request| answer(&request).unwrap_or_else(failed))
}

/// Gives every body back until it is killed.
pub(crate) fn echo() -> anyhow::Result<()> {
    serve_with(|request| Response::new(request.into_body()))
}

fn serve_with<B>(
    answer: impl Fn(Request<Incoming>) -> Response<B> + Copy + Send + Sync + 'static,
) -> anyhow::Result<()>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listener = listen().await?;
        loop {
            let (stream, _) = listener.accept().await?;
            // Refused only for a client that left already.
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let service =
                    service_fn(|request| async move { Ok::<_, Infallible>(answer(request)) });
                // A client that leaves is no error here.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

/// Takes any free port and says which.
pub(crate) async fn listen() -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("ready: http://{}", listener.local_addr()?);
    Ok(listener)
}

/// What a baseline says when something went wrong; the load generator counts it as an error.
pub(crate) fn failed(error: impl std::fmt::Display) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(error.to_string()));
    *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn answer(request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, http::Error> {
    let authorization: Vec<Vec<u8>> = request
        .headers()
        .get_all(AUTHORIZATION)
        .iter()
        .map(|value| value.as_bytes().to_vec())
        .collect();
    let asked = auth_core::Request {
        method: request.method().as_str(),
        path: request.uri().path(),
        authorization: &authorization,
    };
    let record = |key: &str| Ok((key == "key_123").then(|| RECORD.to_vec()));
    let answer = auth_core::answer(asked, record, now_s, |rejection| eprintln!("{rejection}"));
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::from(answer.body))
}

fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(u64::MAX, |since| since.as_secs())
}
