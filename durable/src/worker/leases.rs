//! Which partitions this worker owns: takes its share of them, renews the leases, runs one task for
//! each, and gives them back, also those that others have too few of. Only the epoch of a lease
//! gives safety; everything here is about liveness.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use durable_store::{Hint, Lease, PartitionId, StoreError, Timestamp, limits};
use tokio::sync::{Notify, broadcast};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::flight::Unresolved;
use super::metrics::add;
use super::offers::Exchange;
use super::partition::{Exit, Partition, Shared};
use super::share;
use crate::backoff;
use crate::connection::Connection;
use crate::telemetry::store_call;

/// How often free partitions are looked for, at most, while other workers hold some.
const ACQUIRE_INTERVAL: Duration = Duration::from_secs(1);
/// Free partitions are looked for at least so often in a lease.
const LOOKS_PER_LEASE: u32 = 6;
/// How often the store is told to forget what is over.
const CLEAN_INTERVAL: Duration = Duration::from_mins(10);
/// A lease is renewed when so much of it is over.
const RENEW_DIVISOR: u32 = 3;

/// Who is to be woken when a partition gets messages.
pub(super) type Wakes = Arc<Mutex<HashMap<PartitionId, Arc<Notify>>>>;

/// A partition that this worker owns.
struct Held {
    lease: Lease,
    since: Timestamp,
    /// The partition is to be left in good order.
    draining: CancellationToken,
    stop: CancellationToken,
}

/// Commits of a partition whose outcome is not known. Who takes the partition next finds out, so
/// it must be this worker, with nobody between.
struct Doubt {
    /// The last epoch that was this worker's.
    epoch: i64,
    /// When those who wait for an answer are told that there will be none.
    until: Timestamp,
    commits: Vec<Unresolved>,
}

/// The leases of one worker, and the tasks that run under them.
pub(super) struct Leases {
    shared: Arc<Shared>,
    stopped: CancellationToken,
    wakes: Wakes,
    held: HashMap<PartitionId, Held>,
    tasks: JoinSet<Exit>,
    /// Under which lease each task runs.
    by_task: HashMap<Id, Lease>,
    /// Leases of partitions that were left, to be given back.
    returned: Vec<Lease>,
    /// Commits in doubt.
    doubts: HashMap<PartitionId, Doubt>,
    /// Partitions that were left in a row without a commit between.
    failures: u32,
    /// Until when the leases are renewed, and this worker is alive to others if it has its share.
    alive_until: Timestamp,
    /// Whether it waits for more partitions.
    is_hungry: bool,
    next_acquire: Timestamp,
    next_renew: Timestamp,
    next_clean: Timestamp,
}

/// However it ends: clients of this process find their way through the store from now on.
impl Drop for Leases {
    fn drop(&mut self) {
        for partition in self.held.keys() {
            self.leave(*partition);
        }
    }
}

impl Leases {
    pub(super) fn new(shared: Arc<Shared>, stopped: CancellationToken, wakes: Wakes) -> Self {
        Self {
            shared,
            stopped,
            wakes,
            held: HashMap::new(),
            tasks: JoinSet::new(),
            by_task: HashMap::new(),
            returned: Vec::new(),
            doubts: HashMap::new(),
            failures: 0,
            alive_until: Timestamp::MIN,
            is_hungry: true,
            next_acquire: Timestamp::MIN,
            next_renew: Timestamp::MIN,
            next_clean: Timestamp::MIN,
        }
    }

    fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    fn now(&self) -> Timestamp {
        self.connection().clock.now()
    }

    fn expiry(&self) -> Timestamp {
        self.now() + self.shared.settings.lease_length
    }

    /// Takes its share of what is free when the worker starts, and of what a predecessor of the same
    /// identity held.
    pub(super) async fn acquire_first(&mut self) -> Result<(), StoreError> {
        self.next_renew = self.now() + self.shared.settings.lease_length / RENEW_DIVISOR;
        self.alive_until = self.expiry();
        self.look().await
    }

    /// Runs until the worker stops or has shut down.
    pub(super) async fn run(mut self) {
        let stopped = self.stopped.clone();
        tokio::select! {
            biased;
            () = stopped.cancelled() => {}
            () = self.work() => {}
        }
    }

