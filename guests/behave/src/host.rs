//! Calls of interfaces other than bodies. In: parameters. Out: what the host said, as text.

use std::time::{SystemTime, UNIX_EPOCH};

use mischief::{Ask, Reply};
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::http::types::{
    Fields, Method, OutgoingRequest, OutgoingResponse, RequestOptions, Scheme,
};
use wasip2::random;

/// `?n=` header fields, or one with a value of `?bytes=`, or a list of `?list=` in one call; the first refusal, if any.
pub(crate) fn fields(ask: &Ask) -> Reply {
    if !ask.text("list").is_empty() {
        let entries: Vec<_> = (0..ask.number("list", 0))
            .map(|n| (format!("x-{n}"), b"v".to_vec()))
            .collect();
        return Reply::ok(match Fields::from_list(&entries) {
            Ok(fields) => format!("{{\"accepted\":{}}}", fields.entries().len()),
            Err(error) => format!("{{\"refused\":\"{error:?}\"}}"),
        });
    }
    let fields = Fields::new();
    if !ask.text("bytes").is_empty() {
        let value = vec![b'v'; ask.number("bytes", 0) as usize];
        return Reply::ok(match fields.append("x-large", &value) {
            Ok(()) => format!("{{\"accepted\":{}}}", value.len()),
            Err(error) => format!("{{\"refused\":\"{error:?}\"}}"),
        });
    }
    let wanted = ask.number("n", 32_769);
    for n in 0..wanted {
        if let Err(error) = fields.append(&format!("x-{n}"), b"v") {
            return Reply::ok(format!("{{\"accepted\":{n},\"refused\":\"{error:?}\"}}"));
        }
    }
    Reply::ok(format!("{{\"accepted\":{wanted}}}"))
}

/// `?n=` resources of `?kind=fields|pollable|request|response` that are never dropped (pollables need the clock).
pub(crate) fn handles(ask: &Ask) -> Reply {
    let n = ask.number("n", 1_000_000);
    for _ in 0..n {
        match ask.text("kind") {
            "pollable" => std::mem::forget(monotonic_clock::subscribe_duration(1)),
            "request" => std::mem::forget(OutgoingRequest::new(Fields::new())),
            "response" => std::mem::forget(OutgoingResponse::new(Fields::new())),
            _ => std::mem::forget(Fields::new()),
        }
    }
    Reply::ok(format!("{{\"leaked\":{n}}}"))
}

/// Everything a request or response should not be made of, and what the host said to each; nothing is sent.
pub(crate) fn lies() -> Reply {
    let request = || OutgoingRequest::new(Fields::new());
    let options = RequestOptions::new();
    let field = |name: &str, value: &[u8]| Fields::new().append(name, value).is_err();
    let attempts = [
        (
            "path-absolute-uri",
            request()
                .set_path_with_query(Some("http://evil.example/"))
                .is_err(),
        ),
        (
            "path-without-slash",
            request().set_path_with_query(Some("path")).is_err(),
        ),
        (
            "path-with-crlf",
            request().set_path_with_query(Some("/a\r\nx: y")).is_err(),
        ),
        (
            "path-with-space",
            request().set_path_with_query(Some("/a b")).is_err(),
        ),
        (
            "method-with-crlf",
            request()
                .set_method(&Method::Other("GET / HTTP/1.1\r\n".to_owned()))
                .is_err(),
        ),
        (
            "method-empty",
            request().set_method(&Method::Other(String::new())).is_err(),
        ),
        (
            "scheme-file",
            request()
                .set_scheme(Some(&Scheme::Other("file".to_owned())))
                .is_err(),
        ),
        (
            "authority-with-crlf",
            request().set_authority(Some("a\r\nb")).is_err(),
        ),
        (
            "authority-with-user",
            request().set_authority(Some("user:word@host")).is_err(),
        ),
        ("header-name-with-space", field("x y", b"v")),
        ("header-name-empty", field("", b"v")),
        (
            "header-value-with-crlf",
            field("x", b"v\r\nset-cookie: a=b"),
        ),
        ("header-value-with-nul", field("x", b"v\0")),
        ("header-connection", field("connection", b"close")),
        (
            "header-transfer-encoding",
            field("transfer-encoding", b"chunked"),
        ),
        ("header-host", field("host", b"evil.example")),
        (
            "status-99",
            OutgoingResponse::new(Fields::new())
                .set_status_code(99)
                .is_err(),
        ),
        (
            "status-1000",
            OutgoingResponse::new(Fields::new())
                .set_status_code(1_000)
                .is_err(),
        ),
        (
            "timeout-zero",
            options.set_between_bytes_timeout(Some(0)).is_err(),
        ),
        (
            "timeout-largest",
            options.set_connect_timeout(Some(u64::MAX)).is_err(),
        ),
    ];
    let lines: Vec<_> = attempts
        .iter()
        .map(|(lie, refused)| {
            format!(
                "\"{lie}\":\"{}\"",
                if *refused { "refused" } else { "accepted" }
            )
        })
        .collect();
    Reply::ok(format!("{{{}}}", lines.join(",")))
}

/// Waits an hour (needs the clock).
pub(crate) fn hang() -> Reply {
    monotonic_clock::subscribe_duration(3_600_000_000_000).block();
    Reply::ok("an hour later")
}

/// `?ms=` (needs the clock); `?ns=` for any number of nanoseconds.
pub(crate) fn sleep(ask: &Ask) -> Reply {
    let duration_ns = ask.number("ns", ask.number("ms", 100).saturating_mul(1_000_000));
    monotonic_clock::subscribe_duration(duration_ns).block();
    Reply::ok("slept")
}

/// The wall clock, through WASI and through the standard library, and the monotonic one (needs the clock).
pub(crate) fn clock() -> Reply {
    let wall = wall_clock::now();
    let std_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    Reply::ok(format!(
        "{{\"wall_s\":{},\"std_s\":{std_s},\"monotonic_ns\":{},\"resolution_ns\":{}}}",
        wall.seconds,
        monotonic_clock::now(),
        monotonic_clock::resolution()
    ))
}

/// `?n=` bytes of secure randomness (needs the grant); `?kind=insecure` and `?kind=seed` need none.
pub(crate) fn random(ask: &Ask) -> Reply {
    let n = ask.number("n", 16);
    Reply::ok(match ask.text("kind") {
        "insecure" => hex(&random::insecure::get_insecure_random_bytes(n)),
        "seed" => format!("{:?}", random::insecure_seed::insecure_seed()),
        "u64" => random::random::get_random_u64().to_string(),
        _ => hex(&random::random::get_random_bytes(n)),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
