//! `wasi:config/store`, in either draft (feature `draft`: the older one). In: `/config?key=`, or without a key all. Out: JSON.

use mischief::{Ask, Reply, json, p2};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

use crate::bindings::wasi::config::store::{self, Error};

#[cfg(not(feature = "draft"))]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/config-0.2.0-rc.1",
        inline: "package coracle:config; world values { import wasi:config/store@0.2.0-rc.1; }",
        world: "coracle:config/values",
        generate_all,
    });
}

#[cfg(feature = "draft")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/config-0.2.0-draft-2024-09-27",
        inline: "package coracle:config; world values { import wasi:config/store@0.2.0-draft-2024-09-27; }",
        world: "coracle:config/values",
        generate_all,
    });
}

struct Config;

impl Guest for Config {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let ask = p2::ask(&request);
        let reply = match ask.path() {
            "/config" => answer(&ask).unwrap_or_else(|error| Reply {
                status: 500,
                body: format!("{error:?}"),
            }),
            _ => Reply::not_found(),
        };
        p2::send(&reply, out);
    }
}

fn answer(ask: &Ask) -> Result<Reply, Error> {
    if !ask.text("key").is_empty() {
        let value = store::get(ask.text("key"))?;
        return Ok(Reply::ok(format!(
            "{{\"value\":{}}}",
            value.map_or("null".to_owned(), |value| json::string(&value))
        )));
    }
    let mut all = store::get_all()?;
    all.sort();
    Ok(Reply::ok(json::pairs(
        all.iter()
            .map(|(key, value)| (key.as_str(), value.as_str())),
    )))
}

wasip2::http::proxy::export!(Config);
