//! Responses that are wrong, long or odd. In: parameters. Out: a response, and a task that writes its body or half of it.

use std::future::Future;

use mischief::{Ask, Reply, compute, json};
use wasip3::clocks::monotonic_clock;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response};
use wasip3::wit_bindgen::{StreamResult, StreamWriter};
use wasip3::{spawn_local, wit_future, wit_stream};

/// How a body ended: perhaps with trailers.
type End = Result<Option<Fields>, ErrorCode>;

pub(crate) fn send(reply: Reply) -> Result<Response, ErrorCode> {
    respond(
        reply.status,
        &[("content-type", reply.content_type())],
        async move |mut body| {
            body.write_all(reply.body.into_bytes()).await;
            drop(body);
            Ok(None)
        },
    )
}

/// Head and `?bytes=` of the body, then a trap.
pub(crate) fn midtrap(ask: &Ask) -> Result<Response, ErrorCode> {
    let bytes = ask.number("bytes", 1_000);
    respond(
        200,
        &[("content-type", "text/plain")],
        async move |mut body| {
            fill(&mut body, bytes).await;
            compute::trap()
        },
    )
}

/// Declares `?declared=` and writes `?bytes=`, which are fewer.
pub(crate) fn short(ask: &Ask) -> Result<Response, ErrorCode> {
    declared(ask.number("declared", 100), ask.number("bytes", 50))
}

/// Declares `?declared=` and writes `?bytes=`, which are more.
pub(crate) fn long(ask: &Ask) -> Result<Response, ErrorCode> {
    declared(ask.number("declared", 50), ask.number("bytes", 100))
}

fn declared(declared: u64, bytes: u64) -> Result<Response, ErrorCode> {
    respond(
        200,
        &[("content-length", &declared.to_string())],
        async move |mut body| {
            let written = fill(&mut body, bytes).await;
            eprintln!("wrote {written} of {bytes}");
            Ok(None)
        },
    )
}

/// `?bytes=` of a body that ends in an error instead of trailers.
pub(crate) fn nofinish(ask: &Ask) -> Result<Response, ErrorCode> {
    let bytes = ask.number("bytes", 100);
    respond(200, &[], async move |mut body| {
        fill(&mut body, bytes).await;
        Err(ErrorCode::InternalError(Some("as asked".to_owned())))
    })
}

/// A whole response; once it is sent `?ms=` of sleep (needs the clock), `?spins=` of work, and a line on standard error.
pub(crate) fn after(ask: &Ask) -> Result<Response, ErrorCode> {
    let ask = ask.clone();
    let (mut body, contents) = wit_stream::new();
    let (_end, trailers) = wit_future::new(|| Ok(None));
    let (response, sent) = Response::new(Fields::new(), Some(contents), trailers);
    spawn_local(async move {
        body.write_all(b"answered".to_vec()).await;
        drop(body);
        let _ = sent.await;
        if ask.number("ms", 0) > 0 {
            sleep(ask.number("ms", 0)).await;
        }
        compute::burn(&ask);
        eprintln!("after: done {}", ask.text("tag"));
    });
    Ok(response)
}

/// `?bytes=` of body, as fast as the client takes them.
pub(crate) fn stream(ask: &Ask) -> Result<Response, ErrorCode> {
    let bytes = ask.number("bytes", 1_000_000);
    respond(
        200,
        &[("content-type", "application/octet-stream")],
        async move |mut body| {
            fill(&mut body, bytes).await;
            Ok(None)
        },
    )
}

/// `?chunks=` lines, one every `?ms=` (needs the clock).
pub(crate) fn drip(ask: &Ask) -> Result<Response, ErrorCode> {
    let (chunks, ms) = (ask.number("chunks", 5), ask.number("ms", 100));
    respond(
        200,
        &[("content-type", "text/plain")],
        async move |mut body| {
            for n in 0..chunks {
                if !body
                    .write_all(format!("chunk {n}\n").into_bytes())
                    .await
                    .is_empty()
                {
                    break;
                }
                sleep(ms).await;
            }
            Ok(None)
        },
    )
}

/// A body with two announced trailers.
pub(crate) fn trailers() -> Result<Response, ErrorCode> {
    respond(200, &[("trailer", "x-sum, x-count")], async |mut body| {
        body.write_all(b"body".to_vec()).await;
        drop(body);
        Ok(Some(fields(&[("x-sum", "42"), ("x-count", "1")])))
    })
}

