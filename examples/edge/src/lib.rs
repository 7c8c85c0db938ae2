//! An edge service in one component: cache validation, routing by country, an A/B split. In: request headers. Out: a page, or 304.
//! The decisions are pure and native tests cover them; only [`component`] knows WASI.

#![cfg_attr(
    not(target_family = "wasm"),
    allow(dead_code, reason = "natively only the tests call the logic")
)]

#[cfg(target_family = "wasm")]
mod component;
mod geo;
mod service;
mod split;
mod validator;
