//! docs/benchmarks.md: prose by hand, tables by this program. In: a name and a table. Out: the table between the markers of that name.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};

/// The root of the repository: figures belong to sources, so the sources are there.
pub(crate) fn repository() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or(here.clone(), PathBuf::from)
}

/// Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`.
pub(crate) fn write(name: &str, table: &str) -> anyhow::Result<()> {
    let path = repository().join("docs/benchmarks.md");
    let text = std::fs::read_to_string(&path).context("reading docs/benchmarks.md")?;
    let replaced = replace(&text, name, table).ok_or_else(|| {
        anyhow!("docs/benchmarks.md has no markers <!-- {name} --> and <!-- /{name} -->")
    })?;
    std::fs::write(&path, replaced).context("writing docs/benchmarks.md")
}

fn replace(text: &str, name: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(&format!("<!-- {name} -->"))?;
    let (_, after) = rest.split_once(&format!("<!-- /{name} -->"))?;
    Some(format!(
        "{before}<!-- {name} -->\n{}\n<!-- /{name} -->{after}",
        table.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_what_stands_between_its_markers() {
        let text = "a\n<!-- x -->\nold\n<!-- /x -->\nb <!-- y --><!-- /y -->";
        let new = replace(text, "x", "new\n").unwrap();
        assert_eq!(
            new,
            "a\n<!-- x -->\nnew\n<!-- /x -->\nb <!-- y --><!-- /y -->"
        );
        assert_eq!(replace(text, "z", "new"), None);
    }
}
