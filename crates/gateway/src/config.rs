//! Every timeout and cap of the edge, with its default.
//!
//! In: what the operator wrote, or nothing. Out: plain values that the rest of the crate reads. No limit can be forgotten:
//! there is no way to serve without a `Config`.

use std::time::Duration;

/// Limits on connections and messages. The defaults are those of FAULTS.md.
#[derive(Debug, Clone)]
pub struct Config {
    /// Connections open at once; more wait in the kernel's queue. Default 8,192.
    pub max_connections: usize,
    /// From the first byte of a request head to its last. Default 10 s.
    pub header_timeout: Duration,
    /// How long a connection may stay open without a request. Default 75 s.
    pub idle_timeout: Duration,
    /// Request line and fields together (431). Default 64 KiB.
    pub max_head_bytes: usize,
    /// The request target (414). Default 16 KiB.
    pub max_target_bytes: usize,
    /// The body of a request (413). Default none: bodies stream, and what a guest keeps is limited by its memory.
    pub max_body_bytes: Option<u64>,
    /// How slowly a client may send a body.
    pub sending: Patience,
    /// How slowly a client may take a response.
    pub taking: Patience,
    /// Field names with underscores.
    pub underscores: Underscores,
    /// What only HTTP/2 has.
    pub http2: Http2,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 8_192,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            max_head_bytes: 64 * 1024,
            max_target_bytes: 16 * 1024,
            max_body_bytes: None,
            sending: Patience::default(),
            taking: Patience::default(),
            underscores: Underscores::Refuse,
            http2: Http2::default(),
        }
    }
}

/// How long to wait for a client that is the only one we wait for. Time that the destination needs does not count.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The longest wait without a single byte. Default 30 s.
    pub idle: Duration,
    /// Total waiting before the rate counts. Default 10 s.
    pub grace: Duration,
    /// Bytes per second of waiting, after the grace. Default 240.
    pub min_bytes_per_second: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            min_bytes_per_second: 240,
        }
    }
}

/// What to do with `X_Forwarded_For` and its like, which CGI-style readers confuse with `X-Forwarded-For`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Underscores {
    /// 400.
    Refuse,
    /// Passed on.
    Accept,
}

/// Limits of an HTTP/2 connection.
#[derive(Debug, Clone)]
pub struct Http2 {
    /// Default 200.
    pub max_concurrent_streams: u32,
    /// Streams reset by the client before we looked at them; more ends the connection (rapid reset). Default 20.
    pub max_pending_accept_reset_streams: usize,
    /// Streams we reset for the client's errors; more ends the connection. Default 256.
    pub max_local_error_reset_streams: usize,
    /// Default 64 KiB.
    pub stream_window_bytes: u32,
    /// Default 1 MiB.
    pub connection_window_bytes: u32,
    /// How often a ping asks whether the client is still there. Default 20 s.
    pub keep_alive_interval: Duration,
    /// How long the answer may take. Default 20 s.
    pub keep_alive_timeout: Duration,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 200,
            max_pending_accept_reset_streams: 20,
            max_local_error_reset_streams: 256,
            stream_window_bytes: 64 * 1024,
            connection_window_bytes: 1024 * 1024,
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(20),
        }
    }
}
