//! What a worker counts. Numbers only: nothing here decides anything.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a worker has done since it was started. All numbers only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Turns of orchestrations and entities.
    pub turns: u64,
    /// Messages that these turns took in.
    pub messages: u64,
    /// Commits that are durable.
    pub commits: u64,
    /// Rows that these commits wrote: instances, side rows, history, messages, answers.
    pub rows: u64,
    /// Attempts of activities that were started for instances of this worker, wherever they run.
    pub attempts: u64,
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
    pub(super) commits: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) attempts: AtomicU64,
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

impl Counters {
    pub(super) fn read(&self) -> Metrics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            turns: of(&self.turns),
            messages: of(&self.messages),
            commits: of(&self.commits),
            rows: of(&self.rows),
            attempts: of(&self.attempts),
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
