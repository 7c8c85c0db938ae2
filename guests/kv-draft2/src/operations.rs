//! The operations of the second draft, compare-and-swap among them. In: parameters and an open bucket. Out: a JSON value.

use mischief::{Ask, json};

use crate::bindings::wasi::keyvalue::atomics::{self, Cas, CasError};
use crate::bindings::wasi::keyvalue::batch;
use crate::bindings::wasi::keyvalue::store::{Bucket, Error};

pub(crate) fn run(ask: &Ask, bucket: &Bucket) -> Result<String, Error> {
    let (key, value) = (ask.text("key"), ask.text("value").as_bytes());
    let keys: Vec<String> = ask.text("keys").split(',').map(str::to_owned).collect();
    Ok(match ask.text("op") {
        "open" => "null".to_owned(),
        "get" => bucket
            .get(key)?
            .map_or("null".to_owned(), |bytes| text(&bytes)),
        "set" => bucket.set(key, value).map(|()| "null".to_owned())?,
        "set-large" => bucket
            .set(key, &vec![b'v'; ask.number("bytes", 0) as usize])
            .map(|()| "null".to_owned())?,
        "delete" => bucket.delete(key).map(|()| "null".to_owned())?,
        "exists" => bucket.exists(key)?.to_string(),
        "list" => {
            let page =
                bucket.list_keys(Some(ask.text("cursor")).filter(|cursor| !cursor.is_empty()))?;
            let cursor = page
                .cursor
                .map_or("null".to_owned(), |cursor| json::string(&cursor));
            format!(
                "{{\"keys\":{},\"cursor\":{cursor}}}",
                json::strings(page.keys.iter().map(String::as_str))
            )
        }
        "increment" => {
            atomics::increment(bucket, key, ask.text("delta").parse().unwrap_or(1))?.to_string()
        }
        "swap" => swap(ask, bucket)?,
        "get-many" => {
            let found = batch::get_many(bucket, &keys)?;
            let found: Vec<_> = found
                .iter()
                .map(|(key, value)| {
                    format!(
                        "[{},{}]",
                        json::string(key),
                        value.as_deref().map_or("null".to_owned(), text)
                    )
                })
                .collect();
            format!("[{}]", found.join(","))
        }
        "set-many" => {
            let pairs: Vec<_> = keys.into_iter().map(|key| (key, value.to_vec())).collect();
            batch::set_many(bucket, &pairs).map(|()| "null".to_owned())?
        }
        "delete-many" => batch::delete_many(bucket, &keys).map(|()| "null".to_owned())?,
        other => return Err(Error::Other(format!("no such operation: {other}"))),
    })
}

/// Compare and swap; `?meddle=` is written in between by other means, so that the swap fails. Says whether it did and what stood there.
fn swap(ask: &Ask, bucket: &Bucket) -> Result<String, Error> {
    let cas = Cas::new(bucket, ask.text("key"))?;
    let seen = cas.current()?;
    if !ask.text("meddle").is_empty() {
        bucket.set(ask.text("key"), ask.text("meddle").as_bytes())?;
    }
    let (swapped, current) = match atomics::swap(cas, ask.text("value").as_bytes()) {
        Ok(()) => (true, seen),
        Err(CasError::CasFailed(newer)) => (false, newer.current()?),
        Err(CasError::StoreError(error)) => return Err(error),
    };
    Ok(format!(
        "{{\"swapped\":{swapped},\"current\":{}}}",
        current.map_or("null".to_owned(), |bytes| text(&bytes))
    ))
}

fn text(bytes: &[u8]) -> String {
    json::string(&String::from_utf8_lossy(bytes))
}
