//! What an import takes of a component's grants, told without a component at hand: for `inspect` and `check`.
//!
//! In: the name of an import. Out: whether this host answers it, and which grant it is for. That linking does the same is asked of
//! every name here by a test.

use coracle_manifest::app::Grants;

use super::Import;
use crate::{config, secrets};

/// A key of a component's grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// `keyvalue`
    Keyvalue,
    /// `http`
    Http,
    /// `secrets`
    Secrets,
    /// `secrets` with `reveal`
    Reveal,
    /// `files`
    Files,
    /// `clock`
    Clock,
    /// `randomness`
    Randomness,
}

impl Wanted {
    /// An example of the line of `[component.NAME.grants]`; what is in upper case is to be filled in.
    pub fn line(self) -> &'static str {
        match self {
            Self::Keyvalue => super::KEYVALUE_LINE,
            Self::Http => r#"http = [{ host = "HOST", methods = ["GET"], path = "/*" }]"#,
            Self::Secrets => super::SECRETS_LINE,
            Self::Reveal => secrets::host::REVEAL_LINE,
            Self::Files => r#"files = [{ dir = "DIR", at = "/DIR", access = "read" }]"#,
            Self::Clock => "clock = true",
            Self::Randomness => "randomness = true",
        }
    }

    /// Whether these grants have it.
    pub fn is_in(self, grants: &Grants) -> bool {
        match self {
            Self::Keyvalue => !grants.keyvalue.is_empty(),
            Self::Http => !grants.http.is_empty(),
            Self::Secrets => !grants.secrets.is_empty(),
            Self::Reveal => grants.secrets.iter().any(|secret| secret.reveal),
            Self::Files => !grants.files.is_empty(),
            Self::Clock => grants.clock,
            Self::Randomness => grants.randomness,
        }
    }
}

/// What an import takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// No grant: mechanism, or what every component has.
    Nothing,
    /// A grant, or the app does not start.
    Start(Wanted),
    /// A grant, or its calls are refused: every language imports it, whether it calls it or not.
    Call(Wanted),
    /// No host of this version has it.
    Unknown,
}

/// What the import of this name takes.
pub fn need(name: &str) -> Need {
    let import = Import::parse(name);
    match (import.package, import.interface, import.version) {
        ("wasi:keyvalue", "store" | "atomics" | "batch", "0.2.0-draft" | "0.2.0-draft2") => {
            Need::Start(Wanted::Keyvalue)
        }
        ("coracle:secrets", "store", "0.1.0") | ("wasmcloud:secrets", "store", "0.1.0-draft") => {
            Need::Start(Wanted::Secrets)
        }
        ("coracle:secrets", "reveal", "0.1.0") | ("wasmcloud:secrets", "reveal", "0.1.0-draft") => {
            Need::Start(Wanted::Reveal)
        }
        ("wasi:config", "store", version) if config::VERSIONS.contains(&version) => Need::Nothing,
        ("wasi:logging", "logging", "0.1.0-draft" | "") => Need::Nothing,
        (package, interface, _) if import.is_release("0.2") => released(package, interface, P2),
        (package, interface, _) if import.is_release("0.3") => released(package, interface, P3),
        _ => Need::Unknown,
    }
}

type Released = &'static [(&'static str, &'static [&'static str])];

