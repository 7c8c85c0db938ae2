//! Waiting for something that another process does. In: a question. Out: its answer, or a failed test; never a hanging one.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Longer than anything here takes, short enough to fail a hanging test.
pub const PATIENCE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(5);

/// Asks again and again until there is an answer; what another process does cannot be awaited in any other way.
///
/// # Panics
/// When there is none within `limit`; `what` completes "waited for".
pub fn soon<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            started.elapsed() < limit,
            "waited {limit:?} for {what}, in vain"
        );
        thread::sleep(PAUSE);
    }
}