    /// The partition is not owned here any more.
    fn leave(&self, partition: PartitionId) {
        self.connection().doors.close(partition);
        self.connection().waiters.forget_under_way();
    }

    async fn work(&mut self) {
        let draining = self.shared.draining.clone();
        self.next_clean = self.now() + CLEAN_INTERVAL;
        loop {
            let next = self.next_renew.min(self.next_clean);
            let clock = &self.connection().clock;
            let sleep = match self.next_acquire_at() {
                Timestamp::MAX => clock.sleep_for_upkeep(next),
                acquire => clock.sleep_until(acquire.min(next)),
            };
            tokio::select! {
                biased;
                () = draining.cancelled() => return self.drain().await,
                Some(exit) = self.tasks.join_next_with_id() => self.left(exit),
                () = sleep => {}
            }
            self.all_left();
            self.give_back().await;
            let renewed = self.renew_if_due().await;
            self.look_if_due(renewed).await;
            self.clean_if_due().await;
            self.give_up_answers();
        }
    }

    /// The time between two looks, and between two attempts to renew.
    fn interval(&self) -> Duration {
        ACQUIRE_INTERVAL.min(self.shared.settings.lease_length / LOOKS_PER_LEASE)
    }

    /// When to look for partitions between renewals: not while all are held.
    fn next_acquire_at(&self) -> Timestamp {
        let all = self.held.len() >= usize::from(self.shared.partitions);
        if all && self.returned.is_empty() { Timestamp::MAX } else { self.next_acquire }
    }

    /// Looks after every renewal, and between them as long as others hold partitions.
    async fn look_if_due(&mut self, renewed: bool) {
        if renewed || self.now() >= self.next_acquire_at() {
            // A failure has been reported; the next round is the retry.
            let _ = self.look().await;
        }
    }

    /// Says that this worker is alive, sees who else is, and takes or gives back partitions so that
    /// each has its share.
    async fn look(&mut self) -> Result<(), StoreError> {
        self.next_acquire = self.now() + self.interval();
        let store = Arc::clone(&self.connection().store);
        let worker = self.shared.settings.worker_id.clone();
        let call = store.check_in(&worker, self.now(), self.alive_until());
        let peers = store_call("check_in", call).await?;
        self.shared.exchange.set_others(peers.len().saturating_sub(1));
        let kept = self.kept().count();
        let share = share::of(&worker, kept, usize::from(self.shared.partitions), &peers);
        self.give_away(share.give_back, peers.len());
        self.is_hungry = share.may_take > 0;
        if share.may_take > 0 {
            let limit = u16::try_from(share.may_take).unwrap_or(u16::MAX);
            let held: Vec<PartitionId> = self.held.keys().copied().collect();
            let call = store.acquire_leases(&worker, limit, &held, self.now(), self.expiry());
            let leases = store_call("acquire_leases", call).await?;
            self.is_hungry = leases.len() < share.may_take;
            self.begin(leases);
        }
        Ok(())
    }

    /// What others hand over for one that waits for it lies idle if that one is dead, so who waits
    /// is alive for a short time only. Who has its share says the same until its next renewal, which
    /// costs a store less.
    fn alive_until(&self) -> Timestamp {
        if self.is_hungry {
            self.now() + self.shared.settings.lease_length / RENEW_DIVISOR
        } else {
            self.alive_until
        }
    }

    /// The partitions that are not about to be left.
    fn kept(&self) -> impl Iterator<Item = (&PartitionId, &Held)> {
        self.held.iter().filter(|(_, held)| !held.draining.is_cancelled())
    }

    /// Lets so many partitions drain, so that others can take them. Those that came last go first:
    /// what runs for long is more likely to be in the others.
    fn give_away(&self, count: usize, workers: usize) {
        let mut kept: Vec<_> = self.kept().collect();
        kept.sort_by_key(|(partition, held)| std::cmp::Reverse((held.since, **partition)));
        for (partition, held) in kept.into_iter().take(count) {
            tracing::info!(partition = partition.0, workers, "partition is handed to others");
            held.draining.cancel();
        }
    }

