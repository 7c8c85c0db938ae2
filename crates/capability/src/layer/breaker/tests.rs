use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::*;
use crate::{
    keyvalue::{Call, Error, KeyValue, Memory, Reply},
    layer::{
        Deadline,
        fault::{Effect, Fault, Rule, When},
    },
};

const PAUSE: Duration = Duration::from_secs(1);

/// Counts what reaches the backend.
struct Reached(Shared<KeyValue>, AtomicU64);

impl Backend<KeyValue> for Reached {
    fn call(&self, call: Call) -> Answer<'_, KeyValue> {
        self.1.fetch_add(1, Relaxed);
        self.0.call(call)
    }
}

fn broken(when: When, effect: Effect<Error>) -> (Arc<Reached>, Arc<Breaker<KeyValue>>) {
    let backend = Arc::new(Fault::new(
        Arc::new(Memory::default()),
        vec![Rule::new(when, effect)],
    ));
    let reached = Arc::new(Reached(backend, AtomicU64::new(0)));
    let tolerance = Tolerance {
        errors: 3,
        pause: PAUSE,
    };
    let breaker = Breaker::new(Arc::clone(&reached) as _, tolerance);
    (reached, Arc::new(breaker))
}

fn down() -> Error {
    Error::Unavailable("down".into())
}

fn get() -> Call {
    Call::Get { key: "k".into() }
}

async fn call(breaker: &Breaker<KeyValue>) -> bool {
    match breaker.call(get()).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error, down());
            false
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_errors_in_a_row_nothing_reaches_the_backend_until_a_probe_succeeds() {
    let (reached, breaker) = broken(When::Between(1, 5), Effect::Error(down()));
    for _ in 0..100 {
        assert!(!call(&breaker).await);
    }
    assert_eq!(reached.1.load(Relaxed), 3);

    tokio::time::advance(PAUSE).await;
    for _ in 0..100 {
        assert!(!call(&breaker).await, "the probe fails");
    }
    assert_eq!(reached.1.load(Relaxed), 4);

    tokio::time::advance(PAUSE).await;
    for _ in 0..100 {
        assert!(call(&breaker).await, "the backend is back");
    }
    assert_eq!(reached.1.load(Relaxed), 104);
}

#[tokio::test(start_paused = true)]
async fn errors_that_are_not_in_a_row_do_not_open_it() {
    let (reached, breaker) = broken(When::Every(2), Effect::Error(down()));
    for _ in 0..50 {
        call(&breaker).await;
    }
    assert_eq!(reached.1.load(Relaxed), 50);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_will_not_pass_is_an_answer() {
    let denied = Error::Denied("no".into());
    let (reached, breaker) = broken(When::Always, Effect::Error(denied.clone()));
    for _ in 0..50 {
        assert_eq!(breaker.call(get()).await, Err(denied.clone()));
    }
    assert_eq!(reached.1.load(Relaxed), 50);
}

#[tokio::test(start_paused = true)]
async fn while_one_probe_is_out_the_others_get_the_error_at_once() {
    let backend: Shared<KeyValue> = Arc::new(Fault::new(
        Arc::new(Memory::default()),
        vec![
            Rule::new(When::Between(1, 4), Effect::Error(down())),
            Rule::new(When::from(4), Effect::Latency(Duration::from_secs(5))),
        ],
    ));
    let tolerance = Tolerance {
        errors: 3,
        pause: PAUSE,
    };
    let breaker = Arc::new(Breaker::new(backend, tolerance));
    for _ in 0..3 {
        assert!(!call(&breaker).await);
    }
    tokio::time::advance(PAUSE).await;
    let probe = tokio::spawn({
        let breaker = Arc::clone(&breaker);
        async move { breaker.call(get()).await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    assert!(!call(&breaker).await);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(probe.await.unwrap(), Ok(Reply::Value(None)));
    assert!(call(&breaker).await);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_given_up_leaves_the_next_call_to_be_the_probe() {
    let backend: Shared<KeyValue> = Arc::new(Fault::new(
        Arc::new(Memory::default()),
        vec![
            Rule::new(When::Between(1, 4), Effect::Error(down())),
            Rule::new(
                When::Between(4, 5),
                Effect::Latency(Duration::from_secs(3_600)),
            ),
        ],
    ));
    let tolerance = Tolerance {
        errors: 3,
        pause: PAUSE,
    };
    let breaker = Breaker::new(backend, tolerance);
    for _ in 0..3 {
        assert!(!call(&breaker).await);
    }
    tokio::time::advance(PAUSE).await;
    let given_up = tokio::time::timeout(Duration::from_secs(1), breaker.call(get())).await;
    assert!(given_up.is_err());
    assert!(call(&breaker).await);
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_to_their_deadline_open_it() {
    let (reached, _) = broken(When::Always, Effect::Latency(Duration::from_secs(3_600)));
    let deadline = Arc::new(Deadline::new(
        Arc::clone(&reached) as _,
        Duration::from_millis(100),
    ));
    let breaker = Breaker::new(
        deadline,
        Tolerance {
            errors: 3,
            pause: PAUSE,
        },
    );
    for _ in 0..10 {
        assert!(breaker.call(get()).await.is_err());
    }
    assert_eq!(reached.1.load(Relaxed), 3);
}
