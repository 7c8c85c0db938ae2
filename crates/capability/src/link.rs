//! Gives a component exactly what its grants say: the one place where imports meet authority.
//!
//! In: a component and what it may do. Out: something that can be instantiated per request, or every import that cannot be
//! answered, each with the line to add. Each import is linked on its own, so a component gets nothing it does not import.

mod need;
mod p2;
mod p3;
mod refusal;

use thiserror::Error;
use wasmtime::component::{InstancePre, Linker};

use crate::{
    config,
    guest::Guest,
    keyvalue::{self, Buckets},
    logging,
    secrets::{self, Keyring},
};

pub use need::{Need, Wanted, need};
pub use refusal::NotGranted;

/// What one component may do, as far as linking decides it.
#[derive(Clone, Default)]
pub struct Authority {
    /// For messages.
    pub component: String,
    /// The buckets it may open.
    pub buckets: Buckets,
    /// The secrets it may hold.
    pub secrets: Keyring,
    /// Its configuration.
    pub config: config::Values,
    /// Clocks and timers.
    pub clock: bool,
    /// Cryptographic randomness.
    pub randomness: bool,
}

/// Why a component cannot be linked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LinkError {
    /// Nobody answers to this import.
    #[error("import {import} is not known to this host")]
    UnknownImport {
        /// As the component names it.
        import: String,
        /// An import this host knows that is near.
        nearest: Option<String>,
    },
    /// A capability without a grant.
    #[error("import {import} needs a grant")]
    NotGranted {
        /// As the component names it.
        import: String,
        /// The line of the component's grants that would allow it.
        line: &'static str,
    },
    /// A known name with another type than this host's.
    #[error("{0}")]
    Mismatch(String),
}

/// Links a component, or says everything that prevents it.
///
/// # Errors
/// Every import without an answer; see [`LinkError`].
pub fn link(
    component: &wasmtime::component::Component,
    authority: &Authority,
) -> Result<InstancePre<Guest>, Vec<LinkError>> {
    let mut linker = Linker::<Guest>::new(component.engine());
    let mut errors = Vec::new();
    for (name, _) in component.component_type().imports(component.engine()) {
        let import = Import::parse(name);
        match link_import(&mut linker, component, &import, authority) {
            Ok(Linked::Yes) => {}
            Ok(Linked::Unknown) => {
                errors.push(LinkError::UnknownImport {
                    import: name.into(),
                    nearest: nearest(&import),
                });
            }
            Ok(Linked::NotGranted(line)) => errors.push(LinkError::NotGranted {
                import: name.into(),
                line,
            }),
            Err(error) => errors.push(LinkError::Mismatch(format!("{error:#}"))),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    linker
        .instantiate_pre(component)
        .map_err(|error| vec![LinkError::Mismatch(format!("{error:#}"))])
}

/// What became of one import.
enum Linked {
    Yes,
    Unknown,
    NotGranted(&'static str),
}

impl From<bool> for Linked {
    fn from(known: bool) -> Self {
        if known { Linked::Yes } else { Linked::Unknown }
    }
}

/// `wasi:http/types@0.2.3`: package, interface, version.
struct Import<'a> {
    name: &'a str,
    package: &'a str,
    interface: &'a str,
    version: &'a str,
}

impl<'a> Import<'a> {
    fn parse(name: &'a str) -> Self {
        let (path, version) = name.split_once('@').unwrap_or((name, ""));
        let (package, interface) = path.split_once('/').unwrap_or((path, ""));
        Self {
            name,
            package,
            interface,
            version,
        }
    }

    /// A released 0.2 or 0.3: `0.2.0-draft` is neither.
    fn is_release(&self, line: &str) -> bool {
        let patch = self
            .version
            .strip_prefix(line)
            .and_then(|rest| rest.strip_prefix('.'));
        patch.is_some_and(|patch| {
            !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit())
        })
    }
}

const SECRETS_LINE: &str = r#"secrets = [{ name = "NAME" }]"#;
const KEYVALUE_LINE: &str =
    r#"keyvalue = [{ bucket = "NAME", as = "default", access = "read-write" }]"#;

fn link_import(
    linker: &mut Linker<Guest>,
    component: &wasmtime::component::Component,
    import: &Import<'_>,
    authority: &Authority,
) -> wasmtime::Result<Linked> {
    match (import.package, import.version) {
        ("wasi:keyvalue", "0.2.0-draft" | "0.2.0-draft2") if authority.buckets.is_empty() => {
            Ok(Linked::NotGranted(KEYVALUE_LINE))
        }
        ("wasi:keyvalue", "0.2.0-draft") => {
            let buckets = authority.buckets.clone();
            Ok(keyvalue::host::draft::link(
                linker,
                import.interface,
                import.name,
                buckets,
                Guest::handles,
            )?
            .into())
        }
        ("wasi:keyvalue", "0.2.0-draft2") => {
            let buckets = authority.buckets.clone();
            Ok(keyvalue::host::draft2::link(
                linker,
                import.interface,
                import.name,
                buckets,
                Guest::handles,
            )?
            .into())
        }
        ("coracle:secrets" | "wasmcloud:secrets", _) if authority.secrets.is_empty() => {
            Ok(Linked::NotGranted(SECRETS_LINE))
        }
        ("coracle:secrets" | "wasmcloud:secrets", _)
            if import.interface == "reveal" && !authority.secrets.reveals() =>
        {
            Ok(Linked::NotGranted(secrets::host::REVEAL_LINE))
        }
        ("coracle:secrets", "0.1.0") => {
            let secrets = authority.secrets.clone();
            Ok(secrets::host::own::link(
                linker,
                import.interface,
                import.name,
                secrets,
                Guest::handles,
            )?
            .into())
        }
        ("wasmcloud:secrets", "0.1.0-draft") => {
            let secrets = authority.secrets.clone();
            Ok(secrets::host::wasmcloud::link(
                linker,
                import.interface,
                import.name,
                secrets,
                Guest::handles,
            )?
            .into())
        }
        ("wasi:config", version)
            if config::VERSIONS.contains(&version) && import.interface == "store" =>
        {
            let values = authority.config.clone();
            config::host::link(linker, import.name, values, Guest::handles)?;
            Ok(Linked::Yes)
        }
        ("wasi:logging", "0.1.0-draft" | "") if import.interface == "logging" => {
            logging::host::link(linker, import.name, Guest::voice)?;
            Ok(Linked::Yes)
        }
        _ if refusal::is_withheld(import, authority) => {
            refusal::link(linker, component, import, authority)
        }
        _ if import.is_release("0.2") => p2::link(linker, import),
        _ if import.is_release("0.3") => p3::link(linker, import),
        _ => Ok(Linked::Unknown),
    }
}

fn nearest(import: &Import<'_>) -> Option<String> {
    let known = match import.package {
        "wasi:keyvalue" => "wasi:keyvalue/{store,atomics,batch}@0.2.0-draft or @0.2.0-draft2",
        "wasi:config" => "wasi:config/store@0.2.0-rc.1 or @0.2.0-draft-2024-09-27",
        "wasi:logging" => "wasi:logging/logging@0.1.0-draft",
        "wasi:http" | "wasi:cli" | "wasi:clocks" | "wasi:filesystem" | "wasi:random"
        | "wasi:sockets" => "WASI 0.2.x and 0.3.x",
        "wasi:io" => "WASI 0.2.x",
        _ => return None,
    };
    Some(known.to_string())
}
