//! What runs inside Redis, each script at once and alone: what makes a write and its entry in the index one step.
//!
//! In: keys and arguments. Out: a command that names the script by its digest, or carries it to a server that does not know it.

use std::sync::LazyLock;

use redis::{Cmd, cmd};

/// A script, and the digest by which Redis remembers it.
pub(crate) struct Script {
    text: &'static str,
    digest: String,
}

macro_rules! script {
    ($name:ident, $($file:literal),+) => {
        pub(crate) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!($(include_str!(concat!("scripts/", $file, ".lua"))),+)));
    };
}

// Scripts that write entries begin with what they share: how the index is kept.
script!(SET, "index", "set");
script!(SEED, "index", "seed");
script!(SWAP, "index", "swap");
script!(INCREMENT, "index", "increment");
script!(DELETE, "delete");
script!(GET, "get");
script!(LIST, "list");

impl Script {
    fn new(text: &'static str) -> Self {
        let digest = redis::Script::new(text).get_hash().to_owned();
        Self { text, digest }
    }
}

/// A call of a script.
pub(crate) struct Invocation<'a> {
    pub(crate) script: &'static Script,
    pub(crate) keys: Vec<String>,
    pub(crate) arguments: Vec<Argument<'a>>,
}

/// An argument of a script.
pub(crate) enum Argument<'a> {
    Bytes(&'a [u8]),
    Number(u64),
}

impl<'a> From<&'a [u8]> for Argument<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a str> for Argument<'a> {
    fn from(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes())
    }
}

impl From<u64> for Argument<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl Invocation<'_> {
    /// For a server that has seen the script.
    pub(crate) fn by_digest(&self) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(&self.script.digest);
        self.complete(command)
    }

    /// For one that has not; it has from then on.
    pub(crate) fn by_text(&self) -> Cmd {
        let mut command = cmd("EVAL");
        command.arg(self.script.text);
        self.complete(command)
    }

    fn complete(&self, mut command: Cmd) -> Cmd {
        command.arg(self.keys.len()).arg(&self.keys);
        for argument in &self.arguments {
            match argument {
                Argument::Bytes(bytes) => command.arg(*bytes),
                Argument::Number(number) => command.arg(*number),
            };
        }
        command
    }
}
