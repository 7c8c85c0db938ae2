//! What a file is, before anything is compiled.
//!
//! In: bytes. Out: the names a component imports and exports and the engine it needs, or why it is not a component.
//! Only the outermost level is read; validation is the compiler's.

use thiserror::Error;
use wasmparser::{Chunk, Encoding, Parser, Payload};

use crate::profile::Kind;

/// A component as seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Import names, as `wasi:http/types@0.2.3`.
    pub imports: Vec<String>,
    /// Export names.
    pub exports: Vec<String>,
}

impl Described {
    /// The engine this component needs. A component has a 0.3 part when it names an interface of WASI 0.3.
    pub fn kind(&self) -> Kind {
        let concurrent = |name: &String| name.starts_with("wasi:") && name.contains("@0.3.");
        if self.imports.iter().chain(&self.exports).any(concurrent) {
            Kind::Concurrent
        } else {
            Kind::Sequential
        }
    }
}

/// Why a file cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// Something else altogether.
    #[error("not WebAssembly: it does not begin with the bytes 00 61 73 6d")]
    NotWebAssembly,
    /// A core module.
    #[error("a core module, not a component")]
    CoreModule,
    /// Damaged.
    #[error("not a well-formed component: {0}")]
    Malformed(String),
}

/// Reads the outermost level of a component.
///
/// # Errors
/// See [`ReadError`].
pub fn describe(bytes: &[u8]) -> Result<Described, ReadError> {
    if !bytes.starts_with(b"\0asm") {
        return Err(ReadError::NotWebAssembly);
    }
    let mut described = Described {
        imports: Vec::new(),
        exports: Vec::new(),
    };
    let mut parser = Parser::new(0);
    let mut rest = bytes;
    loop {
        let (payload, consumed) = match parser.parse(rest, true).map_err(malformed)? {
            Chunk::Parsed { payload, consumed } => (payload, consumed),
            Chunk::NeedMoreData(_) => return Err(ReadError::Malformed("it ends too early".into())),
        };
        rest = rest.get(consumed..).unwrap_or_default();
        match payload {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } => return Err(ReadError::CoreModule),
            Payload::ComponentImportSection(section) => {
                for import in section {
                    described
                        .imports
                        .push(import.map_err(malformed)?.name.name.to_string());
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    described
                        .exports
                        .push(export.map_err(malformed)?.name.name.to_string());
                }
            }
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } => {
                rest = rest
                    .get(unchecked_range.len()..)
                    .ok_or_else(|| ReadError::Malformed("it ends too early".into()))?;
            }
            Payload::End(_) => return Ok(described),
            _ => {}
        }
    }
}

pub(crate) fn malformed(error: wasmparser::BinaryReaderError) -> ReadError {
    ReadError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_core_module_from_a_component() {
        assert_eq!(describe(b"\0asm\x01\0\0\0"), Err(ReadError::CoreModule));
        assert_eq!(
            describe(b"\0asm\x0d\0\x01\0"),
            Ok(Described {
                imports: vec![],
                exports: vec![]
            })
        );
    }

    #[test]
    fn refuses_what_is_not_webassembly() {
        assert_eq!(describe(b"#!/bin/sh"), Err(ReadError::NotWebAssembly));
        assert_eq!(describe(b""), Err(ReadError::NotWebAssembly));
    }

    #[test]
    fn refuses_a_truncated_component() {
        assert!(matches!(
            describe(b"\0asm\x0d\0\x01\0\x0a\x20"),
            Err(ReadError::Malformed(_))
        ));
    }

    #[test]
    fn puts_a_component_with_a_wasi_0_3_part_on_the_concurrent_engine() {
        let described = |import: &str| Described {
            imports: vec![import.into()],
            exports: vec![],
        };
        assert_eq!(described("wasi:http/types@0.3.0").kind(), Kind::Concurrent);
        assert_eq!(described("wasi:http/types@0.2.3").kind(), Kind::Sequential);
        assert_eq!(described("shop:auth/tokens@0.3.0").kind(), Kind::Sequential);
    }
}
