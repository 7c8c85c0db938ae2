//! A service that imports an interface no host has. In: nothing that can arrive. Out: nothing; it must not start.

use mischief::{Reply, p2};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

mod bindings {
    wit_bindgen::generate!({
        inline: "package acme:missing@1.0.0; interface thing { answer: func() -> string; } world wants { import thing; }",
    });
}

struct Missing;

impl Guest for Missing {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        p2::send(&Reply::ok(bindings::acme::missing::thing::answer()), out);
    }
}

wasip2::http::proxy::export!(Missing);