    /// Runs the partitions of new leases.
    fn begin(&mut self, leases: Vec<Lease>) {
        for lease in leases {
            let partition = lease.partition;
            tracing::info!(partition = partition.0, epoch = lease.epoch, "partition acquired");
            // One that was held already, under an older epoch, begins anew.
            self.lose(partition);
            let stop = self.stopped.child_token();
            let draining = self.shared.draining.child_token();
            let wake = Arc::new(Notify::new());
            self.wakes().insert(partition, Arc::clone(&wake));
            let unresolved = self.take_doubts(&lease);
            let arrivals = self.connection().doors.open(partition);
            let (shared, ends) = (Arc::clone(&self.shared), (draining.clone(), stop.clone()));
            let task = Partition::new(shared, lease.clone(), wake, arrivals, ends);
            let handle = self.tasks.spawn(task.run(unresolved));
            self.by_task.insert(handle.id(), lease.clone());
            add(&self.shared.counters.leases_acquired, 1);
            self.held.insert(partition, Held { lease, since: self.now(), draining, stop });
        }
    }

    fn wakes(&self) -> std::sync::MutexGuard<'_, HashMap<PartitionId, Arc<Notify>>> {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops a partition from memory, if it is held.
    fn lose(&mut self, partition: PartitionId) {
        if self.drop_held(partition) {
            add(&self.shared.counters.leases_lost, 1);
        }
    }

    fn drop_held(&mut self, partition: PartitionId) -> bool {
        let held = self.held.remove(&partition);
        if let Some(held) = &held {
            held.stop.cancel();
            self.wakes().remove(&partition);
            self.leave(partition);
        }
        held.is_some()
    }

    /// Everything that has ended by now, so that its leases are given back together.
    fn all_left(&mut self) {
        while let Some(exit) = self.tasks.try_join_next_with_id() {
            self.left(exit);
        }
    }

