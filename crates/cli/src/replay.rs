//! `coracle replay` and `coracle recording show`.
//!
//! In: a file that `coracle run --record` wrote. Out: on standard output the first call or byte that differs, or the recording as text.

use std::{
    fmt::Write as _,
    fs::DirBuilder,
    hash::RandomState,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, anyhow, bail};
use coracle_host::{
    observe::{
        Event, Message, Recording, file,
        value::{Encoded, show_bytes},
    },
    replay::Replayer,
};
use coracle_manifest::{Operator, operator};

use crate::args::Replay;

/// The recording cannot be run.
const CANNOT: u8 = 2;

/// Replays a recording; status 0 when nothing differs, 1 when something does, 2 when it cannot be run.
pub(crate) fn replay(args: &Replay) -> ExitCode {
    match run(args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(CANNOT)
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the difference is this command's result"
)]
fn run(args: &Replay) -> anyhow::Result<ExitCode> {
    let recording = file::read(&args.file)?;
    let component = component(args, &recording)?;
    let scratch = scratch()?;
    let replayer = Replayer::open(&args.state_dir, Path::new("/proc/self/exe"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let told = runtime.block_on(replayer.told(&recording, operator(args)?));
    for told in &told {
        eprintln!("{told}");
    }
    // A guest that writes finds what it found when it was recorded, every time.
    let writes = recording
        .directories
        .iter()
        .any(|directory| directory.writable);
    let mut rehearsal = None;
    for _ in 0..args.times {
        if writes || rehearsal.is_none() {
            scratch.empty()?;
            rehearsal =
                Some(replayer.rehearse(recording.clone(), &component, &told, &scratch.0)?);
        }
        let Some(rehearsal) = &rehearsal else {
            continue;
        };
        if let Some(difference) = runtime.block_on(rehearsal.run())? {
            println!("{difference}");
            return Ok(ExitCode::FAILURE);
        }
    }
    let often = if args.times == 1 {
        String::new()
    } else {
        format!(", {} times", args.times)
    };
    println!("same: every call and every byte{often}");
    Ok(ExitCode::SUCCESS)
}

/// The operator's file, when there is one: it says where secrets are.
fn operator(args: &Replay) -> anyhow::Result<Option<Operator>> {
    let default = Path::new("host.toml");
    let operator = match &args.host_file {
        Some(file) => operator::load(file),
        None if default.exists() => operator::load(default),
        None => return Ok(None),
    };
    operator.map(Some).map_err(|problems| anyhow!("{problems}"))
}

fn component(args: &Replay, recording: &Recording) -> anyhow::Result<Vec<u8>> {
    let Recording {
        component,
        source,
        digest,
        ..
    } = recording;
    if let Some(with) = &args.with {
        if with.component != *component {
            bail!(
                "the recording is of component {component}, not {}",
                with.component
            );
        }
        return std::fs::read(&with.file)
            .with_context(|| format!("reading {}", with.file.display()));
    }
    let bytes = std::fs::read(source).with_context(|| {
        format!("reading the recorded component {}\nhint: name another place: --with {component}=FILE.wasm", source.display())
    })?;
    if coracle_engine::digest(&bytes) != *digest {
        bail!(
            "{0} is not the component that was recorded\nhint: to compare it with the recorded one: --with {component}={0}",
            source.display()
        );
    }
    Ok(bytes)
}

/// A directory that goes with this process.
struct Scratch(PathBuf);

fn scratch() -> anyhow::Result<Scratch> {
    let name = format!(
        "coracle-replay-{:016x}",
        std::hash::BuildHasher::hash_one(&RandomState::new(), std::process::id())
    );
    let dir = std::env::temp_dir().join(name);
    DirBuilder::new()
        .mode(0o700)
        .create(&dir)
        .with_context(|| format!("creating {}", dir.display()))?;
    Ok(Scratch(dir))
}

impl Scratch {
    fn empty(&self) -> anyhow::Result<()> {
        let emptied = std::fs::remove_dir_all(&self.0)
            .and_then(|()| DirBuilder::new().mode(0o700).create(&self.0));
        emptied.with_context(|| format!("emptying {}", self.0.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Prints a recording.
#[expect(
    clippy::print_stdout,
    reason = "the recording is this command's result"
)]
pub(crate) fn show_file(path: &Path) -> anyhow::Result<ExitCode> {
    print!("{}", text(&file::read(path)?));
    Ok(ExitCode::SUCCESS)
}

fn text(recording: &Recording) -> String {
    let mut text = String::new();
    let Recording {
        app,
        component,
        digest,
        request,
        answered,
        ..
    } = recording;
    let short = digest.get(..16).unwrap_or(digest);
    let _ = writeln!(
        text,
        "{app}/{component} {short}  request {}",
        recording.request_id
    );
    if !recording.redacted.is_empty() {
        let _ = writeln!(text, "redacted: {}", recording.redacted.join(", "));
    }
    for cut in &recording.cut {
        let replays = if cut.prevents_replay() {
            "the recording does not replay"
        } else {
            "a replay compares what is there"
        };
        let _ = writeln!(text, "cut: {cut} did not fit; {replays}");
    }
    let _ = writeln!(text, "\n> {} {}", request.method, request.target);
    message(&mut text, '>', &request.message);
    for (number, event) in recording.events.iter().enumerate() {
        let resource = if event.resource.is_empty() {
            String::new()
        } else {
            format!(" {:?}", event.resource)
        };
        let _ = writeln!(
            text,
            "\n{}. {}{resource} {}",
            number + 1,
            event.capability,
            event.call.show()
        );
        streams(&mut text, event);
    }
    let reason = answered
        .reason
        .as_ref()
        .map_or(String::new(), |reason| format!("  ({reason})"));
    let _ = writeln!(text, "\n< {}{reason}", answered.status);
    message(&mut text, '<', &answered.message);
    if !answered.complete {
        let _ = writeln!(text, "< broken off");
    }
    text
}

/// The answer of a call, and what went and came beside it.
fn streams(text: &mut String, event: &Event) {
    let sent = event.streams.as_ref().map(|streams| &streams.sent);
    if let Some(sent) = sent.filter(|sent| !sent.is_empty()) {
        let _ = writeln!(text, "   > {}", show_bytes(sent));
    }
    let answer = event.answer.as_ref();
    let answer = answer.map_or_else(|| "none".into(), Encoded::show);
    let _ = writeln!(text, "   = {answer}");
    let Some(streams) = &event.streams else {
        return;
    };
    if !streams.received.is_empty() {
        let _ = writeln!(text, "   < {}", show_bytes(&streams.received));
    }
    if let Some(end) = &streams.end {
        let _ = writeln!(text, "   < {}", end.show());
    }
}

fn message(text: &mut String, side: char, message: &Message) {
    for (name, value) in &message.headers {
        let _ = writeln!(text, "{side} {name}: {}", value.escape_ascii());
    }
    if !message.body.is_empty() {
        let _ = writeln!(text, "{side} {}", show_bytes(&message.body));
    }
    for (name, value) in &message.trailers {
        let _ = writeln!(text, "{side} {name}: {} (trailer)", value.escape_ascii());
    }
}
