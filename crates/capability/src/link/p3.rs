//! The interfaces of WASI 0.3, one by one. The rules are those of `p2`.

use wasmtime::component::Linker;
use wasmtime_wasi::{
    cli::WasiCli,
    clocks::WasiClocks,
    filesystem::WasiFilesystem,
    p3::bindings::{cli, clocks, filesystem, random, sockets},
    random::WasiRandom,
    sockets::WasiSockets,
};
use wasmtime_wasi_http::{WasiHttp, WasiHttpView as _, p3::bindings as http};

use super::{Import, Linked};
use crate::guest::Guest;

/// Links the host's newest 0.3; Wasmtime matches the versions within 0.3.
pub(super) fn link(l: &mut Linker<Guest>, import: &Import<'_>) -> wasmtime::Result<Linked> {
    match (import.package, import.interface) {
        // Types alone: nothing to call.
        ("wasi:cli", "types") => _ = l.instance(import.name)?,
        ("wasi:cli", "environment") => {
            cli::environment::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?
        }
        ("wasi:cli", "exit") => cli::exit::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?,
        ("wasi:cli", "stdin") => cli::stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?,
        ("wasi:cli", "stdout") => cli::stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?,
        ("wasi:cli", "stderr") => cli::stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?,
        ("wasi:cli", "terminal-input") => {
            cli::terminal_input::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?
        }
        ("wasi:cli", "terminal-output") => {
            cli::terminal_output::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?
        }
        ("wasi:cli", "terminal-stdin") => {
            cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?
        }
        ("wasi:cli", "terminal-stdout") => {
            cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?
        }
        ("wasi:cli", "terminal-stderr") => {
            cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?
        }
        ("wasi:clocks", "types") => {
            clocks::types::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?
        }
        ("wasi:clocks", "system-clock") => {
            clocks::system_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?;
        }
        ("wasi:clocks", "monotonic-clock") => {
            clocks::monotonic_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?;
        }
        ("wasi:filesystem", "types") => {
            filesystem::types::add_to_linker::<Guest, WasiFilesystem>(l, Guest::filesystem)?;
        }
        ("wasi:filesystem", "preopens") => {
            filesystem::preopens::add_to_linker::<Guest, WasiFilesystem>(l, Guest::filesystem)?;
        }
        ("wasi:random", "random") => {
            random::random::add_to_linker::<Guest, WasiRandom>(l, Guest::random)?
        }
        ("wasi:random", "insecure") => {
            random::insecure::add_to_linker::<Guest, WasiRandom>(l, Guest::random)?
        }
        ("wasi:random", "insecure-seed") => {
            random::insecure_seed::add_to_linker::<Guest, WasiRandom>(l, Guest::random)?;
        }
        ("wasi:sockets", "types") => {
            sockets::types::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?
        }
        ("wasi:sockets", "ip-name-lookup") => {
            sockets::ip_name_lookup::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
        }
        ("wasi:http", "types") => {
            http::http::types::add_to_linker::<Guest, WasiHttp>(l, Guest::http)?
        }
        ("wasi:http", "client") => {
            http::http::client::add_to_linker::<Guest, WasiHttp>(l, Guest::http)?
        }
        _ => return Ok(Linked::Unknown),
    }
    Ok(Linked::Yes)
}
