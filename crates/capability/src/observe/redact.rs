//! Takes a header's value out of a recording, everywhere it appears.
//!
//! In: a recording and header names. Out: the same recording in which each value of those headers is one stand-in, in the request, in every
//! call and answer, and in the response; so that it still replays. For `Authorization`-like values the part after the scheme is replaced too.

use ciborium::Value;

use super::event::{Message, Recording};
use crate::secrets::SecretValue;

/// Shorter pieces would be found in innocent places.
const MIN_BYTES: usize = 4;

/// Replaces the values of these headers of the request, and marks the recording.
pub fn redact(recording: &mut Recording, headers: &[String]) {
    for (number, header) in headers.iter().enumerate() {
        let header = header.to_ascii_lowercase();
        let values: Vec<Vec<u8>> = recording
            .request
            .message
            .headers
            .iter()
            .filter(|(name, _)| *name == header)
            .map(|(_, value)| value.clone())
            .collect();
        for value in values {
            let stand_in = format!("redacted-{}", number + 1);
            let credentials = value
                .iter()
                .position(|&byte| byte == b' ')
                .map(|space| value.split_at(space + 1).1.to_vec());
            for secret in credentials
                .into_iter()
                .chain([value])
                .filter(|secret| secret.len() >= MIN_BYTES)
            {
                replace_everywhere(recording, &secret, stand_in.as_bytes());
            }
        }
        recording.redacted.push(header);
    }
}

/// Replaces what the guest was told of secrets by what a replay will tell it, wherever the guest put it.
pub fn conceal(recording: &mut Recording, revealed: &[(SecretValue, SecretValue)]) {
    for (secret, stand_in) in revealed {
        if secret.expose().len() >= MIN_BYTES {
            replace_everywhere(recording, secret.expose(), stand_in.expose());
        }
    }
}

fn replace_everywhere(recording: &mut Recording, secret: &[u8], stand_in: &[u8]) {
    let target = std::mem::take(&mut recording.request.target);
    recording.request.target = text(target, secret, stand_in);
    message(&mut recording.request.message, secret, stand_in);
    message(&mut recording.answered.message, secret, stand_in);
    for event in &mut recording.events {
        value(&mut event.call, secret, stand_in);
        value(&mut event.answer, secret, stand_in);
    }
}

fn message(message: &mut Message, secret: &[u8], stand_in: &[u8]) {
    for (_, value) in message.headers.iter_mut().chain(&mut message.trailers) {
        *value = bytes(value, secret, stand_in);
    }
    message.body = bytes(&message.body, secret, stand_in);
}

fn value(value_: &mut Value, secret: &[u8], stand_in: &[u8]) {
    match value_ {
        Value::Text(found) => *found = text(std::mem::take(found), secret, stand_in),
        Value::Bytes(found) => *found = bytes(found, secret, stand_in),
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| value(item, secret, stand_in)),
        Value::Map(pairs) => pairs.iter_mut().for_each(|(key, item)| {
            value(key, secret, stand_in);
            value(item, secret, stand_in);
        }),
        _ => {}
    }
}

fn text(found: String, secret: &[u8], stand_in: &[u8]) -> String {
    String::from_utf8(bytes(found.as_bytes(), secret, stand_in)).unwrap_or(found)
}

fn bytes(found: &[u8], secret: &[u8], stand_in: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(found.len());
    let mut rest = found;
    while let Some((first, tail)) = rest.split_first() {
        match rest.strip_prefix(secret) {
            Some(after) => {
                replaced.extend_from_slice(stand_in);
                rest = after;
            }
            None => {
                replaced.push(*first);
                rest = tail;
            }
        }
    }
    replaced
}
