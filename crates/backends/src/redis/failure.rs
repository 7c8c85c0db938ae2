//! Why Redis did not answer, in the contract's words.
//!
//! In: an error of the client or an error reply. Out: the contract's error, temporary where waiting helps. Only codes are
//! passed on: the rest of a message may hold keys, values or the name of a user.

use std::io;

use coracle_capability::keyvalue::Error;
use redis::{RedisError, ServerError, Value};

/// A failed call, and whether the connection should be made anew.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Another connection may reach another server, or other credentials.
    pub(crate) stale: bool,
}

const LACKS_PERMISSION: &str = "the user of Redis lacks a permission";

/// The contract's error for an error reply.
pub(crate) fn of_reply(reply: &ServerError) -> Failure {
    let detail = reply.details().unwrap_or_default();
    let (error, stale) = match reply.code() {
        "LOADING" => (unavailable("Redis is loading its data"), false),
        "READONLY" => (unavailable("this Redis is a read-only replica"), true),
        "OOM" => (unavailable("Redis is out of memory"), false),
        "MASTERDOWN" => (unavailable("Redis has lost its primary"), true),
        "MISCONF" => (unavailable("Redis cannot write to its disk"), false),
        "NOREPLICAS" => (unavailable("Redis has too few replicas"), false),
        "BUSY" | "UNKILLABLE" => (unavailable("Redis is busy with a script"), false),
        "CLUSTERDOWN" | "TRYAGAIN" => (unavailable("the cluster of Redis is not ready"), false),
        "ERR" if detail.starts_with("max number of clients") => {
            (unavailable("Redis has too many connections"), true)
        }
        // What Redis 7.0 says instead of NOPERM inside a script.
        "ERR" if detail.starts_with("The user executing the script can't") => {
            (failed(LACKS_PERMISSION), false)
        }
        "NOAUTH" | "WRONGPASS" => (failed("Redis refused the credentials"), true),
        "NOPERM" => (failed(LACKS_PERMISSION), false),
        "WRONGTYPE" => (
            failed("another program keeps something else at a key"),
            false,
        ),
        "MOVED" | "ASK" | "CROSSSLOT" => (failed("this Redis is part of a cluster"), false),
        "VALUETOOLARGE" | "REPLYTOOLARGE" => (Error::TooLarge(detail.to_owned()), false),
        code => (Error::Failed(format!("Redis answered {code:.32}")), false),
    };
    Failure { error, stale }
}

/// The contract's error for a call that has no reply.
pub(crate) fn of_client(error: &RedisError) -> Error {
    if error.is_io_error() {
        unavailable("the connection to Redis was lost")
    } else {
        failed("Redis answered something that is not its protocol")
    }
}

/// The contract's error for a connection that was not made.
pub(crate) fn of_dial(error: &io::Error) -> Error {
    if error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
    {
        return failed("TLS with Redis failed");
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => unavailable("Redis refused the connection"),
        _ => unavailable("Redis cannot be reached"),
    }
}

/// A reply that no version of Redis gives to this command.
pub(crate) fn unexpected(_: Value) -> Error {
    failed("Redis gave a reply of the wrong kind")
}

pub(crate) fn unavailable(why: &str) -> Error {
    Error::Unavailable(why.to_owned())
}

fn failed(why: &str) -> Error {
    Error::Failed(why.to_owned())
}
