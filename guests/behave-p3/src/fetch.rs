//! Outbound HTTP 0.3. In: `?url=&method=&body=&header=name:value&ms=` (a timeout). Out: what came back as JSON, or the error code's name.
//! `?count=` sends that many, one after the other; [`race`] sends two at once.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use mischief::{Ask, Reply, json};
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme};
use wasip3::wit_bindgen::StreamResult;
use wasip3::{spawn_local, wit_future, wit_stream};

/// What came back.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

pub(crate) async fn fetch(ask: &Ask) -> Reply {
    let mut answers = Vec::new();
    for _ in 0..ask.number("count", 1) {
        let answer = match send(ask, ask.text("url")).await {
            Ok(response) => receive(response).await,
            Err(error) => Err(error),
        };
        answers.push(report(answer));
    }
    if answers.len() == 1 {
        Reply::ok(answers.remove(0))
    } else {
        Reply::ok(format!("[{}]", answers.join(",")))
    }
}

/// `?url=&other=&rounds=`: sends to both at once, reads from whichever has something, and tells in which order that was; with `?first=1`
/// only who was first.
pub(crate) async fn race(ask: &Ask) -> Reply {
    let mut told = Vec::new();
    for _ in 0..ask.number("rounds", 1) {
        let order = RefCell::new(String::new());
        let mut racers = [
            pin!(run('b', ask, ask.text("other"), &order)) as Pin<&mut dyn Future<Output = _>>,
            pin!(run('a', ask, ask.text("url"), &order)),
        ];
        let mut done = [false; 2];
        // The other one first: whoever sees two at once acts otherwise than who sees one.
        poll_fn(|context| {
            for (racer, done) in racers.iter_mut().zip(&mut done) {
                *done = *done || racer.as_mut().poll(context).is_ready();
            }
            let first = !order.borrow().is_empty() && ask.number("first", 0) == 1;
            if first || done == [true; 2] {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        told.push(order.take());
    }
    Reply::ok(told.join("\n"))
}

async fn run(name: char, ask: &Ask, url: &str, order: &RefCell<String>) {
    let response = match send(ask, url).await {
        Ok(response) => response,
        Err(error) => return order.borrow_mut().push_str(&error),
    };
    order.borrow_mut().push(name);
    let (_received, result) = wit_future::new(|| Ok(()));
    let (mut body, _trailers) = Response::consume_body(response, result);
    loop {
        let (status, bytes) = body.read(Vec::with_capacity(1 << 20)).await;
        order.borrow_mut().push(name);
        if !matches!(status, StreamResult::Complete(_)) {
            return;
        }
        order.borrow_mut().push_str(&bytes.len().to_string());
    }
}

async fn send(ask: &Ask, url: &str) -> Result<Response, String> {
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
    let options = RequestOptions::new();
    if ask.number("ms", 0) > 0 {
        let timeout_ns = ask.number("ms", 0) * 1_000_000;
        options
            .set_connect_timeout(Some(timeout_ns))
            .map_err(|_| "timeout refused")?;
        options
            .set_first_byte_timeout(Some(timeout_ns))
            .map_err(|_| "timeout refused")?;
        options
            .set_between_bytes_timeout(Some(timeout_ns))
            .map_err(|_| "timeout refused")?;
    }
    let (mut body, contents) = wit_stream::new();
    let contents = (!ask.text("body").is_empty()).then_some(contents);
    let (end, trailers) = wit_future::new(|| Ok(None));
    drop(end); // no trailers: said now, or the host waits for them
    let (request, _sent) = Request::new(fields, contents, trailers, Some(options));
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
    let bytes = ask.text("body").as_bytes().to_vec();
    spawn_local(async move {
        let _unwritten = body.write_all(bytes).await;
    });
    client::send(request).await.map_err(|code| name(&code))
}

async fn receive(response: Response) -> Result<Answer, String> {
    let status = response.get_status_code();
    let headers = response.get_headers().copy_all();
    let headers = headers
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let (_received, result) = wit_future::new(|| Ok(()));
    let (body, trailers) = Response::consume_body(response, result);
    let body = String::from_utf8_lossy(&body.collect().await).into_owned();
    trailers.await.map_err(|code| name(&code))?;
    Ok(Answer {
        status,
        headers,
        body,
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
fn name(code: &ErrorCode) -> String {
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
