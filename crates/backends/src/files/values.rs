//! The calls of configuration on files: a key is a file's name, a value its text. A list holds each file as it was at one moment, not
//! all of them at the same.

use std::sync::Arc;

use coracle_capability::{
    config::{Call, Config, Error, MAX_KEYS, MAX_LIST_BYTES, MAX_VALUE_BYTES, Reply},
    contract::{Answer, Backend, Shared, Support},
};

use super::{
    Directory,
    client::{Opened, Unread, bytes_in},
};

impl Directory {
    /// What its values cannot do: have keys that no file can.
    pub const VALUES: Support = Support {
        backend: "files",
        unsupported: &["any key"],
    };

    /// The values of the directory.
    pub fn values(&self) -> Shared<Config> {
        Arc::new(self.clone())
    }
}

impl Backend<Config> for Directory {
    fn call(&self, call: Call) -> Answer<'_, Config> {
        Box::pin(async move {
            // Unread is no reason to lose which file: each answer carries its own error.
            let read = self.read(move |opened| Ok(answer(opened, call)));
            read.await.unwrap_or_else(|unread| Err(error(unread, "")))
        })
    }
}

fn answer(opened: &Opened, call: Call) -> Result<Reply, Error> {
    match call {
        Call::Get { key } => match opened.bytes(&key, MAX_VALUE_BYTES) {
            Ok(bytes) => text(&key, bytes).map(|text| Reply::Value(Some(text))),
            Err(Unread::NotFound) => Ok(Reply::Value(None)),
            Err(unread) => Err(error(unread, &key)),
        },
        Call::GetAll => all(opened).map(Reply::Values),
    }
}

fn all(opened: &Opened) -> Result<Vec<(String, String)>, Error> {
    let (directory, mut names) = opened.names().map_err(|unread| error(unread, ""))?;
    names.sort_unstable();
    let (mut values, mut bytes) = (Vec::new(), 0);
    for name in names {
        let value = match bytes_in(&directory, &name, MAX_VALUE_BYTES) {
            Ok(value) => text(&name, value)?,
            // No plain file, or gone since.
            Err(Unread::NotFound) => continue,
            Err(unread) => return Err(error(unread, &name)),
        };
        bytes += name.len() + value.len();
        if values.len() == MAX_KEYS || bytes > MAX_LIST_BYTES {
            return Err(Error::list_too_large());
        }
        values.push((name, value));
    }
    Ok(values)
}

fn text(key: &str, bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| Error::not_text(key))
}

/// A directory that is gone may come back: it is mounted by somebody else.
fn error(unread: Unread, key: &str) -> Error {
    let of_key = |why: &str| match key {
        "" => why.to_owned(),
        key => format!("{key:?}: {why}"),
    };
    match unread {
        Unread::NotFound | Unread::NoDirectory => {
            Error::Unavailable("the directory cannot be opened".into())
        }
        Unread::TooLarge => Error::value_too_large(key),
        Unread::Unavailable(why) => Error::Unavailable(of_key(why)),
        Unread::Failed(why) => Error::Failed(of_key(why)),
    }
}
