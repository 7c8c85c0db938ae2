//! Every message a person can see, as a file beside what causes it: `ui/CASE.toml` and `ui/CASE.err`.
//!
//! The first line may direct the case: `# profile: NAME`, `# read: host` (an operator's file), `# read: lines` (each line a
//! `--grant`), `# host: FILE` (ask that operator's file too), `# beside: FILE` (together with that app). `UPDATE=1` rewrites.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::{fs, path::Path};

use coracle_manifest::{Problems, grants_from_lines, load, operator, route};

const FOLDER: &str = "tests/ui";

#[test]
fn every_message_is_the_golden_one() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut differ = Vec::new();
    for case in cases() {
        let said = said(&case);
        let golden = case.replace(".toml", ".err");
        if update {
            fs::write(&golden, &said).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != said {
            differ.push(format!("{golden} should be\n{said}"));
        }
    }
    assert!(
        differ.is_empty(),
        "{}\n`UPDATE=1` rewrites the goldens; read the difference",
        differ.join("\n")
    );
}

/// The goldens' own bytes, changed in a fixed pseudo-random way: a message or an app, never a panic.
#[test]
fn no_text_makes_the_reader_panic() {
    let folder = std::env::temp_dir().join(format!("coracle-manifest-{}", std::process::id()));
    fs::create_dir_all(folder.join("etc")).unwrap();
    fs::write(folder.join("a.wasm"), "").unwrap();
    let texts: Vec<Vec<u8>> = cases().iter().map(|case| fs::read(case).unwrap()).collect();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for round in 0..4000 {
        let text = mutated(&texts[round % texts.len()], &mut random);
        let file = folder.join("coracle.toml");
        fs::write(&file, &text).unwrap();
        if let Err(problems) = load(&file, Some("test")) {
            assert!(!problems.is_empty());
            assert!(!problems.render(round % 2 == 0).is_empty());
        }
        let _ = operator::load(&file).map_err(|problems| problems.render(false));
        let _ = grants_from_lines(&[String::from_utf8_lossy(&text).into_owned()])
            .map_err(|problems| problems.render(false));
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_manifest_that_is_not_there_is_told_from_a_folder_without_one() {
    let said = |path: &str| load(Path::new(path), None).unwrap_err().to_string();
    assert_eq!(
        said("tests/ui/etc"),
        "error[missing-manifest]: this folder has no coracle.toml\n--> tests/ui/etc/coracle.toml\n = \
         fix: name the folder of an app, or make one: `coracle new NAME`"
    );
    assert_eq!(
        said("tests/ui/absent"),
        "error[missing-manifest]: there is no such file or folder\n--> tests/ui/absent\n = \
         fix: name the folder that holds coracle.toml"
    );
    assert_eq!(
        said("/dev/null"),
        "error[unreadable]: this is not a regular file\n--> /dev/null\n = \
         fix: name a file, or the folder that holds coracle.toml"
    );
}

#[test]
fn a_file_too_large_to_be_a_manifest_is_not_read() {
    let file = std::env::temp_dir().join(format!("coracle-large-{}.toml", std::process::id()));
    fs::write(&file, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    let said = load(&file, None).unwrap_err().to_string();
    fs::remove_file(&file).unwrap();
    assert!(
        said.starts_with("error[too-large]: the file is larger than 1 MiB\n"),
        "{said}"
    );
}

fn cases() -> Vec<String> {
    let entries = fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut cases: Vec<String> = entries
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    cases.retain(|path| path.ends_with(".toml"));
    cases.sort();
    cases
}

fn said(case: &str) -> String {
    let bytes = fs::read(case).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let first = text.lines().next().unwrap_or_default();
    let directive = first
        .strip_prefix("# ")
        .and_then(|line| line.split_once(": "))
        .unwrap_or_default();
    let path = Path::new(case);
    let result = match directive {
        ("read", "host") => operator::load(path).map(drop),
        ("read", "lines") => {
            grants_from_lines(&text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>())
                .map(drop)
        }
        ("profile", profile) => load(path, Some(profile)).map(drop),
        ("host", file) => permitted(path, &Path::new(FOLDER).join(file)),
        ("beside", other) => beside(path, &Path::new(FOLDER).join(other)),
        _ => load(path, None).map(drop),
    };
    match result {
        Ok(()) => "no problem\n".to_owned(),
        Err(problems) => format!("{problems}\n"),
    }
}

fn permitted(manifest: &Path, host: &Path) -> Result<(), Problems> {
    operator::load_if_present(host)?.permits(&load(manifest, None)?)
}

fn beside(one: &Path, other: &Path) -> Result<(), Problems> {
    route::conflicts_between(&[load(one, None)?, load(other, None)?])
}

fn mutated(text: &[u8], random: &mut Random) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(text.len() + 1);
        let end = (at + random.below(12)).min(text.len());
        let piece: &[u8] = [
            &b"["[..],
            b"]",
            b"{",
            b"}",
            b"=",
            b"\"",
            b".",
            b"\n",
            b"'''",
            b"\xc3\xa9",
            b"\xff",
            b"\r",
            b"\0",
            b"[[",
        ][random.below(14)];
        match random.below(4) {
            0 => drop(text.drain(at..end)),
            1 => drop(text.splice(at..at, piece.iter().copied())),
            2 => drop(text.splice(at..end, piece.iter().copied())),
            _ => {
                let copied = text[at..end].to_vec();
                let to = random.below(text.len() + 1);
                text.splice(to..to, copied);
            }
        }
    }
    text
}

/// xorshift64: the same sequence in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
