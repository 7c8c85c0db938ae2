//! Takes a value out of a recording, everywhere it appears, in a way that still replays.
//!
//! In: a recording, and header names or revealed secrets. Out: the same recording in which each value is one stand-in of the same length: in the
//! request, in every call, answer and body, and in the response; as it is, percent-encoded, or inside base64. Where a length changes all the
//! same, pieces and `content-length` follow. For `Authorization`-like values the part after the scheme is replaced too.

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    event::{Event, Message, Recording, Step},
    value::Encoded,
};
use crate::{
    http::contract::{Call, Error, Reply},
    secrets::SecretValue,
};

/// Shorter pieces would be found in innocent places.
const MIN_BYTES: usize = 4;

/// Replaces the values of these headers of the request, and marks the recording.
pub fn redact(recording: &mut Recording, headers: &[String]) {
    let mut replaced: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut number = 0;
    for header in headers {
        let header = header.to_ascii_lowercase();
        let fields = recording.request.message.headers.iter();
        for (_, value) in fields.filter(|(name, _)| *name == header) {
            let space = value.iter().position(|&byte| byte == b' ');
            let (scheme, credentials) = value.split_at(space.map_or(0, |space| space + 1));
            let known = replaced.iter().find(|(known, _)| known == credentials);
            let stand_in = known.map_or_else(
                || {
                    number += 1;
                    stand_in(number, credentials.len())
                },
                |(_, stand_in)| stand_in.clone(),
            );
            let whole = [scheme, &stand_in].concat();
            for pair in [(credentials.to_vec(), stand_in), (value.clone(), whole)] {
                let known = replaced.iter().any(|(known, _)| *known == pair.0);
                if pair.0.len() >= MIN_BYTES && !known {
                    replaced.push(pair);
                }
            }
        }
        recording.redacted.push(header);
    }
    // Longer ones first: one may be a part of another.
    replaced.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    for (value, stand_in) in &replaced {
        replace_everywhere(recording, value, stand_in);
    }
}

/// Of letters and digits only, so that no encoding makes it longer.
fn stand_in(number: usize, length: usize) -> Vec<u8> {
    let begins = if length < 10 {
        format!("r{number}")
    } else {
        format!("redacted{number}")
    };
    let letters = begins.into_bytes().into_iter();
    letters
        .chain(std::iter::repeat(b'x'))
        .take(length)
        .collect()
}

/// Replaces what the guest was told of secrets by what a replay will tell it, wherever the guest put it.
pub fn conceal(recording: &mut Recording, revealed: &[(SecretValue, SecretValue)]) {
    for (secret, stand_in) in revealed {
        if secret.expose().len() >= MIN_BYTES {
            replace_everywhere(recording, secret.expose(), stand_in.expose());
        }
    }
}

/// The same for what a replayed guest does now that was told the values themselves.
pub struct Concealing(Vec<Replacement>);

impl Concealing {
    /// Of each first, its second.
    pub fn new(revealed: &[(SecretValue, SecretValue)]) -> Self {
        let long = revealed
            .iter()
            .filter(|(secret, _)| secret.expose().len() >= MIN_BYTES);
        Self(
            long.map(|(secret, stand_in)| Replacement::new(secret.expose(), stand_in.expose()))
                .collect(),
        )
    }

    /// In a message.
    pub fn in_message(&self, message: &mut Message) {
        self.0
            .iter()
            .for_each(|replacement| replacement.in_message(message));
    }

    /// In any bytes.
    pub fn in_bytes(&self, bytes: &mut Vec<u8>) {
        self.0
            .iter()
            .for_each(|replacement| replacement.in_bytes(bytes, &mut []));
    }

    /// In a call.
    pub(super) fn in_value(&self, value: &mut Encoded) {
        if !self.0.is_empty() {
            value.change(&mut |bytes| self.in_bytes(bytes));
        }
    }
}

