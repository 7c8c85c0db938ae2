//! Breaks calls on purpose: latency and errors by rule, for tests and rehearsals.
//!
//! In: calls. Out: the same calls, later, not at all, or with their answer lost. Which calls are hit is decided by counting and by a
//! seeded sequence, so that a run can be repeated.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{
    contract::{Answer, Backend, Contract, Shared},
    random::memory::number_of,
};

/// Which of the calls that a rule concerns are hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// Every one.
    Always,
    /// The nth, the 2nth and so on; never for 0.
    Every(u64),
    /// Those numbered from the first to before the second; the first call is number 1.
    Between(u64, u64),
    /// This share of them, 0 to 1, picked by a sequence that the seed determines.
    Chance {
        /// 0 is none, 1 is all.
        share: f64,
        /// The same seed hits the same calls.
        seed: u64,
    },
}

impl When {
    /// The nth call and all after it.
    pub fn from(nth: u64) -> Self {
        Self::Between(nth, u64::MAX)
    }

    fn hits(self, number: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Every(n) => n != 0 && number.is_multiple_of(n),
            Self::Between(from, to) => (from..to).contains(&number),
            Self::Chance { share, seed } => fraction(seed, number) < share,
        }
    }
}

/// What happens to a call that is hit.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect<E> {
    /// It reaches the backend this much later.
    Latency(Duration),
    /// It does not reach the backend.
    Error(E),
    /// It takes effect, and this is the answer all the same.
    Lost(E),
}

/// What is broken, when and how.
pub struct Rule<E> {
    operation: Option<&'static str>,
    when: When,
    effect: Effect<E>,
    calls: AtomicU64,
}

impl<E> Rule<E> {
    /// Concerns calls of every operation.
    pub fn new(when: When, effect: Effect<E>) -> Self {
        Self {
            operation: None,
            when,
            effect,
            calls: AtomicU64::new(0),
        }
    }

    /// Concerns calls of this operation only, by the contract's word for it.
    #[must_use]
    pub fn on(self, operation: &'static str) -> Self {
        Self {
            operation: Some(operation),
            ..self
        }
    }

    fn hits(&self, operation: &str) -> bool {
        if self.operation.is_some_and(|own| own != operation) {
            return false;
        }
        self.when.hits(self.calls.fetch_add(1, Relaxed) + 1)
    }
}

/// A backend some of whose calls fail or are slow.
pub struct Fault<C: Contract> {
    inner: Shared<C>,
    rules: Vec<Rule<C::Error>>,
}

impl<C: Contract> Fault<C> {
    /// Every rule is asked about every call; latencies add up, and the first error counts.
    pub fn new(inner: Shared<C>, rules: Vec<Rule<C::Error>>) -> Self {
        Self { inner, rules }
    }
}

impl<C: Contract> Backend<C> for Fault<C> {
    fn call(&self, call: C::Call) -> Answer<'_, C> {
        let operation = C::operation(&call);
        let hits = self.rules.iter().filter(|rule| rule.hits(operation));
        let (mut latency, mut error, mut lost) = (Duration::ZERO, None, None);
        for rule in hits {
            match &rule.effect {
                Effect::Latency(more) => latency += *more,
                Effect::Error(it) => error = error.or(Some(it.clone())),
                Effect::Lost(it) => lost = lost.or(Some(it.clone())),
            }
        }
        Box::pin(async move {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            if let Some(error) = error {
                return Err(error);
            }
            let answer = self.inner.call(call).await;
            lost.map_or(answer, Err)
        })
    }
}

/// The nth number of the sequence of `seed`, from 0 to below 1.
fn fraction(seed: u64, number: u64) -> f64 {
    let bits = number_of(seed, number) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::keyvalue::{Call, Error, KeyValue, Memory, Reply};

    fn down() -> Error {
        Error::Unavailable("down".into())
    }

    fn bucket(rule: Rule<Error>) -> Fault<KeyValue> {
        Fault::new(Arc::new(Memory::default()), vec![rule])
    }

    fn add() -> Call {
        Call::Increment {
            key: "n".into(),
            delta: 1,
        }
    }

    fn get() -> Call {
        Call::Get { key: "n".into() }
    }

    async fn failures(bucket: &Fault<KeyValue>, calls: usize) -> Vec<usize> {
        let mut failed = Vec::new();
        for number in 1..=calls {
            if bucket.call(get()).await.is_err() {
                failed.push(number);
            }
        }
        failed
    }

    #[tokio::test]
    async fn hits_every_nth_call() {
        let bucket = bucket(Rule::new(When::Every(3), Effect::Error(down())));
        assert_eq!(failures(&bucket, 10).await, [3, 6, 9]);
    }

    #[tokio::test]
    async fn hits_a_span_of_calls() {
        let bucket = bucket(Rule::new(When::Between(2, 4), Effect::Error(down())));
        assert_eq!(failures(&bucket, 6).await, [2, 3]);
    }

    #[tokio::test]
    async fn a_seed_picks_the_same_calls_again_and_about_the_share_asked_for() {
        let picked = async |seed| {
            let rule = Rule::new(When::Chance { share: 0.25, seed }, Effect::Error(down()));
            failures(&bucket(rule), 4_000).await
        };
        let first = picked(7).await;
        assert_eq!(first, picked(7).await);
        assert_ne!(first, picked(8).await);
        assert!((900..1_100).contains(&first.len()), "{}", first.len());
    }

    #[tokio::test]
    async fn concerns_the_operation_it_names_and_counts_only_that() {
        let rule = Rule::new(When::Every(2), Effect::Error(down())).on("increment");
        let bucket = bucket(rule);
        assert_eq!(bucket.call(add()).await, Ok(Reply::Number(1)));
        assert!(failures(&bucket, 5).await.is_empty());
        assert_eq!(bucket.call(add()).await, Err(down()));
        assert_eq!(bucket.call(add()).await, Ok(Reply::Number(2)));
    }

    #[tokio::test]
    async fn a_lost_answer_has_taken_effect() {
        let bucket = bucket(Rule::new(When::Every(2), Effect::Lost(down())));
        assert_eq!(bucket.call(add()).await, Ok(Reply::Number(1)));
        assert_eq!(bucket.call(add()).await, Err(down()));
        assert_eq!(bucket.call(add()).await, Ok(Reply::Number(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn latency_delays_the_answer() {
        let slow = Effect::Latency(Duration::from_secs(5));
        let bucket = bucket(Rule::new(When::Always, slow));
        let began = tokio::time::Instant::now();
        bucket.call(get()).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(5));
    }
}
