//! A token bucket whose time is given, never read.

use std::time::Instant;

/// Lets `per_second` through on average and `burst` at once.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    tokens: f64,
    filled: Option<Instant>,
}

impl TokenBucket {
    pub(crate) fn full(burst: u32) -> Self {
        Self {
            tokens: f64::from(burst),
            filled: None,
        }
    }

    /// Takes one token if there is one. An instant before the last adds nothing.
    pub(crate) fn take(&mut self, now: Instant, per_second: u32, burst: u32) -> bool {
        let last = *self.filled.get_or_insert(now);
        if let Some(passed) = now.checked_duration_since(last) {
            self.tokens =
                (self.tokens + passed.as_secs_f64() * f64::from(per_second)).min(f64::from(burst));
            self.filled = Some(now);
        }
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lets_the_burst_through_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(20);
        let mut through = |at_ms| {
            (0..100)
                .filter(|_| bucket.take(start + Duration::from_millis(at_ms), 10, 20))
                .count()
        };
        assert_eq!(through(0), 20);
        assert_eq!(through(50), 0);
        assert_eq!(through(1_000), 10);
        assert_eq!(through(500), 0, "time that runs backwards earns nothing");
        assert_eq!(through(60_000), 20, "and what is saved has a limit");
    }
}
