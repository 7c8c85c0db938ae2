//! The operations of the first draft. In: parameters and an open bucket. Out: a JSON value.

use mischief::{Ask, json};

use crate::bindings::wasi::keyvalue::store::{Bucket, Error};
use crate::bindings::wasi::keyvalue::{atomics, batch};

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
            let page = bucket.list_keys(ask.text("cursor").parse().ok())?;
            let cursor = page
                .cursor
                .map_or("null".to_owned(), |cursor| cursor.to_string());
            format!(
                "{{\"keys\":{},\"cursor\":{cursor}}}",
                json::strings(page.keys.iter().map(String::as_str))
            )
        }
        "increment" => atomics::increment(bucket, key, ask.number("delta", 1))?.to_string(),
        "get-many" => {
            let found = batch::get_many(bucket, &keys)?;
            let found: Vec<_> = found
                .iter()
                .map(|pair| {
                    pair.as_ref().map_or("null".to_owned(), |(key, value)| {
                        format!("[{},{}]", json::string(key), text(value))
                    })
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

fn text(bytes: &[u8]) -> String {
    json::string(&String::from_utf8_lossy(bytes))
}
