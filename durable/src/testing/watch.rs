//! What goes on in a hub under test: calls of its store, attempts of activities. Knows when nothing
//! is left that could happen without time. It changes nothing by itself.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::{Clock, SystemClock, VirtualClock};
use crate::program::ActivityFuture;

/// So often in a row all other tasks get their turn without anything happening before a hub is
/// taken to be idle. On a runtime with one thread one round runs everything that can run, or 61
/// tasks of many.
const QUIET_YIELDS: usize = 64;

/// What goes on in one hub.
#[derive(Debug, Default)]
pub(super) struct Watch {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Grows whenever something happens.
    events: u64,
    /// Calls of the store under way.
    calls: usize,
    /// Grows whenever something new is stored.
    stored: u64,
    /// Up to where those who poll for news have been woken.
    told: u64,
    attempts: BTreeMap<u64, Open>,
    next_attempt: u64,
    /// How many calls of the test let time pass.
    driving: usize,
    /// The test waits for what only time can bring, and lets none pass.
    stuck: bool,
}

/// An attempt of an activity that runs.
#[derive(Debug)]
struct Open {
    activity: String,
    instance: String,
    /// What it awaits that lets time pass.
    waits: usize,
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = {
            let mut state = self.lock();
            state.events += 1;
            change(&mut state)
        };
        self.changed.notify_waiters();
        result
    }

    /// A call of the store begins, and ends when the returned value is dropped.
    pub(super) fn call(self: &Arc<Self>) -> StoreCall {
        self.change(|state| state.calls += 1);
        StoreCall(Arc::clone(self))
    }

    /// Something new is in the store.
    pub(super) fn stored(&self) {
        self.change(|state| state.stored += 1);
    }

    fn events(&self) -> u64 {
        self.lock().events
    }

    /// Completes when something has happened since `seen`.
    async fn changed(&self, seen: u64) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if self.events() != seen {
                return;
            }
            changed.await;
        }
    }

    /// The same, unless that takes too long by the clock of the machine.
    pub(super) async fn changes_within(&self, patience: Duration) -> bool {
        let seen = self.events();
        let too_late = SystemClock.sleep_until(SystemClock.now() + patience);
        tokio::select! {
            biased;
            () = self.changed(seen) => true,
            () = too_late => false,
        }
    }

    /// Completes when no call of the store is under way and everything that can run has run.
    async fn quiet(&self) {
        'disturbed: loop {
            let seen = self.events();
            for _ in 0..QUIET_YIELDS {
                tokio::task::yield_now().await;
                if self.events() != seen {
                    continue 'disturbed;
                }
            }
            if self.lock().calls == 0 {
                return;
            }
            self.changed(seen).await;
        }
    }

    /// The same, and those who poll for news know everything that is stored.
    pub(super) async fn told(&self, clock: &VirtualClock) {
        loop {
            self.quiet().await;
            {
                let mut state = self.lock();
                if state.told == state.stored {
                    return;
                }
                state.told = state.stored;
            }
            clock.wake_upkeep();
            self.change(|_| ());
        }
    }

    /// Keeps telling those who poll for news, without time.
    pub(super) async fn keep_telling(&self, clock: &VirtualClock) {
        loop {
            let seen = self.events();
            self.told(clock).await;
            self.changed(seen).await;
        }
    }

    /// Completes when nothing can happen any more but by time or from outside.
    ///
    /// # Panics
    /// If an activity runs for longer than `patience` by the clock of the machine.
    pub(super) async fn idle(&self, clock: &VirtualClock, patience: Duration) {
        loop {
            self.told(clock).await;
            let Some(busy) = self.busy() else { return };
            let goes_on = self.changes_within(patience).await;
            assert!(
                goes_on,
                "time stands still while an activity works, and {busy} has been running for \
                     {patience:?} without waiting for the time of the hub or its cancellation. If \
                     it is to hang, let it await `ctx.cancelled()`, `testing::sleep(..)`, or \
                     anything in `testing::let_time_pass(..)`; if it is slow, raise `.patience(..)`"
            );
        }
    }

    /// The test lets time pass until the returned value is dropped.
    pub(super) fn driving(self: &Arc<Self>) -> Driving {
        self.change(|state| state.driving += 1);
        Driving(Arc::clone(self))
    }

    /// Completes when nothing has happened for as long as `patience` although nobody lets time pass.
    pub(super) async fn stuck(&self, clock: &VirtualClock, patience: Duration) {
        loop {
            self.told(clock).await;
            if !self.changes_within(patience).await
                && self.busy().is_none()
                && self.lock().driving == 0
            {
                self.lock().stuck = true;
                return;
            }
        }
    }

    /// Forgets that the test is stuck, and says whether it was.
    pub(super) fn take_stuck(&self) -> bool {
        std::mem::take(&mut self.lock().stuck)
    }

    /// An activity that works, in words.
    fn busy(&self) -> Option<String> {
        let state = self.lock();
        let open = state.attempts.values().find(|open| open.waits == 0)?;
        Some(format!("`{}` of `{}`", open.activity, open.instance))
    }
}

