//! The interfaces of WASI 0.2, one by one.
//!
//! Mechanism and what is always harmless (DESIGN.md, "Authority"): environment and preopened directories are what the template
//! holds, stdin is closed, sockets and name lookup answer with their own denial.

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::{
    cli::WasiCli,
    clocks::WasiClocks,
    filesystem::WasiFilesystem,
    p2::bindings::{cli, clocks, filesystem, random, sockets},
    random::WasiRandom,
    sockets::WasiSockets,
};
use wasmtime_wasi_http::{WasiHttp, WasiHttpView as _, p2::bindings as http};
use wasmtime_wasi_io::bindings::wasi::io;

use super::{Import, Linked};
use crate::guest::Guest;

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// Links the host's newest 0.2; Wasmtime matches the versions within 0.2.
pub(super) fn link(l: &mut Linker<Guest>, import: &Import<'_>) -> wasmtime::Result<Linked> {
    match (import.package, import.interface) {
        ("wasi:io", "error") => io::error::add_to_linker::<Guest, Io>(l, Guest::table)?,
        ("wasi:io", "poll") => io::poll::add_to_linker::<Guest, Io>(l, Guest::table)?,
        ("wasi:io", "streams") => io::streams::add_to_linker::<Guest, Io>(l, Guest::table)?,
        ("wasi:cli", "environment") => {
            cli::environment::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?
        }
        ("wasi:cli", "exit") => {
            cli::exit::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
        }
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
        ("wasi:clocks", "wall-clock") => {
            clocks::wall_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?
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
        ("wasi:sockets", "instance-network") => {
            sockets::instance_network::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
        }
        ("wasi:sockets", "network") => {
            let options = sockets::network::LinkOptions::default();
            sockets::network::add_to_linker::<Guest, WasiSockets>(l, &options, Guest::sockets)?;
        }
        ("wasi:sockets", "ip-name-lookup") => {
            sockets::ip_name_lookup::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
        }
        ("wasi:sockets", "tcp") => {
            sockets::tcp::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?
        }
        ("wasi:sockets", "tcp-create-socket") => {
            sockets::tcp_create_socket::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
        }
        ("wasi:sockets", "udp") => {
            sockets::udp::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?
        }
        ("wasi:sockets", "udp-create-socket") => {
            sockets::udp_create_socket::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
        }
        ("wasi:http", "types") => {
            let options = http::http::types::LinkOptions::default();
            http::http::types::add_to_linker::<Guest, WasiHttp>(l, &options, Guest::http)?;
        }
        ("wasi:http", "outgoing-handler") => {
            http::http::outgoing_handler::add_to_linker::<Guest, WasiHttp>(l, Guest::http)?;
        }
        _ => return Ok(Linked::Unknown),
    }
    Ok(Linked::Yes)
}
