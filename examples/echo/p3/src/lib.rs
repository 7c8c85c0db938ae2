//! The echo as a WASI 0.3 component. In: a request body of any length. Out: the same bytes and trailers. As they are, the stream
//! itself is handed back and no byte enters this component; in upper case, one chunk is held at most.

#![cfg(target_family = "wasm")]

use echo_core::{CHUNK_BYTES, KEPT_HEADERS, Mode};
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::{StreamReader, StreamResult, StreamWriter};
use wasip3::{spawn_local, wit_future, wit_stream};

struct Echo;

impl Guest for Echo {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let mode = Mode::for_path(&request.get_path_with_query().unwrap_or_default());
        let headers = kept_headers(&request.get_headers());
        let (_received, result) = wit_future::new(|| Ok(()));
        let (body, trailers) = Request::consume_body(request, result);
        let contents = match mode {
            Mode::AsTheyAre => body,
            Mode::UpperCase => {
                let (output, contents) = wit_stream::new();
                spawn_local(upper_case(body, output));
                contents
            }
        };
        // The trailers' future also tells a body that broke off, so the response breaks off too.
        let (response, _sent) = Response::new(headers, Some(contents), trailers);
        Ok(response)
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

async fn upper_case(mut input: StreamReader<u8>, mut output: StreamWriter<u8>) {
    let mut buffer = Vec::new();
    loop {
        buffer.reserve(CHUNK_BYTES);
        let (result, mut chunk) = input.read(buffer).await;
        chunk.make_ascii_uppercase();
        buffer = output.write_all(chunk).await;
        // Bytes that stay unwritten were for a client that left.
        if !buffer.is_empty() || !matches!(result, StreamResult::Complete(_)) {
            return;
        }
    }
}

wasip3::http::service::export!(Echo);
