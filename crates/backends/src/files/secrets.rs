//! The calls of secrets on files. Only what a file holds now can be revealed.

use coracle_capability::{
    contract::{Answer, Backend, Support},
    secrets::{Call, Error, Reply, Revealed, Secrets},
};

use super::Directory;

impl Directory {
    /// What its secrets cannot do: come back after they were overwritten.
    pub const SECRETS: Support = Support {
        backend: "files",
        unsupported: &["past versions"],
    };
}

impl Backend<Secrets> for Directory {
    fn call(&self, call: Call) -> Answer<'_, Secrets> {
        Box::pin(async move {
            match call {
                Call::Get { name } => Ok(Reply::Found {
                    version: self.read(name).await?.version,
                }),
                Call::Reveal { name, version } => {
                    let content = self.read(name).await?;
                    if content.version != version {
                        return Err(Error::Superseded);
                    }
                    Ok(Reply::Revealed(Revealed::Value(content.value)))
                }
            }
        })
    }
}
