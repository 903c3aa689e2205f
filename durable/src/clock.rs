//! Where time and new ids come from. The only file that may ask the system for either, so that
//! everything else can be run again under a clock that a test holds in its hand.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use durable_store::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::testing::let_time_pass;

/// The future of [`Clock::sleep_until`].
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The source of time and of new ids for workers and clients.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// Completes when the time is `until` or later.
    fn sleep_until(&self, until: Timestamp) -> Sleep;
    /// The same for upkeep: polls that find what a hint was lost for, renewals, cleaning. Nothing
    /// that a program can see waits for it, so a clock that jumps need not stop there, and may
    /// complete it early: who calls looks at the time, or does not mind.
    fn sleep_for_upkeep(&self, until: Timestamp) -> Sleep {
        self.sleep_until(until)
    }
    /// An id that was never given before, anywhere.
    fn new_id(&self) -> Uuid;
}

/// The clock of the machine, and random ids.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// The longest single sleep of the [`SystemClock`]: after it the wall clock is read again, so that
/// a clock that was set is noticed.
const MAX_SLEEP: Duration = Duration::from_mins(1);

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // This is the place.
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    #[allow(clippy::disallowed_methods)] // This is the place.
    fn sleep_until(&self, until: Timestamp) -> Sleep {
        Box::pin(async move {
            loop {
                let rest = until.saturating_since(Self.now());
                if rest.is_zero() {
                    return;
                }
                tokio::time::sleep(rest.min(MAX_SLEEP)).await;
            }
        })
    }

    #[allow(clippy::disallowed_methods)] // This is the place.
    fn new_id(&self) -> Uuid {
        // Ids that follow each other lie together in the indexes of a store.
        Uuid::now_v7()
    }
}

/// How often [`VirtualClock::drive`] lets the other tasks run before it takes them to be idle.
const IDLE_YIELDS: usize = 64;

/// A clock for tests: it stands still until it is advanced, and its ids are a sequence. Clones
/// share it.
///
/// ```
/// use std::time::Duration;
/// use durable::{Clock, VirtualClock};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let clock = VirtualClock::new();
/// let sleep = clock.sleep_until(clock.now() + Duration::from_secs(3600));
/// clock.advance(Duration::from_secs(3600));
/// sleep.await;
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<Mutex<Virtual>>);

#[derive(Debug)]
struct Virtual {
    now: Timestamp,
    seed: u64,
    ids: u64,
    sleepers: BinaryHeap<Reverse<Sleeper>>,
    sleeps: u64,
}

/// Someone who sleeps. Ordered by when it wakes, then by when it lay down.
#[derive(Debug)]
struct Sleeper {
    until: Timestamp,
    number: u64,
    is_upkeep: bool,
    wake: oneshot::Sender<()>,
}

impl Sleeper {
    fn key(&self) -> (Timestamp, u64) {
        (self.until, self.number)
    }
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl VirtualClock {
    /// A clock that stands at 2030-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self::seeded(0)
    }

