//! What a component is and what it would need here, from its file alone.
//!
//! In: a file. Out: its imports and exports, what is inside it, and the grants it would need, ready to paste. Nothing is compiled, and
//! nothing of it runs.

use std::{collections::BTreeSet, path::Path};

pub use coracle_capability::link::Wanted;
use coracle_capability::link::{Need, need};
use coracle_engine::{Anatomy, Described, Kind, anatomy, describe, digest};
use coracle_manifest::Problems;

use crate::{
    load::MAX_COMPONENT_BYTES,
    refusal::{self, Unread},
};

/// A component as its file tells it.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// Size of the file.
    pub size_bytes: usize,
    /// BLAKE3 of the file, as the node names it.
    pub digest: String,
    /// The names of its imports and exports.
    pub described: Described,
    /// What is inside.
    pub anatomy: Anatomy,
}

impl Inspected {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no component.
    pub fn read(file: &Path) -> Result<Self, Problems> {
        let bytes =
            bytes(file).map_err(|unread| Problems::from(refusal::unread_file(file, &unread)))?;
        Self::of(&bytes).map_err(|error| refusal::no_component(file, &error).into())
    }

    fn of(bytes: &[u8]) -> Result<Self, coracle_engine::ReadError> {
        Ok(Self {
            size_bytes: bytes.len(),
            digest: digest(bytes),
            described: describe(bytes)?,
            anatomy: anatomy(bytes)?,
        })
    }

    /// The generation of WASI, which decides the engine.
    pub fn kind(&self) -> Kind {
        self.described.kind()
    }

    /// What each import takes, in the order of the file.
    pub fn needs(&self) -> impl Iterator<Item = (&str, Need)> {
        let imports = self.described.imports.iter();
        imports.map(|name| (name.as_str(), need(name)))
    }

    /// The keys of grants without which it does not start.
    pub fn wanted_at_start(&self) -> BTreeSet<Wanted> {
        self.needs()
            .filter_map(|(_, need)| match need {
                Need::Start(wanted) => Some(wanted),
                _ => None,
            })
            .collect()
    }

    /// The keys of grants without which some of its calls are refused.
    pub fn wanted_when_called(&self) -> BTreeSet<Wanted> {
        self.needs()
            .filter_map(|(_, need)| match need {
                Need::Call(wanted) => Some(wanted),
                _ => None,
            })
            .collect()
    }

    /// The imports that no host of this version has: another component has to answer them.
    pub fn unknown(&self) -> Vec<&str> {
        let unknown = self.needs().filter(|(_, need)| *need == Need::Unknown);
        unknown.map(|(name, _)| name).collect()
    }

    /// `[component.NAME.grants]` with the lines it needs, and behind `#` those it may need; empty when it needs nothing.
    pub fn grants_block(&self, name: &str) -> String {
        let lines = |wanted: BTreeSet<Wanted>| -> Vec<&str> {
            // The right to reveal is said in the line of the secret.
            let reveals = wanted.contains(&Wanted::Reveal);
            let said = wanted.into_iter();
            let said = said.filter(|wanted| !(reveals && *wanted == Wanted::Secrets));
            said.map(Wanted::line).collect()
        };
        let (start, call) = (
            lines(self.wanted_at_start()),
            lines(self.wanted_when_called()),
        );
        if start.is_empty() && call.is_empty() {
            return String::new();
        }
        let mut block = vec![format!("[component.{name}.grants]")];
        block.extend(start.into_iter().map(str::to_owned));
        block.extend(call.into_iter().map(|line| format!("# {line}")));
        block.join("\n")
    }
}

/// The bytes of a component's file.
pub(crate) fn bytes(file: &Path) -> Result<Vec<u8>, Unread> {
    let metadata = std::fs::metadata(file)?;
    if metadata.len() > MAX_COMPONENT_BYTES {
        return Err(Unread::TooLarge {
            limit_bytes: MAX_COMPONENT_BYTES,
        });
    }
    Ok(std::fs::read(file)?)
}