/// `?code=` as it is, 1xx and 204 included; `?body=0` leaves the body away. A code the host refuses is reported.
pub(crate) fn status(ask: &Ask) -> Result<Response, ErrorCode> {
    let code = ask.number("code", 200) as u16;
    if ask.text("body") == "0" {
        let (_end, trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(Fields::new(), None, trailers);
        return match response.set_status_code(code) {
            Ok(()) => Ok(response),
            Err(()) => send(Reply::ok(format!("refused {code}"))),
        };
    }
    let response = respond(200, &[], async move |mut body| {
        body.write_all(format!("status {code}").into_bytes()).await;
        Ok(None)
    })?;
    match response.set_status_code(code) {
        Ok(()) => Ok(response),
        Err(()) => send(Reply::ok(format!("refused {code}"))),
    }
}

/// Reads the request body to its end and counts it.
pub(crate) async fn sink(request: Request) -> Reply {
    let (_received, result) = wit_future::new(|| Ok(()));
    let (mut body, trailers) = Request::consume_body(request, result);
    let mut bytes = 0;
    let mut buffer = Vec::with_capacity(65_536);
    loop {
        let (result, chunk) = body.read(buffer).await;
        bytes += chunk.len();
        buffer = chunk;
        buffer.clear();
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    let (end, trailers) = match trailers.await {
        Ok(Some(trailers)) => ("closed", pairs(&trailers)),
        Ok(None) => ("closed", "null".to_owned()),
        Err(error) => ("failed", json::string(&format!("{error:?}"))),
    };
    Reply::ok(format!(
        "{{\"bytes\":{bytes},\"end\":\"{end}\",\"trailers\":{trailers}}}"
    ))
}

/// The request's head.
pub(crate) fn headers(request: &Request) -> Reply {
    let method = match request.get_method() {
        Method::Other(name) => name,
        known => format!("{known:?}")
            .trim_start_matches("Method::")
            .to_ascii_uppercase(),
    };
    let text = |text: Option<String>| text.map_or("null".to_owned(), |text| json::string(&text));
    Reply::ok(format!(
        "{{\"method\":{},\"path\":{},\"authority\":{},\"scheme\":{},\"headers\":{}}}",
        json::string(&method),
        text(request.get_path_with_query()),
        text(request.get_authority()),
        text(request.get_scheme().map(|scheme| {
            format!("{scheme:?}")
                .trim_start_matches("Scheme::")
                .to_ascii_lowercase()
        })),
        pairs(&request.get_headers())
    ))
}

fn pairs(fields: &Fields) -> String {
    let entries: Vec<_> = fields
        .copy_all()
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    json::pairs(
        entries
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
}

fn fields(entries: &[(&str, &str)]) -> Fields {
    let entries: Vec<_> = entries
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    Fields::from_list(&entries).expect("headers of our own")
}

/// A response whose body `produce` writes while the host already sends the head.
fn respond<F>(
    status: u16,
    headers: &[(&str, &str)],
    produce: impl FnOnce(StreamWriter<u8>) -> F,
) -> Result<Response, ErrorCode>
where
    F: Future<Output = End> + 'static,
{
    let (body, contents) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| {
        Err(ErrorCode::InternalError(Some(
            "the body was dropped".to_owned(),
        )))
    });
    let (response, _sent) = Response::new(fields(headers), Some(contents), trailers);
    response
        .set_status_code(status)
        .map_err(|()| ErrorCode::InternalError(None))?;
    let producing = produce(body);
    spawn_local(async move {
        let _ = end.write(producing.await).await;
    });
    Ok(response)
}

/// How many of the bytes were taken.
async fn fill(body: &mut StreamWriter<u8>, bytes: u64) -> u64 {
    let mut left = bytes;
    while left > 0 {
        let size = left.min(65_536);
        let unwritten = body.write_all(vec![b'x'; size as usize]).await.len() as u64;
        left -= size - unwritten;
        if unwritten > 0 {
            break;
        }
    }
    bytes - left
}

async fn sleep(ms: u64) {
    monotonic_clock::wait_for(ms * 1_000_000).await;
}
