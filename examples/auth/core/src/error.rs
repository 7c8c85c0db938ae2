//! Why a key was not accepted: the caller's doing ([`Refusal`]) or ours ([`Fault`]).
//! Callers learn neither which refusal nor which fault it was; the log does. No message contains a key.

/// The caller's doing. Four reasons inside, one answer outside: an answer that tells them apart helps only who guesses keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the request has no Authorization header")]
    MissingHeader,
    #[error("the Authorization header is not `Bearer KEY`")]
    WrongScheme,
    #[error("the key is unknown")]
    UnknownKey,
    #[error("the key has expired")]
    ExpiredKey,
}

/// Our doing: the bucket could not be read, or holds something else than a token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("bucket of API keys: {0}")]
    Bucket(String),
    #[error("record of a key: {0}")]
    Record(String),
}

/// Why there is no token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("failed: {0}")]
    Failed(Fault),
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}
