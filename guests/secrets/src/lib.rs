//! `coracle:secrets@0.1.0`. In: `/get?name=` (a handle), `/reveal?name=` (its value; `show=length`: how long it is; `then=trap`: nothing),
//! `/fetch?url=…` as [`mischief::fetch`] reads it. Out: JSON, `{"error":…}` for a refusal.

use mischief::{Ask, Reply, json, p2};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

use crate::bindings::coracle::secrets::{
    reveal::{self, SecretValue},
    store::{self, Error},
};

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/secrets-0.1.0",
        inline: "package coracle:secretive; world secrets {
            import coracle:secrets/store@0.1.0;
            import coracle:secrets/reveal@0.1.0;
        }",
        world: "coracle:secretive/secrets",
        generate_all,
    });
}

struct Secrets;

impl Guest for Secrets {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let ask = p2::ask(&request);
        let reply = match ask.path() {
            "/get" => answer(get(&ask)),
            "/reveal" => answer(reveal(&ask)),
            "/fetch" => mischief::fetch::fetch(&ask),
            _ => Reply::not_found(),
        };
        p2::send(&reply, out);
    }
}

fn get(ask: &Ask) -> Result<String, Error> {
    let version = store::get(ask.text("name"))?.version();
    Ok(format!("{{\"version\":{}}}", json::string(&version)))
}

fn reveal(ask: &Ask) -> Result<String, Error> {
    let value = reveal::reveal(&store::get(ask.text("name"))?)?;
    if ask.text("then") == "trap" {
        mischief::compute::trap();
    }
    Ok(match value {
        SecretValue::Text(text) if ask.text("show") == "length" => {
            format!("{{\"length\":{}}}", text.len())
        }
        SecretValue::Text(text) => format!("{{\"text\":{}}}", json::string(&text)),
        SecretValue::Bytes(bytes) => format!("{{\"bytes\":{bytes:?}}}"),
    })
}

fn answer(found: Result<String, Error>) -> Reply {
    let (error, text) = match found {
        Ok(json) => return Reply::ok(json),
        Err(Error::NotFound) => ("not-found", String::new()),
        Err(Error::Denied) => ("denied", String::new()),
        Err(Error::Superseded) => ("superseded", String::new()),
        Err(Error::Unavailable(why)) => ("unavailable", why),
        Err(Error::Other(why)) => ("other", why),
    };
    Reply::ok(format!(
        "{{\"error\":\"{error}\",\"text\":{}}}",
        json::string(&text)
    ))
}

wasip2::http::proxy::export!(Secrets);
