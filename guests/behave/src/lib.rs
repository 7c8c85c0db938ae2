//! A WASI 0.2 component that behaves as its path says; README.md has the list. In: a request. Out: whatever a test needs to survive.
//! Behaviours the host's HTTP sees are in [`bodies`], those of other interfaces in [`host`], the rest in `mischief`.

mod bodies;
mod host;

use mischief::{Reply, p2};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{ErrorCode, IncomingRequest, ResponseOutparam};

struct Behave;

impl Guest for Behave {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let ask = p2::ask(&request);
        let reply = match ask.path() {
            "/never" => return,
            "/refuse" => {
                return ResponseOutparam::set(
                    out,
                    Err(ErrorCode::InternalError(Some("as asked".to_owned()))),
                );
            }
            "/twice" => return bodies::twice(&ask, out),
            "/midtrap" => return bodies::midtrap(&ask, out),
            "/short" => return bodies::short(&ask, out),
            "/long" => return bodies::long(&ask, out),
            "/nofinish" => return bodies::nofinish(&ask, out),
            "/after" => return bodies::after(&ask, out),
            "/stream" => return bodies::stream(&ask, out),
            "/drip" => return bodies::drip(&ask, out),
            "/trailers" => return bodies::trailers(out),
            "/status" => return bodies::status(&ask, out),
            "/sink" => bodies::sink(&request),
            "/headers" => bodies::headers(&request),
            "/fields" => host::fields(&ask),
            "/handles" => host::handles(&ask),
            "/lies" => host::lies(),
            "/hang" => host::hang(),
            "/sleep" => host::sleep(&ask),
            "/clock" => host::clock(),
            "/random" => host::random(&ask),
            "/fetch" => mischief::fetch::fetch(&ask),
            "/race" => mischief::fetch::race(&ask),
            _ => mischief::stdlib::answer(&ask).unwrap_or_else(Reply::not_found),
        };
        p2::send(&reply, out);
    }
}

wasip2::http::proxy::export!(Behave);
