//! The calls of secrets on files. Only what a file holds now can be revealed.

use std::sync::Arc;

use coracle_capability::{
    contract::{Answer, Backend, Shared, Support},
    secrets::{Call, Error, MAX_SECRET_BYTES, Reply, Revealed, SecretValue, Secrets},
};

use super::{Directory, client::Unread};

impl Directory {
    /// What its secrets cannot do: come back after they were overwritten.
    pub const SECRETS: Support = Support {
        backend: "files",
        unsupported: &["past versions"],
    };

    /// The secrets of the directory.
    pub fn secrets(&self) -> Shared<Secrets> {
        Arc::new(self.clone())
    }

    /// What a file holds now, and its version.
    async fn secret(&self, name: String) -> Result<(String, SecretValue), Error> {
        let read = self.read(move |opened| {
            let bytes = opened.bytes(&name, MAX_SECRET_BYTES)?;
            let version = opened.version(&name, &bytes);
            Ok((version, SecretValue::new(bytes)))
        });
        read.await.map_err(Error::from)
    }
}

impl From<Unread> for Error {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::NotFound => Error::NotFound,
            Unread::NoDirectory => {
                Error::Failed("the directory of secrets cannot be opened".into())
            }
            Unread::TooLarge => {
                Error::TooLarge(format!("the file is larger than {MAX_SECRET_BYTES} bytes"))
            }
            Unread::Unavailable(why) => Error::Unavailable(why.into()),
            Unread::Failed(why) => Error::Failed(why.into()),
        }
    }
}

impl Backend<Secrets> for Directory {
    fn call(&self, call: Call) -> Answer<'_, Secrets> {
        Box::pin(async move {
            match call {
                Call::Get { name } => {
                    let (version, _) = self.secret(name).await?;
                    Ok(Reply::Found { version })
                }
                Call::Reveal { name, version } => {
                    let (now, value) = self.secret(name).await?;
                    if now != version {
                        return Err(Error::Superseded);
                    }
                    Ok(Reply::Revealed(Revealed::Value(value)))
                }
            }
        })
    }
}
