//! What a worker counts. Numbers only: nothing here decides anything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a worker has done since it was started. All numbers only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Turns of orchestrations and entities.
    pub turns: u64,
    /// Messages that these turns took in.
    pub messages: u64,
    /// How long these messages waited for their turn, all together, since they came into memory.
    /// What this grows by, divided by what `messages` grows by, is the age of the queue.
    pub message_wait: Duration,
    /// Commits that are durable.
    pub commits: u64,
    /// Rows that these commits wrote: instances, side rows, history, messages, answers.
    pub rows: u64,
    /// Attempts of activities that were started for instances of this worker, wherever they run.
    pub attempts: u64,
    /// Attempts that began to run on this worker.
    pub begun: u64,
    /// How long these waited for a free place here, all together. What this grows by, divided by
    /// what `begun` grows by, is the age of the queue.
    pub attempt_wait: Duration,
    /// Attempts that waited here and were offered to all workers of the hub.
    pub offered: u64,
    /// Attempts that this worker took from what is offered, its own among them.
    pub claimed: u64,
    /// Polls for new messages.
    pub polls: u64,
    /// Instances that were loaded from the store.
    pub loads: u64,
    /// Partitions that this worker took.
    pub leases_acquired: u64,
    /// Partitions that were lost, or left because of a failure.
    pub leases_lost: u64,
    /// Partitions that this worker gave away, because others had too few.
    pub leases_moved: u64,
}

/// The counters behind [`Metrics`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) turns: AtomicU64,
    pub(super) messages: AtomicU64,
    message_wait_micros: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) attempts: AtomicU64,
    begun: AtomicU64,
    attempt_wait_micros: AtomicU64,
    pub(super) offered: AtomicU64,
    pub(super) claimed: AtomicU64,
    pub(super) polls: AtomicU64,
    pub(super) loads: AtomicU64,
    pub(super) leases_acquired: AtomicU64,
    pub(super) leases_lost: AtomicU64,
    pub(super) leases_moved: AtomicU64,
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

fn add_micros(counter: &AtomicU64, time: Duration) {
    counter.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

impl Counters {
    /// Counts messages that a turn takes in, which waited so long all together.
    pub(super) fn taken_in(&self, messages: usize, wait: Duration) {
        add(&self.messages, messages);
        add_micros(&self.message_wait_micros, wait);
    }

    /// Counts an attempt that begins to run after so long.
    pub(super) fn begins(&self, wait: Duration) {
        add(&self.begun, 1);
        add_micros(&self.attempt_wait_micros, wait);
    }

    pub(super) fn read(&self) -> Metrics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            turns: of(&self.turns),
            messages: of(&self.messages),
            message_wait: Duration::from_micros(of(&self.message_wait_micros)),
            commits: of(&self.commits),
            rows: of(&self.rows),
            attempts: of(&self.attempts),
            begun: of(&self.begun),
            attempt_wait: Duration::from_micros(of(&self.attempt_wait_micros)),
            offered: of(&self.offered),
            claimed: of(&self.claimed),
            polls: of(&self.polls),
            loads: of(&self.loads),
            leases_acquired: of(&self.leases_acquired),
            leases_lost: of(&self.leases_lost),
            leases_moved: of(&self.leases_moved),
        }
    }
}
