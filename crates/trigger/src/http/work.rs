//! The rest of an invocation, and where it runs.
//!
//! In: a guest in the making. Out: its end. It runs in the task that asks for its answer, until it proves to be bound by the processor:
//! then it computes in the background, so that the core that accepted its request is free for others after one epoch. It comes back when
//! it waits, so that what it wrote is looked at where and when it would have been without the detour.

use std::{
    future::Future,
    panic::resume_unwind,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use coracle_engine::Account;
use tokio::{
    runtime,
    task::{JoinError, JoinHandle},
};

use super::failure::Failure;

/// What is left to do. Dropping it ends the guest.
pub(super) struct Work {
    at: At,
    account: Arc<Account>,
    background: runtime::Handle,
}

type Ended = Result<(), Failure>;
pub(super) type Running = Pin<Box<dyn Future<Output = Ended> + Send>>;

enum At {
    Here(Running),
    Background(Away),
    Over,
}

struct Away {
    task: JoinHandle<Computed>,
    called_back: Arc<AtomicBool>,
}

/// What was computed in the background: the end, or the guest when it waits.
type Computed = Result<Ended, Running>;

impl Work {
    /// Begins here; computes in `background` once `account` says that it computes rather than waits.
    pub(super) fn new(
        running: Running,
        account: Arc<Account>,
        background: runtime::Handle,
    ) -> Self {
        Self {
            at: At::Here(running),
            account,
            background,
        }
    }

    /// Whether the guest has more to do before anybody should look at what it wrote: it was cut off, it does not wait.
    pub(super) fn computes(&self) -> bool {
        match self.at {
            At::Here(_) => self.account.is_interrupted(),
            At::Background(_) => true,
            At::Over => false,
        }
    }

    /// Whether the guest computes in the background.
    pub(super) fn is_away(&self) -> bool {
        matches!(self.at, At::Background(_))
    }

    /// Asks it back at the end of the epoch that runs, also when it has more to compute. It then rests until the next poll.
    pub(super) fn call_back(&self) {
        if let At::Background(away) = &self.at {
            away.called_back.store(true, Relaxed);
        }
    }

    fn poll_here(&mut self, mut running: Running, context: &mut Context<'_>) -> Poll<Ended> {
        if let Poll::Ready(ended) = running.as_mut().poll(context) {
            return Poll::Ready(ended);
        }
        if !self.account.is_cpu_bound() {
            self.at = At::Here(running);
            return Poll::Pending;
        }
        let called_back = Arc::default();
        let computing = compute(running, Arc::clone(&self.account), Arc::clone(&called_back));
        let task = self.background.spawn(computing);
        self.poll_background(Away { task, called_back }, context)
    }

    fn poll_background(&mut self, mut away: Away, context: &mut Context<'_>) -> Poll<Ended> {
        let Poll::Ready(joined) = Pin::new(&mut away.task).poll(context) else {
            self.at = At::Background(away);
            return Poll::Pending;
        };
        match joined.map_err(JoinError::try_into_panic) {
            Ok(Ok(ended)) => Poll::Ready(ended),
            Ok(Err(computing)) if self.account.is_interrupted() => {
                self.at = At::Here(computing);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(Err(waiting)) => self.poll_here(waiting, context),
            // As if it had happened here: the gateway answers it.
            Err(Ok(panic)) => resume_unwind(panic),
            // Its runtime ends, and the node with it.
            Err(Err(_)) => Poll::Ready(Err(Failure::NoInstance)),
        }
    }
}

/// Runs a guest until it ends or waits; being cut off at the end of an epoch is no waiting, unless it is called back.
async fn compute(
    mut running: Running,
    account: Arc<Account>,
    called_back: Arc<AtomicBool>,
) -> Computed {
    let ended = std::future::poll_fn(|context| match running.as_mut().poll(context) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending if account.is_interrupted() && !called_back.load(Relaxed) => Poll::Pending,
        Poll::Pending => Poll::Ready(None),
    })
    .await;
    ended.ok_or(running)
}

impl Future for Work {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended> {
        match std::mem::replace(&mut self.at, At::Over) {
            At::Here(running) => self.poll_here(running, context),
            At::Background(away) => self.poll_background(away, context),
            At::Over => Poll::Pending,
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let At::Background(away) = &self.at {
            away.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        thread,
        time::{Duration, Instant},
    };

    use coracle_engine::Metered;

    use super::*;

    fn background() -> runtime::Runtime {
        runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("background")
            .build()
            .unwrap()
    }

    fn core() -> runtime::Runtime {
        runtime::Builder::new_current_thread().build().unwrap()
    }

    /// A guest that is polled twice, the first time for longer than an epoch.
    fn guest(
        cut_off: bool,
        mut then: impl FnMut() + Send + Unpin + 'static,
    ) -> (Running, Arc<Account>) {
        let account = Account::new(Duration::from_secs(1));
        let charged = Arc::clone(&account);
        let mut polls = 0;
        let turns = std::future::poll_fn(move |context: &mut Context<'_>| {
            polls += 1;
            if polls == 2 {
                then();
                return Poll::Ready(Ok(()));
            }
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(2) {}
            if cut_off {
                charged.interrupt();
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        let metered = Metered::new(turns, Arc::clone(&account));
        (Box::pin(metered), account)
    }

    /// Where it was when it ended.
    fn ends_in(cut_off: bool) -> Option<String> {
        let background = background();
        let (say, said) = mpsc::channel();
        let (running, account) = guest(cut_off, move || {
            say.send(thread::current().name().map(str::to_string))
                .unwrap();
        });
        let work = Work::new(running, account, background.handle().clone());
        core().block_on(work).unwrap();
        said.recv().unwrap()
    }

    #[test]
    fn a_guest_that_computes_goes_on_in_the_background() {
        assert_eq!(ends_in(true).as_deref(), Some("background"));
    }

    #[test]
    fn a_guest_that_waits_stays_where_its_request_is() {
        let here = thread::current().name().map(str::to_string);
        assert_eq!(ends_in(false), here);
    }

    #[test]
    fn a_guest_that_waits_again_comes_back() {
        let background = background();
        let account = Account::new(Duration::from_secs(1));
        let charged = Arc::clone(&account);
        let (say, said) = mpsc::channel();
        let mut polls = 0;
        let turns = std::future::poll_fn(move |context: &mut Context<'_>| {
            polls += 1;
            say.send(thread::current().name().map(str::to_string))
                .unwrap();
            if polls == 4 {
                return Poll::Ready(Ok(()));
            }
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(2) {}
            if polls < 3 {
                charged.interrupt();
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        let metered = Metered::new(turns, Arc::clone(&account));
        let work = Work::new(Box::pin(metered), account, background.handle().clone());
        core().block_on(work).unwrap();
        let here = thread::current().name().map(str::to_string);
        let there = Some("background".to_string());
        let polled: Vec<_> = said.iter().collect();
        assert_eq!(polled, [here.clone(), there.clone(), there, here]);
    }

    #[test]
    fn a_guest_that_is_called_back_comes_though_it_has_more_to_compute() {
        let background = background();
        let account = Account::new(Duration::from_secs(1));
        let charged = Arc::clone(&account);
        let endless = std::future::poll_fn(move |context: &mut Context<'_>| {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(2) {}
            charged.interrupt();
            context.waker().wake_by_ref();
            Poll::Pending
        });
        let metered = Metered::new(endless, Arc::clone(&account));
        let mut work = Work::new(Box::pin(metered), account, background.handle().clone());
        let mut was_away = false;
        core().block_on(std::future::poll_fn(|context| {
            assert!(Pin::new(&mut work).poll(context).is_pending());
            if work.is_away() {
                was_away = true;
                work.call_back();
                return Poll::Pending;
            }
            Poll::Ready(())
        }));
        assert!(was_away && matches!(work.at, At::Here(_)));
    }

    #[test]
    fn a_panic_in_the_background_is_the_same_panic_here() {
        let background = background();
        let (running, account) = guest(true, || panic!("as if it were here"));
        let work = Work::new(running, account, background.handle().clone());
        let ended =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| core().block_on(work)));
        let panic = ended.unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"as if it were here"));
    }

    #[test]
    fn what_nobody_waits_for_any_more_ends_in_the_background_too() {
        let background = background();
        let (held, gone) = mpsc::channel::<()>();
        let account = Account::new(Duration::from_secs(1));
        let charged = Arc::clone(&account);
        let endless = std::future::poll_fn(move |context: &mut Context<'_>| {
            let _held = &held;
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(2) {}
            charged.interrupt();
            context.waker().wake_by_ref();
            Poll::Pending
        });
        let metered = Metered::new(endless, Arc::clone(&account));
        let mut work = Work::new(Box::pin(metered), account, background.handle().clone());
        core().block_on(std::future::poll_fn(|context| {
            assert!(Pin::new(&mut work).poll(context).is_pending());
            Poll::Ready(())
        }));
        assert!(matches!(work.at, At::Background(_)));
        drop(work);
        assert!(
            gone.recv_timeout(Duration::from_secs(20))
                .is_err_and(|gone| { gone == mpsc::RecvTimeoutError::Disconnected })
        );
    }
}
