//! Secrets in headers of outbound requests, put there by grant: the guest sees neither the value nor the header.
//!
//! In: which secret goes into which header, and how. Out: headers marked as sensitive, fetched when a request needs them and kept
//! for a while. Sends nothing and knows no grant of HTTP.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;
use tokio::time::Instant;

use super::{
    contract::{Call, Error, Reply, Secrets},
    value::{Revealed, SecretValue},
};
use crate::contract::{CallError as _, Shared};

/// How a secret becomes the value of a header: `Bearer {}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    before: String,
    after: String,
}

/// A format that is not text with one `{}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a format holds exactly one {{}}, where the secret goes, and no control characters")]
pub struct MalformedFormat;

impl FromStr for Format {
    type Err = MalformedFormat;

    fn from_str(text: &str) -> Result<Self, MalformedFormat> {
        let (before, after) = text.split_once("{}").ok_or(MalformedFormat)?;
        if after.contains("{}") || text.contains(char::is_control) {
            return Err(MalformedFormat);
        }
        Ok(Self {
            before: before.into(),
            after: after.into(),
        })
    }
}

impl Format {
    /// The header's value, marked as sensitive.
    ///
    /// # Errors
    /// [`Error::Failed`] for a secret that no header can carry, such as one of several lines; it is not shown.
    pub fn header(&self, secret: &SecretValue) -> Result<HeaderValue, Error> {
        let text = [
            self.before.as_bytes(),
            secret.expose(),
            self.after.as_bytes(),
        ]
        .concat();
        let mut value = HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
            .map_err(|_| Error::Failed("it holds characters that a header cannot carry".into()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// One header that holds a secret.
pub struct Header {
    /// Which header.
    pub name: HeaderName,
    /// How the secret becomes its value.
    pub format: Format,
    /// The secret, the host's own to reveal: the grant of the header is the right to use it here, and nowhere else.
    pub secret: Shared<Secrets>,
}

/// How long a fetched secret is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Used without asking again. A rotated secret is in use after this.
    pub ttl: Duration,
    /// Used beyond that for as long as its backend has temporary errors.
    pub grace: Duration,
    /// After an error nobody asks again for this long.
    pub pause: Duration,
}

impl Default for Freshness {
    /// One minute, ten minutes, one second.
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(60),
            grace: Duration::from_secs(600),
            pause: Duration::from_secs(1),
        }
    }
}

/// The headers of one grant. Made once per revision; clones share what was fetched.
#[derive(Clone, Default)]
pub struct Headers(Arc<Vec<Kept>>);

/// The names only.
impl std::fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.names()).finish()
    }
}

impl Headers {
    /// Fetches nothing yet.
    pub fn new(headers: Vec<Header>, freshness: Freshness) -> Self {
        let kept = |header| Kept {
            header,
            freshness,
            known: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        };
        Self(Arc::new(headers.into_iter().map(kept).collect()))
    }

    /// Whether there is nothing to put into a request.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, to remove what a guest wrote there even when the secret cannot be had.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|kept| &kept.header.name)
    }

    /// The headers to put into a request that is about to be sent.
    ///
    /// # Errors
    /// The contract's. Such a request is not to be sent.
    pub async fn headers(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::with_capacity(self.0.len());
        for kept in self.0.iter() {
            headers.append(kept.header.name.clone(), kept.value().await?);
        }
        Ok(headers)
    }
}

/// One header with what is known of its value.
struct Kept {
    header: Header,
    freshness: Freshness,
    known: Mutex<Known>,
    /// Held by the one who asks the backend.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    value: Option<(HeaderValue, String, Instant)>,
    error: Option<(Error, Instant)>,
}

impl Known {
    fn younger_than(&self, age: Duration) -> Option<HeaderValue> {
        let (value, _, confirmed) = self.value.as_ref()?;
        (confirmed.elapsed() < age).then(|| value.clone())
    }
}

impl Kept {
    async fn value(&self) -> Result<HeaderValue, Error> {
        if let Some(answer) = self.at_hand() {
            return answer;
        }
        let _fetching = match self.fetching.try_lock() {
            Ok(fetching) => fetching,
            Err(_) => match self.old() {
                Some(old) => return Ok(old),
                None => self.fetching.lock().await,
            },
        };
        // Another may have fetched it while this one waited.
        if let Some(answer) = self.at_hand() {
            return answer;
        }
        match self.fetch().await {
            Ok(value) => Ok(value),
            Err(error) => {
                let old = self.old().filter(|_| error.is_temporary());
                self.known().error = Some((error.clone(), Instant::now()));
                old.ok_or(error)
            }
        }
    }

    /// The answer that needs no question: a fresh value, or the error of a moment ago.
    fn at_hand(&self) -> Option<Result<HeaderValue, Error>> {
        let known = self.known();
        if let Some(value) = known.younger_than(self.freshness.ttl) {
            return Some(Ok(value));
        }
        let (error, met) = known.error.as_ref()?;
        if met.elapsed() >= self.freshness.pause {
            return None;
        }
        let old = known.younger_than(self.freshness.ttl + self.freshness.grace);
        Some(
            old.filter(|_| error.is_temporary())
                .ok_or_else(|| error.clone()),
        )
    }

    fn old(&self) -> Option<HeaderValue> {
        self.known()
            .younger_than(self.freshness.ttl + self.freshness.grace)
    }

    async fn fetch(&self) -> Result<HeaderValue, Error> {
        let newest = self.newest().await?;
        let unchanged = match &self.known().value {
            Some((value, version, _)) if *version == newest => Some(value.clone()),
            _ => None,
        };
        let value = match unchanged {
            Some(value) => value,
            None => self
                .header
                .format
                .header(&self.reveal(newest.clone()).await?)?,
        };
        *self.known() = Known {
            value: Some((value.clone(), newest, Instant::now())),
            error: None,
        };
        Ok(value)
    }

    async fn newest(&self) -> Result<String, Error> {
        match self
            .header
            .secret
            .call(Call::Get {
                name: String::new(),
            })
            .await?
        {
            Reply::Found { version } => Ok(version),
            Reply::Revealed(_) => Err(unexpected()),
        }
    }

    async fn reveal(&self, version: String) -> Result<SecretValue, Error> {
        let reveal = Call::Reveal {
            name: String::new(),
            version,
        };
        match self.header.secret.call(reveal).await? {
            Reply::Revealed(Revealed::Value(value)) => Ok(value),
            Reply::Revealed(Revealed::Recorded(fingerprint)) => Ok(fingerprint.stand_in()),
            Reply::Found { .. } => Err(unexpected()),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unexpected() -> Error {
    Error::Failed("the backend answered something else than it was asked".into())
}

#[cfg(test)]
mod tests;
