//! Responses that are wrong, long or odd. In: parameters and the place for the response. Out: a response, or half of one.

use std::io::Write as _;

use mischief::{Ask, Reply, compute, json, p2};
use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::{OutputStream, StreamError};

/// Sets a second response in the place of the first. The type system forbids it, so the handle is forged.
pub(crate) fn twice(ask: &Ask, out: ResponseOutparam) {
    // SAFETY: none; a host must survive a guest that uses a handle it has given away.
    let again = unsafe { ResponseOutparam::from_handle(out.handle()) };
    let body = p2::start(200, &[], out);
    write(&body, b"first");
    if ask.text("finish") == "1" {
        let _ = OutgoingBody::finish(body, None);
    }
    ResponseOutparam::set(again, Ok(OutgoingResponse::new(Fields::new())));
}

/// Head and `?bytes=` of the body, all of it on its way; then a trap.
pub(crate) fn midtrap(ask: &Ask, out: ResponseOutparam) {
    let body = p2::start(200, &[("content-type", "text/plain")], out);
    let mut stream = body.write().unwrap();
    let _ = fill(&mut stream, ask.number("bytes", 1_000));
    let _ = stream.blocking_flush();
    compute::trap();
}

/// Declares `?declared=` and writes `?bytes=`, which are fewer.
pub(crate) fn short(ask: &Ask, out: ResponseOutparam) {
    declared(ask.number("declared", 100), ask.number("bytes", 50), out);
}

/// Declares `?declared=` and writes `?bytes=`, which are more.
pub(crate) fn long(ask: &Ask, out: ResponseOutparam) {
    declared(ask.number("declared", 50), ask.number("bytes", 100), out);
}

fn declared(declared: u64, bytes: u64, out: ResponseOutparam) {
    let body = p2::start(200, &[("content-length", &declared.to_string())], out);
    let mut stream = body.write().unwrap();
    if let Err(error) = fill(&mut stream, bytes) {
        eprintln!("write: {error}");
    }
    drop(stream);
    if let Err(error) = OutgoingBody::finish(body, None) {
        eprintln!("finish: {error:?}");
    }
}

/// `?bytes=` of a body that is dropped instead of finished.
pub(crate) fn nofinish(ask: &Ask, out: ResponseOutparam) {
    let body = p2::start(200, &[], out);
    let mut stream = body.write().unwrap();
    let _ = fill(&mut stream, ask.number("bytes", 100));
    let _ = stream.blocking_flush();
}

/// A whole response; then `?ms=` of sleep (needs the clock), `?spins=` of work, and a line on standard error.
pub(crate) fn after(ask: &Ask, out: ResponseOutparam) {
    p2::send(&Reply::ok("answered"), out);
    if ask.number("ms", 0) > 0 {
        sleep(ask.number("ms", 0));
    }
    compute::burn(ask);
    eprintln!("after: done {}", ask.text("tag"));
}

/// `?bytes=` of body, as fast as the client takes them.
pub(crate) fn stream(ask: &Ask, out: ResponseOutparam) {
    let body = p2::start(200, &[("content-type", "application/octet-stream")], out);
    let mut stream = body.write().unwrap();
    let whole = fill(&mut stream, ask.number("bytes", 1_000_000)).is_ok();
    drop(stream);
    if whole {
        let _ = OutgoingBody::finish(body, None);
    }
}

/// `?chunks=` lines, one every `?ms=` (needs the clock).
pub(crate) fn drip(ask: &Ask, out: ResponseOutparam) {
    let body = p2::start(200, &[("content-type", "text/plain")], out);
    let stream = body.write().unwrap();
    for n in 0..ask.number("chunks", 5) {
        if stream
            .blocking_write_and_flush(format!("chunk {n}\n").as_bytes())
            .is_err()
        {
            return;
        }
        sleep(ask.number("ms", 100));
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}

/// A body with two announced trailers.
pub(crate) fn trailers(out: ResponseOutparam) {
    let body = p2::start(200, &[("trailer", "x-sum, x-count")], out);
    write(&body, b"body");
    let _ = OutgoingBody::finish(body, Some(p2::fields(&[("x-sum", "42"), ("x-count", "1")])));
}

/// `?code=` as it is, 1xx and 204 included; `?body=0` leaves the body away. A code the host refuses is reported.
pub(crate) fn status(ask: &Ask, out: ResponseOutparam) {
    let code = ask.number("code", 200) as u16;
    let response = OutgoingResponse::new(Fields::new());
    if response.set_status_code(code).is_err() {
        return p2::send(&Reply::ok(format!("refused {code}")), out);
    }
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    if ask.text("body") != "0" {
        write(&body, format!("status {code}").as_bytes());
    }
    let _ = OutgoingBody::finish(body, None);
}

/// Reads the request body to its end and counts it.
pub(crate) fn sink(request: &IncomingRequest) -> Reply {
    let body = request.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut bytes = 0;
    let end = loop {
        match stream.blocking_read(65_536) {
            Ok(chunk) => bytes += chunk.len(),
            Err(StreamError::Closed) => break "closed",
            Err(StreamError::LastOperationFailed(_)) => break "failed",
        }
    };
    drop(stream);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    let trailers = match trailers.get() {
        Some(Ok(Ok(Some(trailers)))) => pairs(&trailers),
        Some(Ok(Ok(None))) => "null".to_owned(),
        other => json::string(&format!("{other:?}")),
    };
    Reply::ok(format!(
        "{{\"bytes\":{bytes},\"end\":\"{end}\",\"trailers\":{trailers}}}"
    ))
}

/// The request's head.
pub(crate) fn headers(request: &IncomingRequest) -> Reply {
    let method = match request.method() {
        Method::Other(name) => name,
        known => format!("{known:?}")
            .trim_start_matches("Method::")
            .to_ascii_uppercase(),
    };
    let text = |text: Option<String>| text.map_or("null".to_owned(), |text| json::string(&text));
    Reply::ok(format!(
        "{{\"method\":{},\"path\":{},\"authority\":{},\"scheme\":{},\"headers\":{}}}",
        json::string(&method),
        text(request.path_with_query()),
        text(request.authority()),
        text(request.scheme().map(|scheme| {
            format!("{scheme:?}")
                .trim_start_matches("Scheme::")
                .to_ascii_lowercase()
        })),
        pairs(&request.headers())
    ))
}

fn pairs(fields: &Fields) -> String {
    let entries: Vec<_> = fields
        .entries()
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    json::pairs(
        entries
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
}

fn write(body: &OutgoingBody, bytes: &[u8]) {
    let mut stream = body.write().unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.flush();
}

fn fill(stream: &mut OutputStream, bytes: u64) -> std::io::Result<()> {
    let piece = [b'x'; 65_536];
    let mut left = bytes as usize;
    while left > 0 {
        let piece = &piece[..left.min(65_536)];
        stream.write_all(piece)?;
        left -= piece.len();
    }
    Ok(())
}

fn sleep(ms: u64) {
    monotonic_clock::subscribe_duration(ms * 1_000_000).block();
}
