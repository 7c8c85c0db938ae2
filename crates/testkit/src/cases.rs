//! One body of a test for both generations of WASI and both protocols.

use crate::{
    app::{TempApp, one},
    coracle::Coracle,
    http::{self, Error, Response},
    service::Service,
};

/// A generation of WASI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Generation {
    P2,
    P3,
}

/// A protocol that clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Protocol {
    Http1,
    Http2,
}

/// What one test is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub struct Case {
    pub generation: Generation,
    pub protocol: Protocol,
}

/// Makes of each `fn NAME(case: Case)` four tests.
#[macro_export]
macro_rules! both_generations_over_both_protocols {
    ($($name:ident),* $(,)?) => {
        $crate::both_generations_over_both_protocols!(@ p2_over_http1 P2 Http1 $($name)*);
        $crate::both_generations_over_both_protocols!(@ p2_over_http2 P2 Http2 $($name)*);
        $crate::both_generations_over_both_protocols!(@ p3_over_http1 P3 Http1 $($name)*);
        $crate::both_generations_over_both_protocols!(@ p3_over_http2 P3 Http2 $($name)*);
    };
    (@ $module:ident $generation:ident $protocol:ident $($name:ident)*) => {
        mod $module {
            use $crate::{Case, Generation, Protocol};
            $(
                #[test]
                fn $name() {
                    super::$name(Case { generation: Generation::$generation, protocol: Protocol::$protocol });
                }
            )*
        }
    };
}

/// Makes of each `fn NAME(generation: Generation)` two tests.
#[macro_export]
macro_rules! both_generations {
    ($($name:ident),* $(,)?) => {
        mod p2 { $( #[test] fn $name() { super::$name($crate::Generation::P2); } )* }
        mod p3 { $( #[test] fn $name() { super::$name($crate::Generation::P3); } )* }
    };
}

impl Generation {
    /// The guest that behaves as it is asked.
    pub fn behave(self) -> &'static str {
        match self {
            Generation::P2 => "behave",
            Generation::P3 => "behave_p3",
        }
    }

    /// An app of that guest; see [`one`].
    pub fn app(self, more: &str) -> TempApp {
        one(self.behave(), more)
    }

    /// Serves that guest; `more` as in [`one`].
    pub fn serve(self, more: &str) -> Service {
        Coracle::new().serving(self.app(more)).start()
    }
}

impl Protocol {
    /// One request on a connection of its own.
    ///
    /// # Errors
    /// When there is no complete response.
    pub fn try_request(
        self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, Error> {
        match self {
            Protocol::Http1 => http::try_request(method, url, headers, body),
            Protocol::Http2 => http::h2::try_request(method, url, headers, body),
        }
    }

    /// One `GET`.
    ///
    /// # Panics
    /// When there is no complete response.
    pub fn get(self, url: &str) -> Response {
        let answer = self.try_request("GET", url, &[], b"");
        answer.unwrap_or_else(|error| panic!("GET {url}: {error}"))
    }
}
