//! The environment of a component: fixed when an invocation begins.
//!
//! In: a source of configuration. Out: the variables of one invocation, the same for as long as it runs. The interface has no error and
//! every language's runtime calls it, so the source is asked before the guest runs; while it does not answer, what it said last
//! serves. A source is asked at most once in [`FRESH`], by one invocation, which waits for it no longer than [`PATIENCE`].

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};

use super::{
    contract::{Call, Config, Error, Reply},
    grant::unexpected,
};
use crate::{contract::Shared, layer::Deadline};

/// How old variables may be when an invocation begins, while the source answers.
pub const FRESH: Duration = Duration::from_secs(1);
/// How long an invocation waits for the source.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// The variables of one invocation.
pub type Variables = Arc<BTreeMap<String, String>>;

/// The environment of one component. Clones are the same.
#[derive(Clone)]
pub struct Environment(Arc<Inner>);

enum Inner {
    Fixed(Variables),
    Read {
        source: Shared<Config>,
        known: RwLock<Variables>,
        /// When the source was asked last; held by who asks it.
        asked: Mutex<Instant>,
    },
}

impl Environment {
    /// Always these.
    pub fn fixed(variables: BTreeMap<String, String>) -> Self {
        Self(Arc::new(Inner::Fixed(Arc::new(variables))))
    }

    /// What `source` holds, read once now.
    ///
    /// # Errors
    /// When it does not answer now: there is nothing yet that could serve in its place.
    pub async fn read(source: Shared<Config>) -> Result<Self, Error> {
        let source: Shared<Config> = Arc::new(Deadline::new(source, PATIENCE));
        let known = variables(&source).await?;
        Ok(Self(Arc::new(Inner::Read {
            source,
            known: RwLock::new(known),
            asked: Mutex::new(Instant::now()),
        })))
    }

    /// The variables of an invocation that begins now.
    pub async fn now(&self) -> Variables {
        let (source, known, asked) = match &*self.0 {
            Inner::Fixed(variables) => return Arc::clone(variables),
            Inner::Read {
                source,
                known,
                asked,
            } => (source, known, asked),
        };
        // Who finds another asking takes what is known.
        if let Ok(mut asked) = asked.try_lock()
            && asked.elapsed() >= FRESH
        {
            // Before the answer: an invocation that is given up while it waits has asked too.
            *asked = Instant::now();
            // What went wrong is told by whoever made the source.
            if let Ok(read) = variables(source).await {
                let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
                // The same while nothing changes, so that a change can be told by comparing two of them.
                if **known != *read {
                    *known = read;
                }
            }
        }
        Arc::clone(&known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What cannot be a variable is none: a name that is empty or holds `=`, a zero byte anywhere.
async fn variables(source: &Shared<Config>) -> Result<Variables, Error> {
    let Reply::Values(values) = source.call(Call::GetAll).await? else {
        return Err(unexpected());
    };
    let is_variable = |(name, value): &(String, String)| {
        !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
    };
    Ok(Arc::new(values.into_iter().filter(is_variable).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Memory,
        contract::{Answer, Backend},
        layer::{
            Fault,
            fault::{Effect, Rule, When},
        },
    };

    /// A source whose values change with every answer.
    #[derive(Default)]
    struct Counting(std::sync::Mutex<u32>);

    impl Backend<Config> for Counting {
        fn call(&self, _: Call) -> Answer<'_, Config> {
            let mut calls = self.0.lock().unwrap();
            *calls += 1;
            let values = vec![("CALL".into(), calls.to_string())];
            Box::pin(async { Ok(Reply::Values(values)) })
        }
    }

    fn broken(when: When, effect: Effect<Error>) -> Shared<Config> {
        let counting: Shared<Config> = Arc::new(Counting::default());
        Arc::new(Fault::new(counting, vec![Rule::new(when, effect)]))
    }

    async fn call(environment: &Environment) -> String {
        environment.now().await["CALL"].clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_is_asked_again_when_what_it_said_is_a_second_old() {
        let environment = Environment::read(Arc::new(Counting::default()))
            .await
            .unwrap();
        assert_eq!(call(&environment).await, "1");
        tokio::time::advance(FRESH - Duration::from_millis(1)).await;
        assert_eq!(call(&environment).await, "1");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(call(&environment).await, "2");
        assert_eq!(call(&environment).await, "2");
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_source_fails_what_it_said_last_serves() {
        let gone = Effect::Error(Error::Unavailable("gone".into()));
        let source = broken(When::Between(2, 4), gone.clone());
        let environment = Environment::read(source).await.unwrap();
        let mut said = Vec::new();
        for _ in 0..4 {
            tokio::time::advance(FRESH).await;
            said.push(call(&environment).await);
        }
        assert_eq!(said, ["1", "1", "2", "3"]);
        let never = Environment::read(broken(When::Always, gone)).await;
        assert!(never.is_err(), "there is nothing that could serve");
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_hangs_costs_one_invocation_a_second_and_the_others_nothing() {
        let hangs = Effect::Latency(Duration::from_secs(3_600));
        let environment = Environment::read(broken(When::from(2), hangs))
            .await
            .unwrap();
        tokio::time::advance(FRESH).await;
        let began = Instant::now();
        let waiting = {
            let environment = environment.clone();
            tokio::spawn(async move { call(&environment).await })
        };
        tokio::task::yield_now().await;
        assert_eq!(call(&environment).await, "1");
        assert_eq!(began.elapsed(), Duration::ZERO, "the others do not wait");
        assert_eq!(waiting.await.unwrap(), "1");
        assert_eq!(began.elapsed(), PATIENCE);
    }

    #[tokio::test]
    async fn what_cannot_be_a_variable_is_none() {
        let values = [
            ("", "x"),
            ("A=B", "x"),
            ("N\0", "x"),
            ("V", "\0"),
            ("OK", ""),
        ];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let source = Arc::new(Memory::new(values.into()));
        let variables = Environment::read(source).await.unwrap().now().await;
        assert_eq!(variables.keys().collect::<Vec<_>>(), ["OK"]);
    }
}
