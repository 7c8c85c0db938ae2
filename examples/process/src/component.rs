//! The service as a WASI 0.2 component. In: a request, the file the manifest grants, the clock. Out: its answer.
//! File and clock are reached through Rust's standard library: a component needs no special code for them, only the grants.

use std::time::{SystemTime, UNIX_EPOCH};

use answer::p2::{self, BodyError};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

use crate::config::{Config, ConfigError};
use crate::service::{self, Input};

struct Process;

impl Guest for Process {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = p2::path(&request);
        let method = p2::method(&request);
        let answer = match service::refusal(&method, &path) {
            Some(refusal) => refusal,
            None => process(&request),
        };
        p2::send(answer, out);
    }
}

fn process(request: &IncomingRequest) -> answer::Answer {
    let config = match config() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("/etc/config.json: {error}");
            return service::misconfigured();
        }
    };
    let input = match p2::body(request, config.max_input_bytes) {
        Ok(bytes) => Input::Whole(bytes),
        Err(BodyError::TooLong) => Input::TooLong,
        Err(BodyError::Broken) => Input::Broken,
    };
    service::answer(&config, input, now_s())
}

fn config() -> Result<Config, ConfigError> {
    Config::from_json(
        &std::fs::read("/etc/config.json")
            .map_err(|error| ConfigError::Unreadable(error.to_string()))?,
    )
}

fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

wasip2::http::proxy::export!(Process);
