//! `wasi:logging@0.1.0-draft`. In: `/log?level=&context=&message=`, `/forged`, `/flood?lines=`, `/long?bytes=`. Out: log entries, and 200.

use mischief::{Reply, p2, stdlib};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

use crate::bindings::wasi::logging::logging::{Level, log};

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/logging-0.1.0-draft",
        inline: "package coracle:logger; world logs { import wasi:logging/logging@0.1.0-draft; }",
        world: "coracle:logger/logs",
        generate_all,
    });
}

struct Logger;

impl Guest for Logger {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let ask = p2::ask(&request);
        match ask.path() {
            "/log" => log(
                level(ask.text("level")),
                ask.text("context"),
                ask.text("message"),
            ),
            // A WIT string is UTF-8, so one of the forged lines loses its bad bytes on the way.
            "/forged" => stdlib::FORGED.iter().for_each(|line| {
                let line = String::from_utf8_lossy(line);
                log(Level::Info, &line, &line);
            }),
            "/flood" => (0..ask.number("lines", 1_000_000))
                .for_each(|n| log(Level::Debug, "flood", &format!("flood {n}"))),
            "/long" => log(
                Level::Warn,
                "long",
                &"x".repeat(ask.number("bytes", 10_000_000) as usize),
            ),
            _ => return p2::send(&Reply::not_found(), out),
        }
        p2::send(&Reply::ok("logged"), out);
    }
}

fn level(name: &str) -> Level {
    match name {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "warn" => Level::Warn,
        "error" => Level::Error,
        "critical" => Level::Critical,
        _ => Level::Info,
    }
}

wasip2::http::proxy::export!(Logger);
