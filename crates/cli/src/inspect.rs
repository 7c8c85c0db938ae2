//! `coracle inspect`. In: the file of a component. Out: on standard output what it is, or JSON; problems on standard error, status 1.

use std::{fmt::Write as _, path::Path, process::ExitCode};

use coracle_engine::Kind;
use coracle_host::inspect::Inspected;
use serde_json::json;

use crate::args::{Inspect, TextFormat};

#[expect(
    clippy::print_stdout,
    reason = "the description is this command's result"
)]
pub(crate) fn inspect(args: &Inspect) -> anyhow::Result<ExitCode> {
    let inspected = match Inspected::read(&args.file) {
        Ok(inspected) => inspected,
        Err(problems) => {
            eprintln!("{}", problems.render(false));
            return Ok(ExitCode::FAILURE);
        }
    };
    let name = component_name(&args.file);
    match args.format {
        TextFormat::Text => print!("{}", text(&inspected, &name)),
        TextFormat::Json => println!("{:#}", json(&inspected, &name)),
    }
    Ok(ExitCode::SUCCESS)
}

/// What the manifest would call it: the file's name, as far as it is a name.
fn component_name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let word = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9') => c,
        _ => '-',
    };
    let stem: String = stem.chars().map(word).take(63).collect();
    if coracle_manifest::name::ComponentName::parse(&stem).is_ok() {
        stem
    } else {
        "NAME".into()
    }
}

fn text(inspected: &Inspected, name: &str) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "component {name}: {} bytes", inspected.size_bytes);
    let _ = writeln!(text, "digest blake3:{}", inspected.digest);
    let (generation, engine) = generation(inspected.kind());
    let _ = writeln!(text, "WASI {generation}, on the {engine} engine");
    let modules = &inspected.anatomy.core_modules;
    let sizes: Vec<String> = modules.iter().map(ToString::to_string).collect();
    let _ = match modules.len() {
        0 => writeln!(text, "no core module"),
        1 => writeln!(text, "1 core module of {} bytes", sizes.concat()),
        n => writeln!(text, "{n} core modules of {} bytes", sizes.join(", ")),
    };
    let _ = match inspected.anatomy.components {
        0 => Ok(()),
        1 => writeln!(text, "1 component inside"),
        n => writeln!(text, "{n} components inside"),
    };
    for (field, tool, version) in &inspected.anatomy.producers {
        let _ = writeln!(
            text,
            "{}: {} {}",
            field.escape_debug(),
            tool.escape_debug(),
            version.escape_debug()
        );
    }
    let _ = writeln!(text, "\nworld {name} {{");
    for import in &inspected.described.imports {
        let _ = writeln!(text, "  import {};", import.escape_debug());
    }
    for export in &inspected.described.exports {
        let _ = writeln!(text, "  export {};", export.escape_debug());
    }
    let _ = writeln!(text, "}}");
    let unknown = inspected.unknown();
    if !unknown.is_empty() {
        let _ = writeln!(
            text,
            "\nno host answers these; link them to a component that exports them:"
        );
        for import in unknown {
            let _ = writeln!(text, "  {}", import.escape_debug());
        }
    }
    let block = inspected.grants_block(name);
    if block.is_empty() {
        let _ = writeln!(text, "\nit needs no grant");
        return text;
    }
    let _ = writeln!(text, "\n{block}");
    if !inspected.wanted_when_called().is_empty() {
        let _ = writeln!(
            text,
            "\nWithout the lines behind # it starts, and the calls they are for are refused; languages import what a program may not call."
        );
    }
    text
}

fn json(inspected: &Inspected, name: &str) -> serde_json::Value {
    let (generation, engine) = generation(inspected.kind());
    let producers = inspected.anatomy.producers.iter();
    let producers: Vec<_> = producers
        .map(|(field, tool, version)| json!({ "field": field, "name": tool, "version": version }))
        .collect();
    json!({
        "name": name,
        "size_bytes": inspected.size_bytes,
        "digest": format!("blake3:{}", inspected.digest),
        "wasi": generation,
        "engine": engine,
        "core_modules_bytes": inspected.anatomy.core_modules,
        "components_inside": inspected.anatomy.components,
        "producers": producers,
        "imports": inspected.described.imports,
        "exports": inspected.described.exports,
        "unknown_imports": inspected.unknown(),
        "grants_to_start": lines(inspected.wanted_at_start()),
        "grants_when_called": lines(inspected.wanted_when_called()),
    })
}

fn lines(wanted: impl IntoIterator<Item = coracle_host::inspect::Wanted>) -> Vec<&'static str> {
    wanted.into_iter().map(|wanted| wanted.line()).collect()
}

fn generation(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Sequential => ("0.2", "sequential"),
        Kind::Concurrent => ("0.3", "concurrent"),
    }
}
