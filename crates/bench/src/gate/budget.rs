//! instructions.toml: what a request may cost. In: the file. Out: a profile per path of a request; and the file again after `--bless`.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;

use super::callgrind::Profile;

const HEAD: &str = "\
# What one request costs in instructions, by function, without what a function calls. Written by
#
#     cargo run --release -p coracle-bench -- gate --bless
#
# `coracle-bench gate` fails when the sum of a path rises by more than 3 %, and names what grew.
";

/// Functions below this share of an instruction count go into one line, `(less)`.
const SMALL: u64 = 20;
const LESS: &str = "(less)";

/// The budget of every path.
#[derive(Debug, Default)]
pub(crate) struct Budgets(BTreeMap<String, Profile>);

impl Budgets {
    /// The budgets in this file; none when there is no file yet.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = match fs::read_to_string(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            text => text.with_context(|| format!("reading {}", file.display()))?,
        };
        let paths: BTreeMap<String, BTreeMap<String, u64>> =
            toml::from_str(&text).with_context(|| format!("reading {}", file.display()))?;
        Ok(Self(
            paths
                .into_iter()
                .map(|(key, functions)| (key, Profile::new(functions)))
                .collect(),
        ))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Profile> {
        self.0.get(key)
    }

    pub(crate) fn set(&mut self, key: &str, profile: Profile) {
        self.0.insert(key.to_owned(), profile);
    }

    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let mut text = HEAD.to_owned();
        for (key, profile) in &self.0 {
            text += &format!("\n[{key}]\n");
            let mut functions: Vec<_> = profile.functions().iter().collect();
            functions.sort_by_key(|(_, cost)| std::cmp::Reverse(**cost));
            let mut less = 0;
            for (name, cost) in functions {
                if *cost < SMALL || name == LESS {
                    less += cost;
                } else {
                    text += &format!("{name:?} = {cost}\n");
                }
            }
            text += &format!("{LESS:?} = {less}\n");
        }
        fs::write(file, text).with_context(|| format!("writing {}", file.display()))
    }
}
