//! What a component is made of, for a person: sizes and producers at every depth.
//!
//! In: the bytes of a component. Out: counts, sizes and who made it. What it imports and exports is told in `read`.

use std::{collections::BTreeSet, ops::Range};

use wasmparser::{Encoding, KnownCustom, Parser, Payload, ProducersSectionReader};

use crate::read::{ReadError, malformed};

/// More producers than these are not told; a file may claim any number.
const MOST_PRODUCERS: usize = 64;

/// What is inside a component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Anatomy {
    /// Sizes of its core modules in bytes, in the order of the file; those of components inside it too.
    pub core_modules: Vec<usize>,
    /// Components inside it, at every depth.
    pub components: usize,
    /// Who says to have made it, sorted: language, tool or SDK; name; version. Texts of the file's own choosing.
    pub producers: BTreeSet<(String, String, String)>,
}

/// Reads every level of a component.
///
/// # Errors
/// See [`ReadError`].
pub fn anatomy(bytes: &[u8]) -> Result<Anatomy, ReadError> {
    if !bytes.starts_with(b"\0asm") {
        return Err(ReadError::NotWebAssembly);
    }
    let mut anatomy = Anatomy::default();
    let mut outermost = true;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::Version { encoding, .. } if outermost => {
                outermost = false;
                if encoding == Encoding::Module {
                    return Err(ReadError::CoreModule);
                }
            }
            Payload::ModuleSection {
                unchecked_range, ..
            } => {
                whole(bytes, &unchecked_range)?;
                anatomy.core_modules.push(unchecked_range.len());
            }
            Payload::ComponentSection {
                unchecked_range, ..
            } => {
                whole(bytes, &unchecked_range)?;
                anatomy.components += 1;
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Producers(producers) = section.as_known() {
                    anatomy.produced_by(producers)?;
                }
            }
            _ => {}
        }
    }
    Ok(anatomy)
}

/// The parser goes into a section that ends behind the file, and tells nothing of its end.
fn whole(bytes: &[u8], section: &Range<usize>) -> Result<(), ReadError> {
    match bytes.get(section.clone()) {
        Some(_) => Ok(()),
        None => Err(ReadError::Malformed("it ends too early".into())),
    }
}

impl Anatomy {
    fn produced_by(&mut self, producers: ProducersSectionReader<'_>) -> Result<(), ReadError> {
        for field in producers {
            let field = field.map_err(malformed)?;
            for value in field.values {
                let value = value.map_err(malformed)?;
                if self.producers.len() < MOST_PRODUCERS {
                    self.producers.insert((
                        field.name.into(),
                        value.name.into(),
                        value.version.into(),
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        [&[id, length], content].concat()
    }

    #[test]
    fn counts_modules_and_components_at_every_depth() {
        let inner = [HEADER, &section(1, MODULE)].concat();
        let bytes = [HEADER, &section(1, MODULE), &section(4, &inner)].concat();
        let anatomy = anatomy(&bytes).unwrap();
        assert_eq!(anatomy.core_modules, [8, 8]);
        assert_eq!(anatomy.components, 1);
    }

    #[test]
    fn tells_producers_of_modules_inside_once() {
        let producers = b"\x09producers\x01\x08language\x01\x04Rust\x041.95";
        let module = [MODULE, &section(0, producers)].concat();
        let bytes = [HEADER, &section(1, &module), &section(1, &module)].concat();
        let expected = ("language".into(), "Rust".into(), "1.95".into());
        assert_eq!(
            anatomy(&bytes).unwrap().producers,
            BTreeSet::from([expected])
        );
    }

    #[test]
    fn a_core_module_and_what_is_cut_off_have_no_anatomy() {
        assert_eq!(anatomy(MODULE), Err(ReadError::CoreModule));
        assert_eq!(anatomy(b"#!"), Err(ReadError::NotWebAssembly));
        let cut = [HEADER, &[1, 20], MODULE].concat();
        assert!(matches!(anatomy(&cut), Err(ReadError::Malformed(_))));
    }
}
