//! Lets what a guest waits for come to pass one at a time, in an order that can be written down and repeated.
//!
//! In: answers as they arrive (recording) or as they were recorded (replay), and whether the guest runs or rests. Out: whose turn it is. An
//! answer is handed over when the guest can do nothing without one, so that a guest that waits for several at once sees the same one
//! first each time.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// What another task was given is a moment later the guest's: nothing says when, because the tasks of outbound requests are WASI's own.
const SETTLING: Duration = Duration::from_micros(500);

/// The order of what one invocation waits for. Without somebody who [drives](Turns::drive) it, everything comes to pass at once.
#[derive(Debug, Default)]
pub struct Turns {
    replays: bool,
    driven: AtomicBool,
    under_way: AtomicUsize,
    next_id: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The guest waits, and nothing was handed over since it began to.
    rests: bool,
    /// Something was handed over that the guest may not have looked at.
    unseen: bool,
    arrived: u64,
    /// When something was last handed over to another task.
    settling: Option<Instant>,
    driver: Option<Waker>,
    waiting: Vec<Waiting>,
    /// Whose turn it is.
    turn: Option<u64>,
}

#[derive(Debug)]
struct Waiting {
    place: u64,
    id: u64,
    waker: Option<Waker>,
}

/// When something is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Where the guest waits for this and nothing else.
    AtOnce,
    /// When the guest looks.
    Later,
}

impl Turns {
    /// In the order of arrival.
    pub fn as_they_arrive() -> Arc<Self> {
        Arc::default()
    }

    /// In the order of the places that [`begin`](Self::begin) names.
    pub fn as_recorded() -> Arc<Self> {
        Arc::new(Self {
            replays: true,
            ..Self::default()
        })
    }

    /// Something is under way that the guest may wait for. `place` is where it stands in a recording: `None` for what never came.
    pub fn begin(self: &Arc<Self>, place: Option<u64>) -> Ticket {
        self.under_way.fetch_add(1, Relaxed);
        let id = self.next_id.fetch_add(1, Relaxed);
        if let Some(place) = place.filter(|_| self.replays) {
            let mut state = self.state();
            state.waiting.push(Waiting {
                place,
                id,
                waker: None,
            });
            state.call_next();
        }
        Ticket {
            turns: Arc::clone(self),
            id,
            passed: false,
            never: self.replays && place.is_none(),
            arrived: self.replays,
        }
    }

    /// Runs a guest: each time it rests, the next in order is handed over. `preempted` tells whether it was only made to pause.
    pub async fn drive<F: Future>(
        self: &Arc<Self>,
        guest: F,
        preempted: impl Fn() -> bool,
    ) -> F::Output {
        struct Driving(Arc<Turns>);
        impl Drop for Driving {
            fn drop(&mut self) {
                self.0.driven.store(false, Relaxed);
                for waiting in &mut self.0.state().waiting {
                    waiting.waker.take().into_iter().for_each(Waker::wake);
                }
            }
        }
        self.driven.store(true, Relaxed);
        let _driving = Driving(Arc::clone(self));
        let mut guest = std::pin::pin!(guest);
        poll_fn(|context| {
            self.state().resume(context);
            let polled = {
                let _inside = Inside::enter(self);
                guest.as_mut().poll(context)
            };
            if polled.is_pending() && !preempted() {
                self.state().rest();
            }
            polled
        })
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    /// Whose guest runs on this thread.
    static RUNS: Cell<*const Turns> = const { Cell::new(std::ptr::null()) };
}

/// While a guest runs, what is handed over on its thread is handed over to it.
struct Inside(*const Turns);

impl Inside {
    fn enter(turns: &Arc<Turns>) -> Self {
        Self(RUNS.replace(Arc::as_ptr(turns)))
    }

    fn is(turns: &Arc<Turns>) -> bool {
        RUNS.get() == Arc::as_ptr(turns)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        RUNS.set(self.0);
    }
}

impl State {
    fn resume(&mut self, context: &Context<'_>) {
        self.rests = false;
        self.driver = Some(context.waker().clone());
    }

    fn rest(&mut self) {
        (self.rests, self.unseen) = (true, false);
        self.call_next();
    }

    /// Nothing is handed over while the guest runs, or while something handed over is on its way.
    fn call_next(&mut self) {
        let settles = self
            .settling
            .is_some_and(|since| since.elapsed() < SETTLING);
        if !self.rests || self.turn.is_some() || settles {
            return;
        }
        if let Some(next) = self.waiting.iter_mut().min_by_key(|next| next.place) {
            self.turn = Some(next.id);
            next.waker.take().into_iter().for_each(Waker::wake);
        }
    }

    fn leave(&mut self, id: u64) {
        self.waiting.retain(|waiting| waiting.id != id);
        if self.turn == Some(id) {
            self.turn = None;
            self.call_next();
        }
    }
}

/// Something under way. Dropped, it waits no longer.
#[derive(Debug)]
pub struct Ticket {
    turns: Arc<Turns>,
    id: u64,
    passed: bool,
    never: bool,
    arrived: bool,
}

impl Ticket {
    /// Waits for its turn: it has arrived, and may be handed over.
    pub async fn turn(mut self, seen: Seen) {
        poll_fn(|context| self.poll_turn(seen, context)).await;
    }

