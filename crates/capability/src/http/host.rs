//! `wasi:http` of both generations joined to the outbound client.
//!
//! In: requests that a guest sends through the stock `wasi:http` implementation, whose hooks these are. Out: the client's
//! responses, with errors in the implementation's terms. The stock implementation's own sending is not compiled in.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error as WasiError, RequestOptions, WasiBody, WasiHttpHooks};

use super::{
    client::Client,
    contract::{Error, Timeouts},
    grant::GrantSet,
    observed,
    target::Target,
};
use crate::{
    layer::Counters,
    logging::{Level, Source, line::Voice},
    observe::Observation,
};

/// Bytes a guest may hand over in one write of a body.
const BODY_CHUNK_BYTES: usize = 64 << 10;

/// What one component may send, and through which client.
#[derive(Clone)]
pub struct Authority {
    /// The app's.
    pub client: Client,
    /// The component's.
    pub grants: Arc<GrantSet>,
    /// The component's.
    pub counters: Arc<Counters>,
}

/// The hooks of one component in one invocation.
pub struct Outbound {
    authority: Authority,
    /// With the limit of this invocation; made by its first request.
    client: Option<Client>,
    remarks: Voice,
    observation: Observation,
}

impl Outbound {
    /// Sends in the name of one component; what it must tell the operator goes to `remarks`.
    pub fn new(authority: Authority, remarks: Voice, observation: Observation) -> Self {
        Self {
            authority,
            client: None,
            remarks,
            observation,
        }
    }
}

type Io = Box<dyn Future<Output = Result<(), WasiError>> + Send>;
type Sending = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Io), WasiError>> + Send>;

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Io,
    ) -> Sending {
        let client = self
            .client
            .get_or_insert_with(|| self.authority.client.for_invocation())
            .clone();
        let (grants, counters, remarks) = (
            Arc::clone(&self.authority.grants),
            Arc::clone(&self.authority.counters),
            self.remarks.clone(),
        );
        let options = options.unwrap_or_default();
        let timeouts = Timeouts {
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
        };
        let request = request.map(|body| body.map_err(from_wasi).boxed_unsync());
        let (head, body) = request.into_parts();
        let permits = |target: &Target| grants.permits(target).map(drop).map_err(Error::from);
        // Here and not where it is sent: requests are seen in the order in which the guest sends them.
        let sending = observed::begin(&self.observation, &head, timeouts, permits);
        let request = http::Request::from_parts(head, body);
        Box::new(async move {
            let began = std::time::Instant::now();
            let send = |request| async { client.send(&grants, request, timeouts).await };
            let sent = sending.send(request, send).await;
            counters.count(0, began.elapsed(), sent.is_ok());
            let response = sent.map_err(|error| {
                if !error.is_temporary() {
                    remarks.say(host_says(), &format!("outbound HTTP: {error}"));
                }
                to_wasi(error)
            })?;
            let response = response.map(|body| body.map_err(to_wasi).boxed_unsync());
            Ok((response, Box::new(async { Ok(()) }) as Io))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES
    }
}

/// A refusal is told the operator where the guest's own lines are: the guest sees an error code only.
fn host_says() -> Source {
    Source::Log {
        level: Level::Warn,
        context: "coracle".into(),
    }
}

fn to_wasi(error: Error) -> WasiError {
    match error {
        Error::DnsTimeout => WasiError::DnsTimeout,
        Error::DnsError(rcode) => WasiError::DnsError {
            rcode: Some(rcode),
            info_code: None,
        },
        Error::DestinationNotFound => WasiError::DestinationNotFound,
        Error::DestinationUnavailable => WasiError::DestinationUnavailable,
        Error::DestinationIpProhibited(_) => WasiError::DestinationIpProhibited,
        Error::DestinationIpUnroutable => WasiError::DestinationIpUnroutable,
        Error::ConnectionRefused => WasiError::ConnectionRefused,
        Error::ConnectionTerminated => WasiError::ConnectionTerminated,
        Error::ConnectionTimeout => WasiError::ConnectionTimeout,
        Error::ConnectionReadTimeout => WasiError::ConnectionReadTimeout,
        Error::ConnectionWriteTimeout => WasiError::ConnectionWriteTimeout,
        Error::ConnectionLimitReached => WasiError::ConnectionLimitReached,
        Error::TlsProtocolError => WasiError::TlsProtocolError,
        Error::TlsCertificateError => WasiError::TlsCertificateError,
        Error::TlsAlertReceived { id, message } => WasiError::TlsAlertReceived {
            alert_id: Some(id),
            alert_message: Some(message),
        },
        Error::HttpRequestDenied(_) => WasiError::HttpRequestDenied,
        Error::HttpRequestUriInvalid => WasiError::HttpRequestUriInvalid,
        Error::HttpRequestMethodInvalid => WasiError::HttpRequestMethodInvalid,
        Error::HttpRequestBodySize(size) => WasiError::HttpRequestBodySize(size),
        Error::HttpRequestHeaderSectionSize(size) => WasiError::HttpRequestHeaderSectionSize(size),
        Error::HttpResponseIncomplete => WasiError::HttpResponseIncomplete,
        Error::HttpResponseHeaderSectionSize(size) => {
            WasiError::HttpResponseHeaderSectionSize(size)
        }
        Error::HttpResponseBodySize(size) => WasiError::HttpResponseBodySize(size),
        Error::HttpResponseTimeout => WasiError::HttpResponseTimeout,
        Error::HttpProtocolError => WasiError::HttpProtocolError,
        Error::ConfigurationError => WasiError::ConfigurationError,
        Error::Internal(why) => WasiError::InternalError(Some(why)),
    }
}

/// What a guest's own body can end with.
fn from_wasi(error: WasiError) -> Error {
    match error {
        WasiError::HttpRequestBodySize(size) => Error::HttpRequestBodySize(size),
        other => Error::Internal(other.to_string()),
    }
}
