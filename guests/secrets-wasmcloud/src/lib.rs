//! `wasmcloud:secrets@0.1.0-draft`. In: `/get?name=` (a handle), `/reveal?name=` (its value; the draft knows no refusal, so one is a
//! trap). Out: JSON, `{"error":…}` when there is no handle.

use mischief::{Reply, json, p2};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

use crate::bindings::wasmcloud::secrets::{
    reveal,
    store::{self, SecretValue, SecretsError},
};

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/secrets-wasmcloud-0.1.0-draft",
        inline: "package coracle:secretive; world secrets {
            import wasmcloud:secrets/store@0.1.0-draft;
            import wasmcloud:secrets/reveal@0.1.0-draft;
        }",
        world: "coracle:secretive/secrets",
        generate_all,
    });
}

struct Secrets;

impl Guest for Secrets {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let ask = p2::ask(&request);
        let reply = match (ask.path(), store::get(ask.text("name"))) {
            ("/get" | "/reveal", Err(SecretsError::NotFound)) => {
                Reply::ok(r#"{"error":"not-found","text":""}"#)
            }
            ("/get" | "/reveal", Err(SecretsError::Upstream(why) | SecretsError::Io(why))) => {
                Reply::ok(format!(
                    "{{\"error\":\"upstream\",\"text\":{}}}",
                    json::string(&why)
                ))
            }
            ("/get", Ok(_)) => Reply::ok(r#"{"ok":true}"#),
            ("/reveal", Ok(secret)) => Reply::ok(match reveal::reveal(&secret) {
                SecretValue::String(text) => format!("{{\"text\":{}}}", json::string(&text)),
                SecretValue::Bytes(bytes) => format!("{{\"bytes\":{bytes:?}}}"),
            }),
            _ => Reply::not_found(),
        };
        p2::send(&reply, out);
    }
}

wasip2::http::proxy::export!(Secrets);
