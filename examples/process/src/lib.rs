//! A text processor configured by a file. In: `/etc/config.json` and a text. Out: the text in upper case, with status and time stamp.
//! The decisions are pure and native tests cover them; only [`component`] knows WASI.

#![cfg_attr(
    not(target_family = "wasm"),
    allow(dead_code, reason = "natively only the tests call the logic")
)]

#[cfg(target_family = "wasm")]
mod component;
mod config;
mod service;
mod timestamp;
