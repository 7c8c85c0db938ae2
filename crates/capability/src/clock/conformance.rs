//! What every clock must do, as one suite.
//!
//! In: a clock that is never set back, and what its backend says it cannot do. Out: the row of the table, or a panic that names the
//! expectation. Run by the tests of each backend.
#![expect(
    clippy::panic,
    reason = "a failed expectation ends the test that runs the suite"
)]

use futures_util::FutureExt as _;

use super::contract::{Call, Clock, Reply};
use crate::contract::{Shared, Support};

/// The columns of the table.
pub const ABILITIES: [&str; 2] = ["now", "time that passes"];

/// Runs the suite and answers with the backend's row of the table under [`ABILITIES`].
pub fn run(clock: &Shared<Clock>, support: &Support) -> String {
    let first = now(clock);
    let mut last = first;
    // The clock of a machine moves within this many readings, or not at all.
    for _ in 0..10_000_000 {
        let next = now(clock);
        if next < last {
            panic!("it went back from {last:?} to {next:?}");
        }
        last = next;
        if last > first {
            break;
        }
    }
    let passes = last > first;
    if passes != support.has("time that passes") {
        panic!("whether time passes: {passes}, and the backend says otherwise");
    }
    support.row(&ABILITIES)
}

fn now(clock: &Shared<Clock>) -> Reply {
    match clock.call(Call::Now).now_or_never() {
        Some(Ok(now)) => now,
        other => panic!("a clock answers at once, and it was {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::{
        Memory,
        system::{self, Monotonic, Wall},
    };

    #[test]
    fn the_clocks_of_the_machine_and_the_one_in_memory_conform() {
        let memory = Memory::at(1_767_225_600_000_000_000);
        run(&(Arc::new(memory) as Shared<Clock>), &Memory::SUPPORT);
        run(&(Arc::new(Monotonic::default()) as _), &system::SUPPORT);
        run(&(Arc::new(Wall::default()) as _), &system::SUPPORT);
    }

    #[test]
    fn a_clock_in_memory_reads_what_it_was_set_to() {
        let clock: Shared<Clock> = Arc::new(Memory::at(17));
        assert_eq!((now(&clock), now(&clock)), (Reply(17), Reply(17)));
    }
}