    /// The task of a partition has ended.
    fn left(&mut self, exit: Result<(Id, Exit), JoinError>) {
        let (id, mut exit) = match exit {
            Ok((id, exit)) => (id, exit),
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "the loop of a partition panicked: this is a bug");
                }
                (error.id(), Exit::Failed { unresolved: None, progress: false })
            }
        };
        let Some(lease) = self.by_task.remove(&id) else { return };
        let partition = lease.partition;
        if let Exit::Stopped(commit) | Exit::Lost(commit) | Exit::Failed { unresolved: commit, .. } =
            &mut exit
            && let Some(commit) = commit.take()
        {
            let (epoch, until) = (lease.epoch, self.expiry());
            let doubt = Doubt { epoch, until, commits: Vec::new() };
            let doubt = self.doubts.entry(partition).or_insert(doubt);
            doubt.commits.push(commit);
        }
        let is_current =
            self.held.get(&partition).is_some_and(|held| held.lease.epoch == lease.epoch);
        if !is_current {
            return;
        }
        match exit {
            Exit::Stopped(_) | Exit::Lost(_) => self.lose(partition),
            Exit::Drained => {
                self.drop_held(partition);
                if !self.shared.draining.is_cancelled() {
                    add(&self.shared.counters.leases_moved, 1);
                }
                self.returned.push(lease);
            }
            Exit::Failed { progress, .. } => {
                self.lose(partition);
                self.returned.push(lease);
                self.failures = if progress { 0 } else { self.failures + 1 };
                // The first time it may be a matter of chance; after that it takes its time.
                let delay = match self.failures {
                    0 => Duration::ZERO,
                    failures => backoff::delay(failures),
                };
                self.next_acquire = self.now() + delay;
            }
        }
    }

    /// Who waits for an answer that only a commit in doubt could have given is told after a while,
    /// if the partition has not come back to tell.
    fn give_up_answers(&mut self) {
        let now = self.now();
        self.doubts.retain(|_, doubt| doubt.until > now);
    }

    /// The commits in doubt that the owner under this lease can find out about. If somebody else
    /// had the partition meanwhile, what was consumed may have been so by him.
    fn take_doubts(&mut self, lease: &Lease) -> Vec<Unresolved> {
        match self.doubts.get(&lease.partition) {
            Some(doubt) if doubt.epoch + 1 == lease.epoch => {
                self.doubts.remove(&lease.partition).map(|doubt| doubt.commits).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// Lets the store forget what nobody can need any more. The owner of the first partition does
    /// it for all.
    async fn clean_if_due(&mut self) {
        if self.now() < self.next_clean {
            return;
        }
        self.next_clean = self.now() + CLEAN_INTERVAL;
        if !self.held.contains_key(&PartitionId(0)) {
            return;
        }
        let now = self.now();
        let receipts_before = now - Duration::from_secs(limits::RECEIPT_WINDOW_SECS);
        let replies_before = now - Duration::from_secs(limits::REPLY_WINDOW_SECS);
        let store = &self.connection().store;
        // A failure has been reported; the next time is the retry.
        let _ = store_call("clean", store.clean(receipts_before, replies_before)).await;
    }

    /// Gives back the leases of partitions that were left, so that somebody takes them anew.
    async fn give_back(&mut self) {
        if self.returned.is_empty() {
            return;
        }
        let store = &self.connection().store;
        let result = store_call("release_leases", store.release_leases(&self.returned)).await;
        if result.is_ok() {
            self.returned.clear();
        }
    }

    /// Whether it was due.
    async fn renew_if_due(&mut self) -> bool {
        if self.now() < self.next_renew {
            return false;
        }
        self.next_renew = self.now() + self.shared.settings.lease_length / RENEW_DIVISOR;
        self.alive_until = self.expiry();
        let leases: Vec<Lease> = self.held.values().map(|held| held.lease.clone()).collect();
        if leases.is_empty() {
            return true;
        }
        let store = &self.connection().store;
        let renewed = store_call("renew_leases", store.renew_leases(&leases, self.expiry())).await;
        let Ok(renewed) = renewed else {
            // Whoever takes over raises the epoch, so going on is safe. Try again soon.
            self.next_renew = self.now() + self.interval();
            return true;
        };
        for lease in leases {
            if !renewed.iter().any(|kept| kept.partition == lease.partition) {
                tracing::info!(partition = lease.partition.0, "partition lost");
                self.lose(lease.partition);
            }
        }
        true
    }

    /// Tells the other workers that their shares grow, waits until every partition is drained,
    /// renewing meanwhile, and gives the leases back. A store that does not answer ends the wait.
    async fn drain(&mut self) {
        let settings = &self.shared.settings;
        let give_up = self.now() + settings.shutdown_grace + settings.lease_length;
        let (store, worker) = (Arc::clone(&self.connection().store), settings.worker_id.clone());
        let sleep = self.connection().clock.sleep_until(give_up);
        tokio::select! {
            biased;
            // A failure has been reported. Then the others wait until its time is over.
            _ = store_call("check_in", store.check_in(&worker, self.now(), Timestamp::MIN)) => {}
            () = sleep => {}
        }
        while !self.tasks.is_empty() && self.now() < give_up {
            let sleep = self.connection().clock.sleep_until(self.next_renew.min(give_up));
            tokio::select! {
                biased;
                Some(exit) = self.tasks.join_next_with_id() => self.left(exit),
                () = sleep => {
                    self.renew_if_due().await;
                }
            }
            self.all_left();
            self.give_back().await;
        }
        self.give_back().await;
    }
}

/// Wakes whom the store has something for.
pub(super) async fn forward_hints(
    mut hints: broadcast::Receiver<Hint>,
    wakes: Wakes,
    exchange: Arc<Exchange>,
    stopped: CancellationToken,
) {
    loop {
        let hint = tokio::select! {
            biased;
            () = stopped.cancelled() => return,
            hint = hints.recv() => hint,
        };
        let wakes = wakes.lock().unwrap_or_else(PoisonError::into_inner);
        match hint {
            Ok(Hint::Messages(partition)) => {
                if let Some(wake) = wakes.get(&partition) {
                    wake.notify_one();
                }
            }
            Ok(Hint::Offers) => exchange.wake.notify_one(),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                wakes.values().for_each(|wake| wake.notify_one());
                exchange.wake.notify_one();
            }
            // The store is shutting down; the partitions will hear of it themselves.
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
