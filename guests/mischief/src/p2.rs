//! WASI HTTP 0.2 for the guests that answer normally. In: a request, a reply. Out: the behaviour asked for; the reply, sent.

use std::io::Write as _;

use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

use crate::{Ask, Reply};

pub fn ask(request: &IncomingRequest) -> Ask {
    Ask::new(&request.path_with_query().unwrap_or_default())
}

pub fn fields(entries: &[(&str, &str)]) -> Fields {
    let entries: Vec<_> = entries
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    Fields::from_list(&entries).expect("headers of our own")
}

/// Sends the head; the body is the caller's to write and to finish.
pub fn start(status: u16, headers: &[(&str, &str)], out: ResponseOutparam) -> OutgoingBody {
    let response = OutgoingResponse::new(fields(headers));
    response
        .set_status_code(status)
        .expect("a status of three digits");
    let body = response.body().expect("the first use of the body");
    ResponseOutparam::set(out, Ok(response));
    body
}

pub fn send(reply: &Reply, out: ResponseOutparam) {
    let body = start(reply.status, &[("content-type", reply.content_type())], out);
    let mut stream = body.write().expect("the first use of the stream");
    let _ = stream.write_all(reply.body.as_bytes());
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}