    /// The same, with ids that differ from those of clocks with another seed.
    pub fn seeded(seed: u64) -> Self {
        /// 2030-01-01T00:00:00Z, a time that no test machine has yet.
        const START: Timestamp = Timestamp::from_micros(1_893_456_000_000_000);
        Self(Arc::new(Mutex::new(Virtual {
            now: START,
            seed,
            ids: 0,
            sleepers: BinaryHeap::new(),
            sleeps: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Virtual> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass and wakes those whose time has come, the earliest first.
    pub fn advance(&self, by: Duration) {
        let until = self.lock().now + by;
        self.advance_to(until);
    }

    /// Moves the time to `until`, if that is later, and wakes those whose time has come.
    pub fn advance_to(&self, until: Timestamp) {
        let mut clock = self.lock();
        clock.now = clock.now.max(until);
        while let Some(Reverse(first)) = clock.sleepers.peek() {
            if first.until > clock.now {
                break;
            }
            if let Some(Reverse(sleeper)) = clock.sleepers.pop() {
                // Whoever gave up waiting does not mind.
                let _ = sleeper.wake.send(());
            }
        }
    }

    /// When the next sleeper wakes, those aside that only sleep for upkeep.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let clock = self.lock();
        let sleepers = clock.sleepers.iter().map(|Reverse(sleeper)| sleeper);
        let due = sleepers.filter(|sleeper| !sleeper.is_upkeep && !sleeper.wake.is_closed());
        due.map(|sleeper| sleeper.until).min()
    }

    /// Wakes those who sleep for upkeep, without time.
    pub(crate) fn wake_upkeep(&self) {
        let mut clock = self.lock();
        for Reverse(sleeper) in std::mem::take(&mut clock.sleepers) {
            if sleeper.is_upkeep {
                // Whoever gave up waiting does not mind.
                let _ = sleeper.wake.send(());
            } else if !sleeper.wake.is_closed() {
                clock.sleepers.push(Reverse(sleeper));
            }
        }
    }

    /// Moves the time to when the next sleeper wakes. Returns whether there was one.
    pub fn advance_to_next(&self) -> bool {
        let next = {
            let mut clock = self.lock();
            while clock.sleepers.peek().is_some_and(|Reverse(first)| first.wake.is_closed()) {
                clock.sleepers.pop();
            }
            clock.sleepers.peek().map(|Reverse(first)| first.until)
        };
        if let Some(until) = next {
            self.advance_to(until);
        }
        next.is_some()
    }

    /// Runs `future` to its end, and lets time pass whenever everything seems to wait for it.
    /// Time may pass too early if something outside of this runtime is slow; nothing may depend
    /// on it not doing so.
    pub async fn drive<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            for _ in 0..IDLE_YIELDS {
                let poll =
                    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
                if let Poll::Ready(output) = poll.await {
                    return output;
                }
                tokio::task::yield_now().await;
            }
            self.advance_to_next();
        }
    }

    fn lie_down(&self, until: Timestamp, is_upkeep: bool) -> Sleep {
        let (wake, woken) = oneshot::channel();
        let mut clock = self.lock();
        if until <= clock.now {
            return Box::pin(std::future::ready(()));
        }
        clock.sleeps += 1;
        let number = clock.sleeps;
        clock.sleepers.push(Reverse(Sleeper { until, number, is_upkeep, wake }));
        Box::pin(let_time_pass(async move {
            if woken.await.is_err() {
                // The clock is gone, and with it all time.
                std::future::pending::<()>().await;
            }
        }))
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn sleep_until(&self, until: Timestamp) -> Sleep {
        self.lie_down(until, false)
    }

    fn sleep_for_upkeep(&self, until: Timestamp) -> Sleep {
        self.lie_down(until, true)
    }

    fn new_id(&self) -> Uuid {
        let mut clock = self.lock();
        clock.ids += 1;
        Uuid::from_u64_pair(clock.seed, clock.ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_their_time_has_come_and_not_before() {
        let clock = VirtualClock::new();
        let start = clock.now();
        let mut long = clock.sleep_until(start + Duration::from_secs(10));
        let short = clock.sleep_until(start + Duration::from_secs(5));
        clock.advance(Duration::from_secs(5));
        short.await;
        let early = std::future::poll_fn(|cx| Poll::Ready(long.as_mut().poll(cx))).await;
        assert!(early.is_pending());
        assert!(clock.advance_to_next());
        long.await;
        assert_eq!(clock.now(), start + Duration::from_secs(10));
        assert!(!clock.advance_to_next());
    }

    #[tokio::test]
    async fn driving_passes_the_time_that_a_future_sleeps() {
        let clock = VirtualClock::new();
        let start = clock.now();
        let until = start + Duration::from_hours(1);
        clock.drive(clock.sleep_until(until)).await;
        assert_eq!(clock.now(), until);
    }

    #[tokio::test]
    async fn upkeep_is_not_due_and_can_be_woken_without_time() {
        let clock = VirtualClock::new();
        let start = clock.now();
        let upkeep = clock.sleep_for_upkeep(start + Duration::from_secs(1));
        let sleep = clock.sleep_until(start + Duration::from_secs(5));
        assert_eq!(clock.next_due(), Some(start + Duration::from_secs(5)));
        clock.wake_upkeep();
        upkeep.await;
        assert_eq!(clock.now(), start);
        drop(sleep);
        assert_eq!(clock.next_due(), None);
    }

    #[test]
    fn ids_differ() {
        let (one, other) = (VirtualClock::new(), VirtualClock::seeded(1));
        assert_ne!(one.new_id(), one.new_id());
        assert_ne!(one.new_id(), other.new_id());
    }
}
