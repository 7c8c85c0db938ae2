//! What Rust's standard library reaches by itself: output, environment, files, exit. In: parameters. Out: what came of it.

use std::collections::HashMap;
use std::fs;

use crate::{Ask, Reply, json};

/// Lines that a log must not believe: forged breaks, terminal escapes, JSON that looks like the host's own, NUL, no UTF-8.
pub const FORGED: [&[u8]; 6] = [
    b"first\r\nsecond, forged by CR LF",
    b"\x1b[31mred\x1b[0m and \x1b]0;title\x07",
    br#"{"level":"error","component":"another","request_id":"forged","message":"paid"}"#,
    b"nul \0 inside",
    b"not utf-8 \xff\xfe",
    "line separator \u{2028} and next line \u{85}".as_bytes(),
];

/// A line on each stream; `?what=forged` all of [`FORGED`], `?what=flood&lines=` many, `?what=long&bytes=` one without end.
pub fn print(ask: &Ask) -> Reply {
    use std::io::Write as _;
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    match ask.text("what") {
        "forged" => {
            for line in FORGED {
                let _ = stdout.write_all(&[line, b"\n"].concat());
                let _ = stderr.write_all(&[line, b"\n"].concat());
            }
        }
        "flood" => {
            for n in 0..ask.number("lines", 1_000_000) {
                let _ = writeln!(stdout, "flood {n}");
            }
        }
        "long" => {
            let piece = [b'x'; 4096];
            for _ in 0..ask.number("bytes", 10_000_000) / 4096 {
                let _ = stdout.write_all(&piece);
            }
        }
        "unfinished" => {
            let _ = stdout.write_all(b"no newline at the end");
        }
        _ => {
            let text = if ask.text("text").is_empty() {
                "a line"
            } else {
                ask.text("text")
            };
            let _ = writeln!(stdout, "{text} on stdout");
            let _ = writeln!(stderr, "{text} on stderr");
        }
    }
    let _ = stdout.flush();
    Reply::ok("printed")
}

/// The environment and the arguments.
pub fn env() -> Reply {
    let mut variables: Vec<_> = std::env::vars().collect();
    variables.sort();
    let arguments: Vec<_> = std::env::args().collect();
    Reply::ok(format!(
        "{{\"environment\":{},\"arguments\":{}}}",
        json::pairs(
            variables
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
        ),
        json::strings(arguments.iter().map(String::as_str))
    ))
}

/// `?path=&op=read|write|append|list|stat|remove|rename|mkdir|link`, `&value=` for what is written, `&to=` for where.
pub fn file(ask: &Ask) -> Reply {
    let (path, to) = (ask.text("path"), ask.text("to"));
    let outcome = match ask.text("op") {
        "write" => fs::write(path, ask.text("value")).map(|()| "written".to_owned()),
        "append" => fs::OpenOptions::new()
            .append(true)
            .open(path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, ask.text("value").as_bytes()))
            .map(|()| "appended".to_owned()),
        "list" => fs::read_dir(path).and_then(|entries| {
            let mut names = entries
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<std::io::Result<Vec<_>>>()?;
            names.sort();
            Ok(names.join("\n"))
        }),
        "stat" => fs::metadata(path).map(|metadata| format!("{} bytes", metadata.len())),
        "remove" => fs::remove_file(path).map(|()| "removed".to_owned()),
        "rename" => fs::rename(path, to).map(|()| "renamed".to_owned()),
        "mkdir" => fs::create_dir(path).map(|()| "made".to_owned()),
        "link" => fs::hard_link(path, to).map(|()| "linked".to_owned()),
        _ => fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    };
    match outcome {
        Ok(text) => Reply::ok(text),
        Err(error) => Reply {
            status: 403,
            body: format!("error: {error} ({:?})", error.kind()),
        },
    }
}

/// A hash map's order: the standard library takes its seed from `wasi:random/insecure-seed`.
pub fn hash_map() -> Reply {
    let map: HashMap<u32, ()> = (0..64).map(|n| (n, ())).collect();
    let order: Vec<_> = map.keys().map(u32::to_string).collect();
    Reply::ok(order.join(","))
}

/// `?code=`: ends the program.
pub fn exit(ask: &Ask) -> ! {
    std::process::exit(ask.number("code", 0) as i32)
}

/// All of standard input, which a service should find closed.
pub fn stdin() -> Reply {
    let mut text = String::new();
    match std::io::Read::read_to_string(&mut std::io::stdin(), &mut text) {
        Ok(bytes) => Reply::ok(format!("{bytes} bytes")),
        Err(error) => Reply::ok(format!("error: {error}")),
    }
}

/// Behaviours of [`crate::compute`] and of this module that only need the standard library; none if the path is another one's.
pub fn answer(ask: &Ask) -> Option<Reply> {
    use crate::compute;
    Some(match ask.path() {
        "/" | "/ok" => Reply::ok("ok"),
        "/spin" => compute::spin(),
        "/burn" => compute::burn(ask),
        "/fill" => compute::fill(ask),
        "/trap" => compute::trap(),
        "/panic" => panic!("asked to panic: {}", ask.text("text")),
        "/grow" => compute::grow(ask),
        "/stack" => compute::stack(),
        "/count" => compute::count(),
        "/dirt" => compute::dirt(ask),
        "/print" => print(ask),
        "/env" => env(),
        "/file" => file(ask),
        "/hashmap" => hash_map(),
        "/exit" => exit(ask),
        "/stdin" => stdin(),
        _ => return None,
    })
}
