//! The echo as a WASI 0.2 component. In: a request body of any length. Out: the same bytes and trailers, chunk by chunk: a read
//! waits for the client to send, a write for the client to receive, and one chunk is held at most.

#![cfg(target_family = "wasm")]

use std::io::Write as _;

use echo_core::{CHUNK_BYTES, KEPT_HEADERS, Mode};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
    Trailers,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

struct Echo;

impl Guest for Echo {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let mode = Mode::for_path(&answer::p2::path(&request));
        let response = OutgoingResponse::new(kept_headers(&request.headers()));
        let (Ok(incoming), Ok(outgoing)) = (request.consume(), response.body()) else {
            return;
        };
        ResponseOutparam::set(out, Ok(response));
        if let Ok(trailers) = pass(incoming, &outgoing, mode) {
            let _ = OutgoingBody::finish(outgoing, trailers);
        }
        // A body dropped unfinished is one the host breaks off: half an echo must not look like a whole one.
    }
}

fn kept_headers(headers: &Fields) -> Fields {
    let kept = Fields::new();
    for name in KEPT_HEADERS {
        let values = headers.get(name);
        if !values.is_empty() {
            // The host took these very values in; one it does not let out again is left out.
            let _ = kept.set(name, &values);
        }
    }
    kept
}

/// The body was not passed on whole; who cares has gone.
struct Broken;

fn pass(
    incoming: IncomingBody,
    outgoing: &OutgoingBody,
    mode: Mode,
) -> Result<Option<Trailers>, Broken> {
    {
        let input = incoming.stream().map_err(|()| Broken)?;
        let output = outgoing.write().map_err(|()| Broken)?;
        match mode {
            Mode::AsTheyAre => splice(&input, &output)?,
            Mode::UpperCase => upper_case(&input, output)?,
        }
    }
    let trailers = IncomingBody::finish(incoming);
    trailers.subscribe().block();
    match trailers.get() {
        Some(Ok(Ok(trailers))) => Ok(trailers),
        _ => Err(Broken),
    }
}

/// The host moves the bytes; they never enter this component's memory.
fn splice(input: &InputStream, output: &OutputStream) -> Result<(), Broken> {
    loop {
        match output.blocking_splice(input, CHUNK_BYTES as u64) {
            Ok(_) => {}
            Err(StreamError::Closed) => return Ok(()),
            Err(StreamError::LastOperationFailed(_)) => return Err(Broken),
        }
    }
}

fn upper_case(input: &InputStream, mut output: OutputStream) -> Result<(), Broken> {
    loop {
        match input.blocking_read(CHUNK_BYTES as u64) {
            Ok(mut chunk) => {
                chunk.make_ascii_uppercase();
                output.write_all(&chunk).map_err(|_| Broken)?;
            }
            Err(StreamError::Closed) => return Ok(()),
            Err(StreamError::LastOperationFailed(_)) => return Err(Broken),
        }
    }
}

wasip2::http::proxy::export!(Echo);
