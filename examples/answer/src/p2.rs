//! WASI HTTP 0.2: reads a bounded request body, sends an answer.
//! In: the resources the host hands to `incoming-handler`. Out: bytes, or the answer on its way.

use std::io::{Read as _, Write as _};

use wasip2::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

use crate::Answer;

/// Why a request body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// Longer than the caller allows.
    TooLong,
    /// The client left, or the framing was wrong.
    Broken,
}

/// The method as it stands in the request line.
pub fn method(request: &IncomingRequest) -> String {
    match request.method() {
        Method::Get => "GET".to_owned(),
        Method::Head => "HEAD".to_owned(),
        Method::Post => "POST".to_owned(),
        Method::Put => "PUT".to_owned(),
        Method::Delete => "DELETE".to_owned(),
        Method::Connect => "CONNECT".to_owned(),
        Method::Options => "OPTIONS".to_owned(),
        Method::Trace => "TRACE".to_owned(),
        Method::Patch => "PATCH".to_owned(),
        Method::Other(name) => name,
    }
}

/// The path without its query.
pub fn path(request: &IncomingRequest) -> String {
    let mut path = request.path_with_query().unwrap_or_default();
    if let Some(query) = path.find('?') {
        path.truncate(query);
    }
    path
}

/// The request body, if it has no more than `max_bytes`.
pub fn body(request: &IncomingRequest, max_bytes: usize) -> Result<Vec<u8>, BodyError> {
    let body = request.consume().map_err(|()| BodyError::Broken)?;
    let stream = body.stream().map_err(|()| BodyError::Broken)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells "exactly full" from "too long".
    stream
        .take(max_bytes as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| BodyError::Broken)?;
    if bytes.len() > max_bytes {
        Err(BodyError::TooLong)
    } else {
        Ok(bytes)
    }
}

/// Sends the answer. A client that left meanwhile is no error: nobody is there to be told.
pub fn send(answer: Answer, out: ResponseOutparam) {
    let length = answer.body.len().to_string();
    let mut entries: Vec<(String, Vec<u8>)> = answer
        .headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into_bytes()))
        .collect();
    // RFC 9110, 8.6: no Content-Length in a 204; a 304 has no body whose length could be told.
    if !matches!(answer.status, 204 | 304) {
        entries.push(("content-length".to_owned(), length.into_bytes()));
    }
    // Refused only for a field this crate's users never write; an answer without headers is better than a trap.
    let response =
        OutgoingResponse::new(Fields::from_list(&entries).unwrap_or_else(|_| Fields::new()));
    let (Ok(()), Ok(body)) = (response.set_status_code(answer.status), response.body()) else {
        return;
    };
    ResponseOutparam::set(out, Ok(response));
    if let Ok(mut stream) = body.write() {
        let _ = stream.write_all(&answer.body);
    }
    let _ = OutgoingBody::finish(body, None);
}
