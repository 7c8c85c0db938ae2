use super::*;
use crate::{
    contract::{Answer, Backend},
    layer::{
        Counters, Fault, Meter,
        fault::{Effect, Rule, When},
    },
    secrets::{Granted, Memory, Reveal},
};

const CANARY: &str = "canary-93b1";

fn header(secret: Shared<Secrets>) -> Header {
    Header {
        name: http::header::AUTHORIZATION,
        format: "Bearer {}".parse().unwrap(),
        secret,
    }
}

/// The secret `k` of `memory`, and how often somebody asked for it.
fn counted(memory: &Arc<Memory>) -> (Shared<Secrets>, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    let granted = Arc::new(Granted::new(Arc::clone(memory) as _, "k", Reveal::Granted));
    (
        Arc::new(Meter::new(granted, Arc::clone(&counters))),
        counters,
    )
}

fn calls(counters: &Counters) -> u64 {
    counters.calls.load(std::sync::atomic::Ordering::Relaxed)
}

async fn value(headers: &Headers) -> Result<String, Error> {
    let headers = headers.headers().await?;
    let value = headers.get("authorization").unwrap();
    assert!(value.is_sensitive());
    assert!(!format!("{headers:?}").contains("canary"));
    Ok(value.to_str().unwrap().to_owned())
}

#[test]
fn a_format_has_one_place_for_the_secret() {
    for bad in ["", "Bearer", "{}{}", "a {} b {}", "a\n{}"] {
        assert_eq!(bad.parse::<Format>(), Err(MalformedFormat), "{bad:?}");
    }
    let value = "Token t={}; v=1"
        .parse::<Format>()
        .unwrap()
        .header(&SecretValue::new("x"))
        .unwrap();
    assert_eq!(value, "Token t=x; v=1");
}

#[test]
fn a_secret_that_no_header_can_carry_is_refused_and_not_shown() {
    for secret in ["canary\r\nx-admin: 1", "canary\n", "canary\0"] {
        let error = "{}"
            .parse::<Format>()
            .unwrap()
            .header(&SecretValue::new(secret))
            .unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_fetched_once_and_a_changed_one_is_used_after_the_ttl() {
    let memory = Arc::new(Memory::new([("k", CANARY)]));
    let (secret, counters) = counted(&memory);
    let headers = Headers::new(vec![header(secret)], Freshness::default());
    for _ in 0..100 {
        assert_eq!(value(&headers).await.unwrap(), format!("Bearer {CANARY}"));
    }
    assert_eq!(calls(&counters), 2, "one get and one reveal");

    tokio::time::advance(Duration::from_secs(61)).await;
    value(&headers).await.unwrap();
    assert_eq!(calls(&counters), 3, "unchanged: not revealed again");

    memory.put("k", "canary-two");
    assert_eq!(value(&headers).await.unwrap(), format!("Bearer {CANARY}"));
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(value(&headers).await.unwrap(), "Bearer canary-two");
}

#[tokio::test(start_paused = true)]
async fn many_requests_at_once_ask_once() {
    let (secret, counters) = counted(&Arc::new(Memory::new([("k", CANARY)])));
    let slow = Rule::new(When::Always, Effect::Latency(Duration::from_secs(1)));
    let headers = Headers::new(
        vec![header(Arc::new(Fault::new(secret, vec![slow])))],
        Freshness::default(),
    );
    let requests: Vec<_> = (0..50)
        .map(|_| {
            let headers = headers.clone();
            tokio::spawn(async move { value(&headers).await })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap(), format!("Bearer {CANARY}"));
    }
    assert_eq!(calls(&counters), 2);
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_the_old_value_serves_through_the_grace_and_then_no_longer() {
    /// Answers until it is told to be down.
    struct Switch(Shared<Secrets>, std::sync::atomic::AtomicBool);
    impl Backend<Secrets> for Switch {
        fn call(&self, call: Call) -> Answer<'_, Secrets> {
            match self.1.load(std::sync::atomic::Ordering::Relaxed) {
                true => Box::pin(async { Err(Error::Unavailable("down".into())) }),
                false => self.0.call(call),
            }
        }
    }
    let (secret, counters) = counted(&Arc::new(Memory::new([("k", CANARY)])));
    let switch = Arc::new(Switch(secret, false.into()));
    let headers = Headers::new(vec![header(Arc::clone(&switch) as _)], Freshness::default());
    value(&headers).await.unwrap();
    switch.1.store(true, std::sync::atomic::Ordering::Relaxed);
    for seconds in [61, 300, 290] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        assert_eq!(value(&headers).await.unwrap(), format!("Bearer {CANARY}"));
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    let error = value(&headers).await.unwrap_err();
    assert!(error.is_temporary());

    switch.1.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(
        value(&headers).await,
        Err(error),
        "asked again only after the pause"
    );
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(value(&headers).await.unwrap(), format!("Bearer {CANARY}"));
    assert_eq!(calls(&counters), 3, "the version had not changed");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_gone_is_not_used_any_more() {
    let (secret, _) = counted(&Arc::new(Memory::new([("k", CANARY)])));
    let gone = Rule::new(When::from(3), Effect::Error(Error::NotFound));
    let headers = Headers::new(
        vec![header(Arc::new(Fault::new(secret, vec![gone])))],
        Freshness::default(),
    );
    value(&headers).await.unwrap();
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(value(&headers).await, Err(Error::NotFound));
}
