//! What one exchange came to, read once, as plain values: what the access log prints and the metrics count.

use std::time::Duration;

use coracle_gateway::{Ending, Exchange, RequestId};

pub(crate) struct Outcome<'a> {
    pub(crate) request_id: RequestId,
    pub(crate) method: &'a str,
    /// Without query: queries carry what people should not have put there.
    pub(crate) path: &'a str,
    pub(crate) app: Option<&'a str>,
    pub(crate) component: Option<&'a str>,
    pub(crate) route: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
    /// 0 while none was sent.
    pub(crate) status: u16,
    pub(crate) ending: Ending,
    pub(crate) duration: Duration,
    pub(crate) cpu: Duration,
    pub(crate) peak_memory_bytes: u64,
    pub(crate) response_bytes: u64,
}

impl<'a> From<&'a Exchange> for Outcome<'a> {
    fn from(exchange: &'a Exchange) -> Self {
        Self {
            request_id: exchange.request_id,
            method: exchange.method.as_str(),
            path: &exchange.path,
            app: exchange.app(),
            component: exchange.component(),
            route: exchange.route(),
            reason: exchange.reason(),
            status: exchange.status(),
            ending: exchange.ending(),
            duration: exchange.duration(),
            cpu: exchange.cpu(),
            peak_memory_bytes: exchange.peak_memory_bytes(),
            response_bytes: exchange.response_bytes(),
        }
    }
}

/// The word that logs and documents use.
pub(crate) fn ending_word(ending: Ending) -> &'static str {
    match ending {
        Ending::Complete => "complete",
        Ending::ClientLeft => "client-left",
        Ending::Aborted => "aborted",
    }
}
