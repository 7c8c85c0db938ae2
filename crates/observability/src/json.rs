//! Writes one flat JSON object into a line, without a tree in between.
//!
//! In: keys of ours and values of anyone. Out: one object on one line, keys in the order they came.

use std::{fmt::Write as _, time::SystemTime};

use crate::{
    escape::{Place, Room, escape},
    timestamp::write_time,
};

/// An object that is being written.
pub(crate) struct Object<'a> {
    into: &'a mut String,
    separator: char,
}

impl<'a> Object<'a> {
    pub(crate) fn begin(into: &'a mut String) -> Self {
        Self {
            into,
            separator: '{',
        }
    }

    /// The time of the line; every line begins with it.
    pub(crate) fn time(&mut self, at: SystemTime) {
        self.key("time");
        self.into.push('"');
        write_time(self.into, at);
        self.into.push('"');
    }

    /// A string that we chose: no escape needed.
    pub(crate) fn word(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key(key);
        let _ = write!(self.into, "\"{value}\"");
    }

    /// A string that somebody else chose, cut at `limit_bytes`.
    pub(crate) fn text(&mut self, key: &str, value: &[u8], limit_bytes: usize) -> Room {
        self.key(key);
        self.into.push('"');
        let room = escape(self.into, value, Place::Json, limit_bytes);
        self.into.push('"');
        room
    }

    /// A number or a boolean.
    pub(crate) fn value(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key(key);
        let _ = write!(self.into, "{value}");
    }

    fn key(&mut self, key: &str) {
        self.into.push(self.separator);
        self.separator = ',';
        self.into.push('"');
        self.into.push_str(key);
        self.into.push_str("\":");
    }

    pub(crate) fn end(self) {
        self.into.push('}');
    }
}