const P2: Released = &[
    ("wasi:io", &["error", "poll", "streams"]),
    (
        "wasi:cli",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:clocks", &["wall-clock", "monotonic-clock"]),
    ("wasi:filesystem", &["types", "preopens"]),
    ("wasi:random", &["random", "insecure", "insecure-seed"]),
    (
        "wasi:sockets",
        &[
            "instance-network",
            "network",
            "ip-name-lookup",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
    ("wasi:http", &["types", "outgoing-handler"]),
];

const P3: Released = &[
    (
        "wasi:cli",
        &[
            "types",
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:clocks", &["types", "system-clock", "monotonic-clock"]),
    ("wasi:filesystem", &["types", "preopens"]),
    ("wasi:random", &["random", "insecure", "insecure-seed"]),
    ("wasi:sockets", &["types", "ip-name-lookup"]),
    ("wasi:http", &["types", "client"]),
];

fn released(package: &str, interface: &str, known: Released) -> Need {
    let interfaces = known.iter().find(|(known, _)| *known == package);
    if !interfaces.is_some_and(|(_, interfaces)| interfaces.contains(&interface)) {
        return Need::Unknown;
    }
    match (package, interface) {
        ("wasi:clocks", "wall-clock" | "system-clock" | "monotonic-clock") => {
            Need::Call(Wanted::Clock)
        }
        ("wasi:random", "random") => Need::Call(Wanted::Randomness),
        ("wasi:http", "outgoing-handler" | "client") => Need::Call(Wanted::Http),
        ("wasi:filesystem", "preopens") => Need::Call(Wanted::Files),
        _ => Need::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::component::Component;

    use super::*;
    use crate::{Authority, LinkError, link};

    /// A component whose one import is an interface without functions (Component Model, `Binary.md`).
    fn importing(name: &str) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        bytes.extend([7, 3, 1, 0x42, 0]);
        let length = u8::try_from(name.len()).unwrap();
        bytes.extend([10, length + 5, 1, 0, length]);
        bytes.extend(name.bytes());
        bytes.extend([5, 0]);
        bytes
    }

    fn linked(engine: &wasmtime::Engine, name: &str) -> Result<(), Vec<LinkError>> {
        let component = Component::new(engine, importing(name)).unwrap();
        // Without these grants such an import is answered by refusals, whatever its version.
        let authority = Authority {
            clock: true,
            randomness: true,
            ..Authority::default()
        };
        link(&component, &authority).map(drop)
    }

    #[test]
    fn what_is_told_of_an_import_is_what_linking_does_with_it() {
        let mut config = wasmtime::Config::new();
        config.wasm_component_model_async(true);
        let engine = wasmtime::Engine::new(&config).unwrap();
        let mut names: Vec<String> = [
            "wasi:keyvalue/store@0.2.0-draft",
            "wasi:keyvalue/atomics@0.2.0-draft2",
            "wasi:keyvalue/batch@0.2.0-draft",
            "wasi:keyvalue/store@0.3.0",
            "coracle:secrets/store@0.1.0",
            "coracle:secrets/reveal@0.1.0",
            "wasmcloud:secrets/store@0.1.0-draft",
            "wasmcloud:secrets/reveal@0.1.0-draft",
            "wasi:config/store@0.2.0-rc.1",
            "wasi:config/runtime@0.2.0-draft-2024-09-27",
            "wasi:config/store@0.2.0-draft-2024-09-27",
            "wasi:logging/logging",
            "wasi:logging/logging@0.1.0-draft",
            "wasi:blobstore/blobstore@0.2.0-draft",
            "wasi:clocks/timezone@0.2.0",
            "wasi:http/types@0.2.0-draft",
            "shop:auth/tokens@1.0.0",
        ]
        .map(str::to_owned)
        .into();
        // Those of one generation in the version of the other too.
        for version in ["0.2.3", "0.3.0"] {
            for (package, interfaces) in P2.iter().chain(P3) {
                let name = |interface: &&str| format!("{package}/{interface}@{version}");
                names.extend(interfaces.iter().map(name));
            }
        }
        for name in names {
            match (need(&name), linked(&engine, &name)) {
                (Need::Nothing | Need::Call(_), Ok(())) => {}
                (Need::Start(Wanted::Reveal), Err(errors)) => assert!(
                    matches!(errors[..], [LinkError::NotGranted { .. }]),
                    "{name}: {errors:?}"
                ),
                (Need::Start(wanted), Err(errors)) => assert!(
                    matches!(errors[..], [LinkError::NotGranted { line, .. }] if line == wanted.line()),
                    "{name}: {errors:?}"
                ),
                (Need::Unknown, Err(errors)) => assert!(
                    matches!(errors[..], [LinkError::UnknownImport { .. }]),
                    "{name}: {errors:?}"
                ),
                (need, done) => panic!("{name}: told {need:?}, and linking did {done:?}"),
            }
        }
    }

    #[test]
    fn what_its_calls_need_is_told() {
        assert_eq!(need("wasi:http/client@0.3.0"), Need::Call(Wanted::Http));
        assert_eq!(
            need("wasi:http/outgoing-handler@0.2.9"),
            Need::Call(Wanted::Http)
        );
        assert_eq!(
            need("wasi:clocks/wall-clock@0.2.0"),
            Need::Call(Wanted::Clock)
        );
        assert_eq!(
            need("wasi:random/random@0.3.0"),
            Need::Call(Wanted::Randomness)
        );
        assert_eq!(need("wasi:random/insecure-seed@0.2.0"), Need::Nothing);
        assert_eq!(
            need("wasi:filesystem/preopens@0.2.0"),
            Need::Call(Wanted::Files)
        );
    }
}
