//! `wasi:keyvalue@0.2.0-draft2`, one operation a request. In: `?op=&bucket=&key=&value=…` (README.md). Out: JSON, `{"error":…}` for a refusal.

mod operations;

use mischief::{Ask, Reply, json, p2};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

use crate::bindings::wasi::keyvalue::store::{self, Bucket, Error};

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/keyvalue-0.2.0-draft2",
        inline: "package coracle:kv; world keys {
            import wasi:keyvalue/store@0.2.0-draft2;
            import wasi:keyvalue/atomics@0.2.0-draft2;
            import wasi:keyvalue/batch@0.2.0-draft2;
        }",
        world: "coracle:kv/keys",
        generate_all,
    });
}

struct Kv;

impl Guest for Kv {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let ask = p2::ask(&request);
        match ask.path() {
            // Answers first and writes then: what a guest does after its response.
            "/after" => {
                p2::send(&Reply::ok("answered"), out);
                let _ = open(&ask).and_then(|bucket| bucket.set("after", b"done"));
            }
            // Writes, then traps: what was acknowledged before a trap stays.
            "/trap" => {
                let _ = open(&ask)
                    .and_then(|bucket| bucket.set(ask.text("key"), ask.text("value").as_bytes()));
                mischief::compute::trap();
            }
            "/handles" => {
                let n = ask.number("n", 1_000_000);
                (0..n).for_each(|_| std::mem::forget(open(&ask)));
                p2::send(&Reply::ok(format!("{{\"leaked\":{n}}}")), out);
            }
            "/kv" => p2::send(&answer(&ask), out),
            _ => p2::send(&Reply::not_found(), out),
        }
    }
}

fn answer(ask: &Ask) -> Reply {
    match open(ask).and_then(|bucket| operations::run(ask, &bucket)) {
        Ok(json) => Reply::ok(format!("{{\"ok\":{json}}}")),
        Err(Error::NoSuchStore) => Reply::ok(r#"{"error":"no-such-store"}"#),
        Err(Error::AccessDenied) => Reply::ok(r#"{"error":"access-denied"}"#),
        Err(Error::Other(text)) => Reply::ok(format!(
            "{{\"error\":\"other\",\"text\":{}}}",
            json::string(&text)
        )),
    }
}

/// `?bucket=`, or `default`.
fn open(ask: &Ask) -> Result<Bucket, Error> {
    store::open(if ask.text("bucket").is_empty() {
        "default"
    } else {
        ask.text("bucket")
    })
}

wasip2::http::proxy::export!(Kv);
