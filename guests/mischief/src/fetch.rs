//! Outbound HTTP 0.2. In: `?url=&method=&body=&header=name:value&ms=` (a timeout). Out: what came back as JSON, or the error code's name.
//! `?count=` sends that many at once; [`race`] sends two.

use std::io::{Read as _, Write as _};

use crate::{Ask, Reply, json};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use wasip2::io::{poll, streams::InputStream};

/// What came back.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

pub fn fetch(ask: &Ask) -> Reply {
    let url = ask.text("url");
    let in_flight: Vec<_> = (0..ask.number("count", 1))
        .map(|_| send(ask, url))
        .collect();
    let mut answers: Vec<_> = in_flight
        .into_iter()
        .map(|sent| report(sent.and_then(receive)))
        .collect();
    if answers.len() == 1 {
        Reply::ok(answers.remove(0))
    } else {
        Reply::ok(format!("[{}]", answers.join(",")))
    }
}

/// `?url=&other=&rounds=`: sends to both at once, reads from whichever has something, and tells in which order that was; with `?first=1`
/// only who was first.
pub fn race(ask: &Ask) -> Reply {
    let mut told = Vec::new();
    for _ in 0..ask.number("rounds", 1) {
        match race_once(ask) {
            Ok(order) => told.push(order),
            Err(error) => return Reply::ok(format!("{{\"error\":{}}}", json::string(&error))),
        }
    }
    Reply::ok(told.join("\n"))
}

/// One of two responses, as far as it is there.
enum Racer {
    Sent(FutureIncomingResponse),
    Reads(InputStream, IncomingBody),
    Done,
}

fn race_once(ask: &Ask) -> Result<String, String> {
    let mut racers = [
        ('a', Racer::Sent(send(ask, ask.text("url"))?)),
        ('b', Racer::Sent(send(ask, ask.text("other"))?)),
    ];
    let mut order = String::new();
    loop {
        let waiting: Vec<_> = racers
            .iter_mut()
            .filter_map(|racer| match &racer.1 {
                Racer::Sent(sent) => Some((sent.subscribe(), racer)),
                Racer::Reads(stream, _) => Some((stream.subscribe(), racer)),
                Racer::Done => None,
            })
            .collect();
        if waiting.is_empty() || (!order.is_empty() && ask.number("first", 0) == 1) {
            return Ok(order);
        }
        let (pollables, mut waiting): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let ready = poll::poll(&pollables.iter().collect::<Vec<_>>());
        drop(pollables);
        // The last of those that are ready: whoever sees two at once acts otherwise than who sees one.
        let last = ready.last().map_or(0, |last| *last as usize);
        let (name, racer) = waiting.swap_remove(last);
        order.push(*name);
        *racer = match std::mem::replace(racer, Racer::Done) {
            Racer::Sent(sent) => {
                let response = sent.get().unwrap().unwrap().map_err(self::name)?;
                let body = response.consume().unwrap();
                Racer::Reads(body.stream().unwrap(), body)
            }
            Racer::Reads(stream, body) => match stream.read(1 << 20) {
                Ok(bytes) => {
                    order.push_str(&bytes.len().to_string());
                    Racer::Reads(stream, body)
                }
                Err(_) => {
                    // A body goes after its stream.
                    drop(stream);
                    drop(body);
                    Racer::Done
                }
            },
            Racer::Done => Racer::Done,
        };
    }
}

fn send(ask: &Ask, url: &str) -> Result<FutureIncomingResponse, String> {
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let (authority, path) = rest
        .find('/')
        .map_or((rest, "/"), |slash| rest.split_at(slash));
    let fields = Fields::new();
    if let Some((name, value)) = ask.text("header").split_once(':') {
        fields
            .append(name, value.as_bytes())
            .map_err(|error| format!("{error:?}"))?;
    }
    let request = OutgoingRequest::new(fields);
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request
        .set_method(&method(ask.text("method")))
        .map_err(|()| "method refused")?;
    request
        .set_scheme(Some(&scheme))
        .map_err(|()| "scheme refused")?;
    request
        .set_authority(Some(authority))
        .map_err(|()| "authority refused")?;
    request
        .set_path_with_query(Some(path))
        .map_err(|()| "path refused")?;
    let options = RequestOptions::new();
    if ask.number("ms", 0) > 0 {
        let timeout_ns = ask.number("ms", 0) * 1_000_000;
        options
            .set_connect_timeout(Some(timeout_ns))
            .map_err(|()| "timeout refused")?;
        options
            .set_first_byte_timeout(Some(timeout_ns))
            .map_err(|()| "timeout refused")?;
        options
            .set_between_bytes_timeout(Some(timeout_ns))
            .map_err(|()| "timeout refused")?;
    }
    let body = request.body().unwrap();
    let response = outgoing_handler::handle(request, Some(options)).map_err(name)?;
    let mut stream = body.write().unwrap();
    let _ = stream.write_all(ask.text("body").as_bytes());
    drop(stream);
    OutgoingBody::finish(body, None).map_err(name)?;
    Ok(response)
}

fn receive(sent: FutureIncomingResponse) -> Result<Answer, String> {
    sent.subscribe().block();
    let response = sent.get().unwrap().unwrap().map_err(name)?;
    let headers = response.headers().entries();
    let headers = headers
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let body = response.consume().unwrap();
    let mut bytes = Vec::new();
    body.stream()
        .unwrap()
        .read_to_end(&mut bytes)
        .map_err(|error| format!("body: {error}"))?;
    Ok(Answer {
        status: response.status(),
        headers,
        body: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

fn report(outcome: Result<Answer, String>) -> String {
    match outcome {
        Ok(Answer {
            status,
            headers,
            body,
        }) => {
            let headers = json::pairs(
                headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            );
            format!(
                "{{\"status\":{status},\"body\":{},\"headers\":{headers}}}",
                json::string(&body)
            )
        }
        Err(error) => format!("{{\"error\":{}}}", json::string(&error)),
    }
}

/// `HttpRequestDenied` from `ErrorCode::HttpRequestDenied`.
fn name(code: ErrorCode) -> String {
    format!("{code:?}")
        .trim_start_matches("ErrorCode::")
        .to_owned()
}

fn method(name: &str) -> Method {
    match name {
        "" | "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}
