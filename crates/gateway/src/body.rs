//! The two bodies of an exchange as they pass the edge: [`inbound`] towards the destination, [`Outgoing`] towards the client.

mod inbound;
mod outgoing;

pub(crate) use inbound::inbound;
pub(crate) use outgoing::Outgoing;

use http::StatusCode;

use crate::problem::Problem;

/// Why a request body ended early through its sender's fault. The answer says it, if none has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum BodyFault {
    TooLarge = 1,
    Malformed = 2,
    TooSlow = 3,
}

impl BodyFault {
    pub(crate) fn from_u8(value: u8) -> Option<Self> {
        match value {
            1 => Some(Self::TooLarge),
            2 => Some(Self::Malformed),
            3 => Some(Self::TooSlow),
            _ => None,
        }
    }

    pub(crate) fn problem(self) -> Problem {
        match self {
            Self::TooLarge => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "The request body is larger than this service accepts.",
            ),
            Self::Malformed => Problem::new(
                StatusCode::BAD_REQUEST,
                "bad-framing",
                "The chunked framing of the request body is malformed.",
            ),
            Self::TooSlow => Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "body-too-slow",
                "The request body arrived too slowly.",
            ),
        }
    }
}

impl std::fmt::Display for BodyFault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::TooLarge => "the request body is too large",
            Self::Malformed => "the framing of the request body is malformed",
            Self::TooSlow => "the request body arrives too slowly",
        })
    }
}

impl std::error::Error for BodyFault {}
