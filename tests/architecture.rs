//! Every arrow between our crates is drawn in ARCHITECTURE.md, in the fenced block of lines `crate: crates it may use`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is how a test fails, in its helpers too"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use cargo_metadata::{DependencyKind, MetadataCommand};
use coracle_testkit::repository;

type Arrows = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_arrow_between_crates_is_drawn() {
    let (drawn, real) = (drawn(), real());
    let mut wrong = Vec::new();
    for (room, used) in &real {
        let Some(allowed) = drawn.get(room) else {
            wrong.push(format!("{room} is not in ARCHITECTURE.md"));
            continue;
        };
        for other in used.difference(allowed) {
            wrong.push(format!("{room} uses {other}, and no arrow leads there"));
        }
    }
    for room in drawn.keys().filter(|room| !real.contains_key(*room)) {
        wrong.push(format!("ARCHITECTURE.md draws {room}, which is no crate"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_arrow_leads_in_a_circle() {
    let drawn = drawn();
    let mut settled = BTreeSet::new();
    while settled.len() < drawn.len() {
        let next = drawn.iter().find(|(room, used)| {
            !settled.contains(*room) && used.iter().all(|other| settled.contains(other))
        });
        let Some((room, _)) = next else {
            let rest: Vec<_> = drawn
                .keys()
                .filter(|room| !settled.contains(*room))
                .collect();
            panic!("these use each other, or what is not drawn: {rest:?}");
        };
        settled.insert(room.clone());
    }
}

/// What the document draws.
fn drawn() -> Arrows {
    let path = repository().join("ARCHITECTURE.md");
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let blocks: Vec<Arrows> = text
        .split("```")
        .skip(1)
        .step_by(2)
        .filter_map(block)
        .collect();
    assert_eq!(
        blocks.len(),
        1,
        "ARCHITECTURE.md has one fenced block of arrows, each line `crate: crates it may use`"
    );
    blocks.into_iter().next().unwrap()
}

/// A block in which every line is `crate: crates`; the first line is the fence's language.
fn block(text: &str) -> Option<Arrows> {
    let lines = text.split_once('\n')?.1.lines();
    let lines = lines
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty());
    let arrows: Option<Arrows> = lines
        .map(|line| {
            let (room, used) = line.split_once(':')?;
            let is_name = |name: &str| {
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            };
            let used: BTreeSet<String> = used.split_whitespace().map(str::to_owned).collect();
            let all_names = is_name(room) && used.iter().all(|name| is_name(name));
            all_names.then(|| (room.to_owned(), used))
        })
        .collect();
    arrows.filter(|arrows| !arrows.is_empty())
}

/// What the crates do. What only tests use is no arrow, and `tests` is no room.
fn real() -> Arrows {
    let metadata = MetadataCommand::new()
        .manifest_path(repository().join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let room = |name: &str| name.strip_prefix("coracle-").map(str::to_owned);
    let arrows = metadata.packages.iter().filter_map(|package| {
        let used = package.dependencies.iter();
        let used = used
            .filter(|dependency| dependency.kind != DependencyKind::Development)
            .filter_map(|dependency| room(&dependency.name))
            .collect();
        Some((room(&package.name)?, used))
    });
    arrows.filter(|(room, _)| room != "tests").collect()
}
