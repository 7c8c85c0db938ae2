//! How an invocation fails, and what its caller is told.
//!
//! In: the error a guest ended with. Out: one of a closed list of reasons, each with its status. The details go to the log, with the
//! component's name; the client gets the reason and the request id.

use std::borrow::Cow;

use coracle_capability::{NotGranted, Template};
use coracle_engine::{Account, Exceeded};
use coracle_gateway::{Problem, RequestId};
use http::{Response, StatusCode};
use thiserror::Error;
use wasmtime_wasi::I32Exit;

/// Why there is no answer of the component's own.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Failure {
    #[error("the guest trapped")]
    Trap,
    #[error("the guest used up its CPU limit")]
    Cpu,
    #[error("the guest did not end within its timeout")]
    Timeout,
    #[error("the guest ran out of memory")]
    Memory,
    #[error("the guest used what it was not granted")]
    NotGranted,
    #[error("the guest used too many handles or too much of the host")]
    HostLimit,
    #[error("the guest exited without an answer")]
    Exit,
    #[error("the guest returned without an answer")]
    NoResponse,
    #[error("the guest answered with the error {0}")]
    GuestError(String),
    #[error("the guest's answer is not valid HTTP: {0}")]
    InvalidResponse(Cow<'static, str>),
    #[error("no instance was free")]
    NoInstance,
}

impl Failure {
    /// Classifies what a guest ended with, and logs it once; without a request when it cannot be told which of several it was.
    pub(super) fn of(
        error: &wasmtime::Error,
        account: &Account,
        template: &Template,
        request_id: Option<RequestId>,
    ) -> Self {
        let failure = Self::classify(error, account);
        tracing::warn!(
            app = &*template.app,
            component = &*template.component,
            request_id = request_id.map(tracing::field::display),
            reason = failure.reason(),
            "{error:#}"
        );
        failure
    }

    fn classify(error: &wasmtime::Error, account: &Account) -> Self {
        if error.is::<Exceeded>() {
            return Failure::Cpu;
        }
        if error.is::<NotGranted>() {
            return Failure::NotGranted;
        }
        if error.is::<I32Exit>() {
            return Failure::Exit;
        }
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Failure::NoInstance;
        }
        if account.memory_refused() {
            return Failure::Memory;
        }
        if error.is::<wasmtime::component::ResourceTableError>() || is_host_limit(error) {
            return Failure::HostLimit;
        }
        Failure::Trap
    }

    /// The documented word.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Failure::Trap => "trap",
            Failure::Cpu => "cpu-limit",
            Failure::Timeout => "timeout",
            Failure::Memory => "memory-limit",
            Failure::NotGranted => "not-granted",
            Failure::HostLimit => "host-limit",
            Failure::Exit => "exit",
            Failure::NoResponse => "no-response",
            Failure::GuestError(_) => "guest-error",
            Failure::InvalidResponse(_) => "invalid-response",
            Failure::NoInstance => "no-instance",
        }
    }

    /// What the caller reads.
    pub(super) fn problem(&self) -> Problem {
        match self {
            Failure::Cpu | Failure::Timeout => Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                self.reason(),
                "The service did not finish within its limit.",
            ),
            Failure::InvalidResponse(_) => Problem::new(
                StatusCode::BAD_GATEWAY,
                self.reason(),
                "The service gave an answer that is not valid HTTP.",
            ),
            Failure::NoInstance => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                self.reason(),
                "The node has no room for another invocation.",
            )
            .retry_after(1),
            _ => Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                self.reason(),
                "The service failed to answer.",
            ),
        }
    }
}

/// Limits of the host whose errors have no type in this version of Wasmtime; each sentence is asked for by a test.
const HOST_LIMITS: [&str; 4] = [
    "fuel allocated for hostcalls has been exhausted",
    "store handle limit exceeded",
    "total size of fields exceeds limit",
    "exceeds limit 1048576",
];

fn is_host_limit(error: &wasmtime::Error) -> bool {
    let sentence = error.root_cause().to_string();
    HOST_LIMITS.iter().any(|limit| sentence.contains(limit))
}

/// Refuses a head that no final response may have.
pub(super) fn check_head<B>(response: &Response<B>) -> Result<(), Failure> {
    let status = response.status().as_u16();
    // "1xx (Informational): The request was received, continuing process" (RFC 9110, 15): not an answer.
    if !(200..=599).contains(&status) {
        return Err(Failure::InvalidResponse(format!("status {status}").into()));
    }
    Ok(())
}