/// A call of the store that is under way.
pub(super) struct StoreCall(Arc<Watch>);

impl Drop for StoreCall {
    fn drop(&mut self) {
        self.0.change(|state| state.calls -= 1);
    }
}

/// A call of the test that lets time pass.
pub(super) struct Driving(Arc<Watch>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.change(|state| state.driving -= 1);
    }
}

// --- attempts of activities ----------------------------------------------------------------------

/// An attempt of an activity in a hub under test.
#[derive(Debug)]
struct Attempt {
    watch: Arc<Watch>,
    clock: VirtualClock,
    number: u64,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.watch.change(|state| state.attempts.remove(&self.number));
    }
}

thread_local! {
    /// The attempt whose code runs on this thread.
    static CURRENT: RefCell<Option<Arc<Attempt>>> = const { RefCell::new(None) };
}

/// Makes an attempt the current one until it is dropped.
struct Entered(Option<Arc<Attempt>>);

impl Entered {
    fn new(attempt: &Arc<Attempt>) -> Self {
        Self(CURRENT.replace(Some(Arc::clone(attempt))))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

fn current() -> Option<Arc<Attempt>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Runs an attempt so that what it awaits is known.
pub(super) fn attempt(
    watch: &Arc<Watch>,
    clock: &VirtualClock,
    (activity, instance): (&str, &str),
    begin: impl FnOnce() -> ActivityFuture,
) -> ActivityFuture {
    let number = watch.change(|state| {
        state.next_attempt += 1;
        let (activity, instance) = (activity.to_owned(), instance.to_owned());
        state.attempts.insert(state.next_attempt, Open { activity, instance, waits: 0 });
        state.next_attempt
    });
    let attempt = Arc::new(Attempt { watch: Arc::clone(watch), clock: clock.clone(), number });
    let mut running = {
        let _entered = Entered::new(&attempt);
        begin()
    };
    Box::pin(std::future::poll_fn(move |context| {
        let _entered = Entered::new(&attempt);
        running.as_mut().poll(context)
    }))
}

/// A wait of an attempt that lets time pass.
struct Waits(Arc<Attempt>);

impl Waits {
    fn change(&self, change: impl FnOnce(&mut usize)) {
        self.0.watch.change(|state| {
            if let Some(open) = state.attempts.get_mut(&self.0.number) {
                change(&mut open.waits);
            }
        });
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.change(|waits| *waits -= 1);
    }
}

/// Awaits a future inside an activity, and lets the time of the [`TestHub`](super::TestHub) pass
/// meanwhile. Without it time stands still while an activity works.
///
/// What waits for the time of the hub or for cancellation (`testing::sleep`, `ctx.cancelled()`) does
/// this by itself. Outside of a hub under test it only awaits the future.
pub async fn let_time_pass<F: Future>(future: F) -> F::Output {
    let waits = current().map(Waits);
    if let Some(waits) = &waits {
        waits.change(|waits| *waits += 1);
    }
    let output = future.await;
    drop(waits);
    output
}

/// Sleeps inside an activity, real or mocked, on the clock of the [`TestHub`](super::TestHub) that
/// runs it.
///
/// # Panics
///
/// If no hub under test runs the code.
pub async fn sleep(length: Duration) {
    let Some(attempt) = current() else {
        panic!(
            "`testing::sleep` works in activities of a `TestHub` only; in a test, write \
             `hub.advance(..)`"
        )
    };
    let clock = attempt.clock.clone();
    drop(attempt);
    clock.sleep_until(clock.now() + length).await;
}
