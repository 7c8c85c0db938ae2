//! The behaviours of `../behave` as a WASI 0.3 component; README.md has the list. In: a request. Out: whatever a test needs to survive.

mod bodies;
mod fetch;
mod host;

use mischief::{Ask, Reply};
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Request, Response};

struct Behave;

impl Guest for Behave {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let ask = Ask::new(&request.get_path_with_query().unwrap_or_default());
        let reply = match ask.path() {
            "/never" => host::never().await,
            "/refuse" => return Err(ErrorCode::InternalError(Some("as asked".to_owned()))),
            "/midtrap" => return bodies::midtrap(&ask),
            "/short" => return bodies::short(&ask),
            "/long" => return bodies::long(&ask),
            "/nofinish" => return bodies::nofinish(&ask),
            "/after" => return bodies::after(&ask),
            "/stream" => return bodies::stream(&ask),
            "/drip" => return bodies::drip(&ask),
            "/trailers" => return bodies::trailers(),
            "/status" => return bodies::status(&ask),
            "/sink" => bodies::sink(request).await,
            "/headers" => bodies::headers(&request),
            "/fields" => host::fields(&ask),
            "/handles" => host::handles(&ask),
            "/lies" => host::lies(),
            "/hang" => host::hang().await,
            "/sleep" => host::sleep(&ask).await,
            "/clock" => host::clock(),
            "/random" => host::random(&ask),
            "/fetch" => fetch::fetch(&ask).await,
            "/race" => fetch::race(&ask).await,
            _ => mischief::stdlib::answer(&ask).unwrap_or_else(Reply::not_found),
        };
        bodies::send(reply)
    }
}

wasip3::http::service::export!(Behave);