    /// See [`turn`](Self::turn).
    pub fn poll_turn(&mut self, seen: Seen, context: &mut Context<'_>) -> Poll<()> {
        if self.passed || (!self.turns.driven.load(Relaxed) && !self.never) {
            self.pass();
            return Poll::Ready(());
        }
        if self.never {
            return Poll::Pending;
        }
        let alone = !self.turns.replays && self.turns.under_way.load(Relaxed) == 1;
        let turns = Arc::clone(&self.turns);
        let mut state = turns.state();
        if alone && (seen == Seen::AtOnce || !state.unseen) {
            state.unseen |= seen == Seen::Later;
            state.leave(self.id);
            self.hand_over(&mut state);
            drop(state);
            self.pass();
            return Poll::Ready(());
        }
        if !std::mem::replace(&mut self.arrived, true) {
            let place = state.arrived;
            state.arrived += 1;
            state.waiting.push(Waiting {
                place,
                id: self.id,
                waker: None,
            });
            state.call_next();
        }
        if state.turn == Some(self.id) {
            (state.rests, state.unseen) = (false, true);
            state.leave(self.id);
            self.hand_over(&mut state);
            drop(state);
            self.pass();
            return Poll::Ready(());
        }
        if let Some(waiting) = state.waiting.iter_mut().find(|it| it.id == self.id) {
            waiting.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// The guest looks, whether it is told of this or not: then it rests again.
    fn hand_over(&self, state: &mut State) {
        if Inside::is(&self.turns) {
            return;
        }
        let Some(driver) = state.driver.clone() else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            // A replay has one thread: what another task is given, it has passed on before the guest runs.
            Ok(runtime) if !self.turns.replays => {
                state.settling = Some(Instant::now());
                let turns = Arc::clone(&self.turns);
                runtime.spawn(async move {
                    tokio::time::sleep(SETTLING).await;
                    // Whoever drives the guest by then: it may have been handed to another task.
                    let driver = turns.state().driver.clone();
                    driver.into_iter().for_each(Waker::wake);
                });
            }
            _ => driver.wake(),
        }
    }

    fn pass(&mut self) {
        if !std::mem::replace(&mut self.passed, true) {
            self.turns.under_way.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.passed {
            self.turns.under_way.fetch_sub(1, Relaxed);
            self.turns.state().leave(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A guest that waits for two at once, and says which was first to be seen.
    async fn race(first: Ticket, second: Ticket) -> &'static str {
        let mut first = std::pin::pin!(first.turn(Seen::Later));
        let mut second = std::pin::pin!(second.turn(Seen::Later));
        poll_fn(|context| {
            let ready = (
                first.as_mut().poll(context).is_ready(),
                second.as_mut().poll(context).is_ready(),
            );
            match ready {
                (true, true) => Poll::Ready("both"),
                (true, false) => Poll::Ready("first"),
                (false, true) => Poll::Ready("second"),
                (false, false) => Poll::Pending,
            }
        })
        .await
    }

    #[tokio::test]
    async fn two_that_are_there_at_once_are_handed_over_one_at_a_time() {
        let turns = Turns::as_they_arrive();
        let (a, b) = (turns.begin(None), turns.begin(None));
        assert_eq!(turns.drive(race(a, b), || false).await, "first");
    }

    #[tokio::test]
    async fn a_replay_hands_over_in_recorded_order_whoever_asked_first() {
        for (places, won) in [((2, 1), "second"), ((1, 2), "first")] {
            let turns = Turns::as_recorded();
            let (a, b) = (turns.begin(Some(places.0)), turns.begin(Some(places.1)));
            assert_eq!(turns.drive(race(a, b), || false).await, won);
        }
    }

    #[tokio::test]
    async fn what_never_came_does_not_come_in_a_replay() {
        let turns = Turns::as_recorded();
        let (never, other) = (turns.begin(None), turns.begin(Some(7)));
        assert_eq!(turns.drive(race(never, other), || false).await, "second");
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_holds_nobody_up() {
        let turns = Turns::as_recorded();
        let (gone, other) = (turns.begin(Some(1)), turns.begin(Some(2)));
        let guest = async {
            let leaves = std::pin::pin!(async {
                tokio::task::yield_now().await;
                drop(gone);
            });
            tokio::join!(leaves, other.turn(Seen::Later));
        };
        turns.drive(guest, || false).await;
    }

    #[tokio::test]
    async fn a_guest_that_was_only_made_to_pause_is_handed_nothing() {
        let turns = Turns::as_they_arrive();
        let (a, b) = (turns.begin(None), turns.begin(None));
        let pauses = Mutex::new(3);
        let preempted = || {
            let mut left = pauses.lock().unwrap();
            *left -= i32::from(*left > 0);
            *left > 0
        };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let guest = async {
            let (mut a, mut b) = (a, b);
            for _ in 0..2 {
                // It arrives while the guest works.
                let there = poll_fn(|context| {
                    let there = a.poll_turn(Seen::Later, context).is_ready();
                    Poll::Ready(there)
                })
                .await;
                seen.lock().unwrap().push(there);
                tokio::task::yield_now().await;
            }
            drop(a);
            poll_fn(|context| b.poll_turn(Seen::Later, context)).await;
        };
        turns.drive(guest, preempted).await;
        assert_eq!(*seen.lock().unwrap(), [false, false]);
    }
}
