//! What every source of randomness must do, as one suite.
//!
//! In: how to make a source, and what its backend says it cannot do. Out: the row of the table, or a panic that names the expectation. Run by
//! the tests of each backend.
#![expect(
    clippy::panic,
    reason = "a failed expectation ends the test that runs the suite"
)]

use futures_util::FutureExt as _;

use super::contract::{Call, Random, Reply};
use crate::contract::{Shared, Support};

/// The columns of the table.
pub const ABILITIES: [&str; 2] = ["draw", "draws nobody can repeat"];

/// Runs the suite and answers with the backend's row of the table under [`ABILITIES`]. `make` makes the same source each time, as far as the
/// backend has a say in it.
pub fn run(make: impl Fn() -> Shared<Random>, support: &Support) -> String {
    let source = make();
    for bytes in [0, 1, 7, 8, 9, 4_096] {
        let drawn = draw(&source, bytes);
        if drawn.len() as u64 != bytes {
            panic!("{bytes} bytes were asked for and {} came", drawn.len());
        }
    }
    if draw(&source, 32) == draw(&source, 32) {
        panic!("two draws are the same");
    }
    let repeats = draws(&make()) == draws(&make());
    if repeats == support.has("draws nobody can repeat") {
        panic!("whether its draws can be repeated: {repeats}, and the backend says otherwise");
    }
    support.row(&ABILITIES)
}

fn draws(source: &Shared<Random>) -> Vec<Vec<u8>> {
    [3, 16, 8].map(|bytes| draw(source, bytes)).into()
}

fn draw(source: &Shared<Random>, bytes: u64) -> Vec<u8> {
    match source.call(Call::Draw { bytes }).now_or_never() {
        Some(Ok(Reply::Drawn(drawn))) => drawn,
        other => panic!("randomness is there at once, and it was {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::random::{Memory, System};

    #[test]
    fn the_randomness_of_the_machine_and_the_one_from_a_seed_conform() {
        run(|| Arc::new(System), &System::SUPPORT);
        run(|| Arc::new(Memory::seeded(42)), &Memory::SUPPORT);
    }

    #[test]
    fn another_seed_draws_something_else() {
        let draws = |seed| draws(&(Arc::new(Memory::seeded(seed)) as Shared<Random>));
        assert_ne!(draws(1), draws(2));
    }
}
