//! Damage that needs no host call: time, memory, stack. In: how much. Out: a reply, if it comes to that.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Ask, Reply};

static CALLS: AtomicU32 = AtomicU32::new(0);

/// An infinite loop.
pub fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

/// `?spins=`: a loop of that many turns, then an answer.
pub fn burn(ask: &Ask) -> Reply {
    let spins = ask.number("spins", 1_000_000);
    let sum = (0..spins).fold(0_u64, |sum, n| black_box(sum.wrapping_mul(31) ^ n));
    Reply::ok(format!("{{\"spins\":{spins},\"sum\":\"{sum:x}\"}}"))
}

/// `?fills=`: writes 16 MiB that many times, each with one bulk instruction in which no epoch is checked.
pub fn fill(ask: &Ask) -> Reply {
    let mut memory = vec![0_u8; 16 << 20];
    for n in 0..ask.number("fills", 1) {
        black_box(&mut memory).fill(n as u8);
    }
    Reply::ok("filled")
}

/// Traps as a C program does: the instruction `unreachable`.
pub fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort()
}

/// Grows memory a MiB at a time and writes to it, until the host refuses or `?mib=` is reached; then answers, or with `?then=trap` traps.
pub fn grow(ask: &Ask) -> Reply {
    let wanted = ask.number("mib", u64::MAX);
    let mut grown = 0;
    while grown < wanted
        && let Some(fresh) = grow_one_mib()
    {
        // Each page is touched, so that it costs the host what it seems to.
        fresh.fill(1);
        grown += 1;
    }
    if ask.text("then") == "trap" {
        trap();
    }
    Reply::ok(format!(
        "{{\"grown_mib\":{grown},\"refused\":{}}}",
        grown < wanted
    ))
}

/// Recursion without end. Its frames hold nothing in linear memory, so it is the host's stack that runs out.
pub fn stack() -> Reply {
    Reply::ok(dig(1, black_box(0)).to_string())
}

#[inline(never)]
fn dig(depth: u64, floor: u64) -> u64 {
    if depth == floor {
        0
    } else {
        dig(depth + 1, floor).wrapping_mul(31) ^ depth
    }
}

/// How often this instance was called: 1, if every request has its own.
pub fn count() -> Reply {
    Reply::ok(format!(
        "{{\"calls\":{}}}",
        CALLS.fetch_add(1, Ordering::Relaxed) + 1
    ))
}

/// `?mib=`: how many bytes of freshly grown memory are not zero. None, if nothing of another instance is left. Leaves its own dirt behind.
pub fn dirt(ask: &Ask) -> Reply {
    let (mut bytes, mut dirty) = (0, 0);
    for _ in 0..ask.number("mib", 1) {
        let Some(fresh) = grow_one_mib() else { break };
        bytes += fresh.len();
        dirty += fresh.iter().filter(|byte| **byte != 0).count();
        fresh.fill(0xa5);
    }
    Reply::ok(format!("{{\"bytes\":{bytes},\"dirty\":{dirty}}}"))
}

/// A MiB more of linear memory, or none if the host refuses.
#[cfg(target_arch = "wasm32")]
fn grow_one_mib() -> Option<&'static mut [u8]> {
    const PAGE_BYTES: usize = 65_536;
    match core::arch::wasm32::memory_grow::<0>(16) {
        usize::MAX => None,
        // SAFETY: the host has just given these pages to nobody but the caller, and WebAssembly memory is always initialised.
        page => Some(unsafe {
            core::slice::from_raw_parts_mut((page * PAGE_BYTES) as *mut u8, 16 * PAGE_BYTES)
        }),
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn grow_one_mib() -> Option<&'static mut [u8]> {
    None
}