fn replace_everywhere(recording: &mut Recording, secret: &[u8], stand_in: &[u8]) {
    let replacement = Replacement::new(secret, stand_in);
    let target = std::mem::take(&mut recording.request.target);
    recording.request.target = replacement.in_text(target);
    replacement.in_message(&mut recording.request.message);
    replacement.in_message(&mut recording.answered.message);
    for (number, event) in recording.events.iter_mut().enumerate() {
        replacement.in_event(number, event, &mut recording.order);
    }
}

/// One value and what stands for it, in each of its forms.
struct Replacement {
    secret: Vec<u8>,
    stand_in: Vec<u8>,
    forms: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Replacement {
    fn new(secret: &[u8], stand_in: &[u8]) -> Self {
        let mut forms = vec![(secret.to_vec(), stand_in.to_vec())];
        for encode in [percent_upper, percent_lower, form_urlencoded] {
            let form = (encode(secret), encode(stand_in));
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        Self {
            secret: secret.to_vec(),
            stand_in: stand_in.to_vec(),
            forms,
        }
    }

    fn in_message(&self, message: &mut Message) {
        for (_, value) in message.headers.iter_mut().chain(&mut message.trailers) {
            self.in_bytes(value, &mut []);
        }
        let before = message.body.len();
        self.in_bytes(&mut message.body, &mut []);
        follow(&mut message.headers, before, message.body.len());
    }

    fn in_event(&self, number: usize, event: &mut Event, order: &mut [(usize, Step)]) {
        let mut in_value = |found: &mut Vec<u8>| self.in_bytes(found, &mut []);
        event.call.change(&mut in_value);
        if let Some(answer) = &mut event.answer {
            answer.change(&mut in_value);
        }
        let Some(streams) = &mut event.streams else {
            return;
        };
        if let Some(end) = &mut streams.end {
            end.change(&mut in_value);
        }
        let (sent, received) = (streams.sent.len(), streams.received.len());
        self.in_bytes(&mut streams.sent, &mut []);
        // A piece ends where it ended; one that ended inside of what was replaced, after it.
        let pieces = order.iter_mut().filter_map(|(event, step)| match step {
            Step::Piece(bytes) if *event == number => Some(bytes),
            _ => None,
        });
        let pieces: Vec<&mut usize> = pieces.collect();
        let mut ends: Vec<usize> = pieces
            .iter()
            .scan(0, |end, bytes| {
                *end += **bytes;
                Some(*end)
            })
            .collect();
        self.in_bytes(&mut streams.received, &mut ends);
        let mut from = 0;
        for (bytes, end) in pieces.into_iter().zip(ends) {
            *bytes = end - from;
            from = end;
        }
        let (sent_now, received_now) = (streams.sent.len(), streams.received.len());
        if sent != sent_now {
            in_head::<Call>(&mut event.call, |call| {
                follow(&mut call.headers, sent, sent_now);
            });
        }
        if let (true, Some(answer)) = (received != received_now, &mut event.answer) {
            in_head::<Result<Reply, Error>>(answer, |reply| {
                if let Ok(reply) = reply {
                    follow(&mut reply.headers, received, received_now);
                }
            });
        }
    }

    fn in_text(&self, text: String) -> String {
        let mut bytes = text.clone().into_bytes();
        self.in_bytes(&mut bytes, &mut []);
        String::from_utf8(bytes).unwrap_or(text)
    }

    /// Replaces every form of it. `ends` are places in it, in order, that stay where they are in what is not replaced.
    fn in_bytes(&self, found: &mut Vec<u8>, ends: &mut [usize]) {
        for (secret, stand_in) in &self.forms {
            replace(found, secret, stand_in, ends);
        }
        self.in_base64(found);
    }

    /// In what is base64 of something with the value in it, as credentials of the scheme `Basic` are. The length stays.
    fn in_base64(&self, found: &mut [u8]) {
        if self.secret.len() != self.stand_in.len() {
            return;
        }
        let longest = self.secret.len().div_ceil(3) * 4;
        let mut rest = found;
        while !rest.is_empty() {
            let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
            let run = rest.iter().take_while(|byte| is_letter(byte)).count();
            let padding = rest
                .iter()
                .skip(run)
                .take(2)
                .take_while(|&&byte| byte == b'=');
            let length = run + padding.count();
            let (text, after) = rest.split_at_mut(length.max(1));
            if length + 3 >= longest {
                self.in_one_base64(text);
            }
            rest = after;
        }
    }

    fn in_one_base64(&self, text: &mut [u8]) {
        let url_safe = text.iter().any(|byte| b"-_".contains(byte));
        let engine = if url_safe { &URL_SAFE } else { &STANDARD };
        let padded = text.last() == Some(&b'=');
        let Ok(mut decoded) = engine.decode(&*text) else {
            return;
        };
        let before = decoded.clone();
        replace(&mut decoded, &self.secret, &self.stand_in, &mut []);
        if decoded != before {
            let mut encoded = engine.encode(decoded).into_bytes();
            if padded {
                encoded.resize(text.len(), b'=');
            }
            if encoded.len() == text.len() {
                text.copy_from_slice(&encoded);
            }
        }
    }
}

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, CONFIG);

fn in_head<T: serde::Serialize + serde::de::DeserializeOwned>(
    value: &mut Encoded,
    change: impl FnOnce(&mut T),
) {
    if let Ok(mut head) = value.read::<T>() {
        change(&mut head);
        if let Ok(changed) = Encoded::of(&head) {
            *value = changed;
        }
    }
}

/// A length that said how long the body is still says so.
fn follow(headers: &mut [(String, Vec<u8>)], before: usize, now: usize) {
    let before = before.to_string();
    for (name, value) in headers {
        if name == "content-length" && *value == before.as_bytes() {
            *value = now.to_string().into_bytes();
        }
    }
}

fn replace(found: &mut Vec<u8>, secret: &[u8], stand_in: &[u8], ends: &mut [usize]) {
    if secret.len() > found.len() {
        return;
    }
    let mut replaced = Vec::with_capacity(found.len());
    let mut rest = found.as_slice();
    let mut ends = ends.iter_mut().peekable();
    while let Some((first, tail)) = rest.split_first() {
        let at = found.len() - rest.len();
        let passed = match rest.strip_prefix(secret) {
            Some(after) => {
                replaced.extend_from_slice(stand_in);
                rest = after;
                secret.len()
            }
            None => {
                replaced.push(*first);
                rest = tail;
                1
            }
        };
        while let Some(end) = ends.next_if(|end| **end <= at + passed) {
            *end = if *end == 0 { 0 } else { replaced.len() };
        }
    }
    *found = replaced;
}

/// Everything but unreserved characters (RFC 3986, 2.3).
fn percent(bytes: &[u8], hex: &[u8; 16], space: Option<u8>) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        match (byte, space) {
            (b' ', Some(space)) => encoded.push(space),
            _ if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => encoded.push(byte),
            _ => {
                let digit = |nibble: u8| hex.get(usize::from(nibble)).copied().unwrap_or(b'0');
                encoded.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    encoded
}

fn percent_upper(bytes: &[u8]) -> Vec<u8> {
    percent(bytes, b"0123456789ABCDEF", None)
}

fn percent_lower(bytes: &[u8]) -> Vec<u8> {
    percent(bytes, b"0123456789abcdef", None)
}

fn form_urlencoded(bytes: &[u8]) -> Vec<u8> {
    percent(bytes, b"0123456789ABCDEF", Some(b'+'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Request, Streams};

    fn request(headers: &[(&str, &str)], body: &[u8]) -> Recording {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect();
        Recording {
            request: Request {
                method: "POST".into(),
                target: "/".into(),
                message: Message {
                    headers,
                    body: body.to_vec(),
                    trailers: Vec::new(),
                },
            },
            ..Recording::default()
        }
    }

    fn header<'a>(message: &'a Message, name: &str) -> &'a [u8] {
        let found = message.headers.iter().find(|(found, _)| found == name);
        &found.unwrap().1
    }

    #[test]
    fn one_stand_in_of_the_same_length_stands_for_the_value_everywhere() {
        let mut recording = request(
            &[
                ("authorization", "Bearer hunter2-hunter2"),
                ("x-pin", "9173"),
            ],
            b"{\"key\":\"hunter2-hunter2\",\"pin\":9173}",
        );
        recording.answered.message.body = b"hunter2-hunter2!".to_vec();
        redact(&mut recording, &["Authorization".into(), "x-pin".into()]);
        let message = &recording.request.message;
        assert_eq!(header(message, "authorization"), b"Bearer redacted1xxxxxx");
        assert_eq!(header(message, "x-pin"), b"r2xx");
        assert_eq!(message.body, b"{\"key\":\"redacted1xxxxxx\",\"pin\":r2xx}");
        assert_eq!(recording.answered.message.body, b"redacted1xxxxxx!");
        assert_eq!(recording.redacted, ["authorization", "x-pin"]);
    }

    #[test]
    fn a_value_is_found_percent_encoded_and_inside_base64() {
        let value = "s/e&cret+1";
        let basic = base64::prelude::BASE64_STANDARD.encode(format!("user:{value}"));
        let body = format!("q=s%2Fe%26cret%2B1&l=s%2fe%26cret%2b1&b={basic}&raw={value}");
        let length = body.len().to_string();
        let headers = [("x-pin", value), ("content-length", length.as_str())];
        let mut recording = request(&headers, body.as_bytes());
        redact(&mut recording, &["x-pin".into()]);
        let message = &recording.request.message;
        let text = String::from_utf8(message.body.clone()).unwrap();
        let stand_in = "redacted1x";
        let (before, after) = text.split_once("&b=").unwrap();
        assert_eq!(before, format!("q={stand_in}&l={stand_in}"));
        let (basic, raw) = after.split_once("&raw=").unwrap();
        let basic = base64::prelude::BASE64_STANDARD.decode(basic).unwrap();
        assert_eq!(basic, format!("user:{stand_in}").as_bytes());
        assert_eq!(raw, stand_in);
        assert_eq!(
            header(message, "content-length"),
            text.len().to_string().as_bytes(),
            "the length of the body that is there now"
        );
    }

    #[test]
    fn pieces_and_lengths_of_a_call_follow_what_was_replaced() {
        let value = "s/e&cret+1";
        let received = b"1234s%2Fe%26cret%2B15678";
        let head = Reply {
            status: 200,
            headers: vec![("content-length".into(), received.len().to_string().into())],
        };
        let mut recording = request(&[("x-pin", value)], b"");
        recording.events.push(Event {
            capability: "http".into(),
            resource: String::new(),
            call: Encoded::of(&"GET").unwrap(),
            answer: Some(Encoded::of(&Ok::<_, Error>(head)).unwrap()),
            streams: Some(Streams {
                received: received.to_vec(),
                ..Streams::default()
            }),
        });
        // The second ends inside of the value.
        recording.order = vec![
            (0, Step::Answer),
            (0, Step::Piece(4)),
            (0, Step::Piece(5)),
            (0, Step::Piece(received.len() - 9)),
            (0, Step::End),
        ];
        redact(&mut recording, &["x-pin".into()]);
        let event = &recording.events[0];
        let now = b"1234redacted1x5678";
        assert_eq!(event.streams.as_ref().unwrap().received, now);
        let pieces = [4, 10, 4].map(|bytes| (0, Step::Piece(bytes)));
        assert_eq!(recording.order[1..4], pieces);
        let reply: Result<Reply, Error> = event.answer.as_ref().unwrap().read().unwrap();
        assert_eq!(
            reply.unwrap().headers[0].1,
            now.len().to_string().into_bytes()
        );
    }
}
