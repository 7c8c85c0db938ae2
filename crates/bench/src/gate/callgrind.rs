//! What callgrind writes. In: the text of its output file. Out: instructions per function, its own and not those of what it calls.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;

/// Instructions by function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    functions: BTreeMap<String, u64>,
}

impl Profile {
    /// As read from a budget.
    pub(crate) fn new(functions: BTreeMap<String, u64>) -> Self {
        Self { functions }
    }

    /// Reads the format that <https://valgrind.org/docs/manual/cl-format.html> describes, with one event, instructions.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut names: HashMap<&str, &str> = HashMap::new();
        let mut functions: BTreeMap<String, u64> = BTreeMap::new();
        let mut function = None;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(name) = line.strip_prefix("fn=") {
                function = Some(resolve(&mut names, name));
            } else if let Some(name) = line.strip_prefix("cfn=") {
                resolve(&mut names, name);
            } else if line.starts_with("calls=") {
                // What the called function cost is on the next line, and is counted where it is its own.
                lines.next();
            } else if line.starts_with(['+', '-', '*'])
                || line.starts_with(|c: char| c.is_ascii_digit())
            {
                let name = function.context("a cost before any function")?;
                let cost = line.split_whitespace().nth(1);
                let cost = cost.map_or(Ok(0), str::parse::<u64>);
                let cost = cost.with_context(|| format!("the cost in {line:?}"))?;
                *functions.entry(plain(name)).or_default() += cost;
            }
        }
        anyhow::ensure!(!functions.is_empty(), "the profile is empty");
        Ok(Self { functions })
    }

    /// All instructions.
    pub(crate) fn total(&self) -> u64 {
        self.functions.values().sum()
    }

    /// What this run cost and that one did not.
    pub(crate) fn less(mut self, short: &Self) -> Self {
        for (name, cost) in &mut self.functions {
            *cost = cost.saturating_sub(short.functions.get(name).copied().unwrap_or(0));
        }
        self
    }

    /// The share of one of so many requests.
    pub(crate) fn over(mut self, requests: u32) -> Self {
        self.functions
            .values_mut()
            .for_each(|cost| *cost /= u64::from(requests));
        self.functions.retain(|_, cost| *cost > 0);
        self
    }

    /// The functions in which most instructions are, a line each.
    pub(crate) fn largest(&self, count: usize) -> String {
        let mut all: Vec<_> = self.functions.iter().collect();
        all.sort_by_key(|(_, cost)| std::cmp::Reverse(**cost));
        let lines = all.into_iter().take(count);
        lines
            .map(|(name, cost)| format!("{cost:>8}  {name}\n"))
            .collect()
    }

    /// The functions that cost more than before, the one that grew most first.
    pub(crate) fn grown_since(&self, before: &Self) -> String {
        let grown = self.functions.iter().filter_map(|(name, cost)| {
            let before = before.functions.get(name).copied().unwrap_or(0);
            (*cost > before).then_some((cost - before, before, *cost, name))
        });
        let mut grown: Vec<_> = grown.collect();
        grown.sort_by_key(|(more, ..)| std::cmp::Reverse(*more));
        let lines = grown.into_iter().take(10);
        let lines =
            lines.map(|(more, before, now, name)| format!("  +{more} ({before} → {now}) {name}\n"));
        format!(
            "{} instructions, {} were allowed\n{}",
            self.total(),
            before.total(),
            lines.collect::<String>()
        )
    }

    /// By name.
    pub(crate) fn functions(&self) -> &BTreeMap<String, u64> {
        &self.functions
    }
}

/// `(7) name` the first time, `(7)` after that.
fn resolve<'a>(names: &mut HashMap<&'a str, &'a str>, written: &'a str) -> &'a str {
    match written.split_once(' ') {
        Some((id, name)) => {
            names.insert(id, name);
            name
        }
        None => names.get(written).copied().unwrap_or(written),
    }
}

/// Without what differs from run to run: recursion marks, hashes of monomorphisation, the addresses of compiled guests.
fn plain(name: &str) -> String {
    let name = name.split_once('\'').map_or(name, |(name, _)| name);
    if name.starts_with("0x") {
        return "code of the guest".into();
    }
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.chars().all(|c| c.is_ascii_hexdigit()) => {
            path.into()
        }
        _ => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "\
version: 1
events: Ir
positions: line

fl=(1) a.rs
fn=(1) alpha::h0123456789abcdef
10 5
+2 7
cfn=(2) beta
calls=3 40
* 900
fn=(2)
40 100
fn=(3) 0x000000000401a2c0
0 11
";

    #[test]
    fn counts_what_each_function_spends_itself() -> anyhow::Result<()> {
        let profile = Profile::parse(WRITTEN)?;
        let functions = [("alpha", 12), ("beta", 100), ("code of the guest", 11)];
        let functions = functions.map(|(name, cost)| (name.to_owned(), cost));
        assert_eq!(profile.functions(), &BTreeMap::from(functions));
        assert_eq!(profile.total(), 123);
        Ok(())
    }

    #[test]
    fn names_the_function_that_grew_most() -> anyhow::Result<()> {
        let before = Profile::parse(WRITTEN)?;
        let now = Profile::parse(&WRITTEN.replace("40 100", "40 180"))?;
        let said = now.grown_since(&before);
        assert!(said.contains("+80 (100 → 180) beta"), "{said}");
        assert!(!said.contains("alpha"), "{said}");
        Ok(())
    }

    #[test]
    fn one_request_is_the_difference_of_two_runs() -> anyhow::Result<()> {
        let short = Profile::parse(WRITTEN)?;
        let long = Profile::parse(&WRITTEN.replace("40 100", "40 700"))?;
        assert_eq!(
            long.less(&short).over(6).functions(),
            &BTreeMap::from([("beta".to_owned(), 100)])
        );
        Ok(())
    }
}
