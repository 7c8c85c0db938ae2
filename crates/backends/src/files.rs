//! Secrets, or values of components, as files of one directory, as orchestrators mount them: the file's name is the secret's, or the key.
//!
//! In: a directory. Out: secrets and configuration, read anew for every call, so that a changed file is a changed value at once. A file
//! is found beneath the directory or not at all: links that stay inside are followed, links that lead out are refused.

mod client;
mod config;
mod secrets;
mod values;

pub use client::Directory;
pub use config::Config;
