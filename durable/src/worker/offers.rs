//! The owner's side of offers: attempts of activities that wait here are put into the store, where
//! any worker claims them (`claims.rs`), this one too. What an offered attempt comes to is a message
//! in the inbox; one that was claimed by a worker that died counts as lost with it.
//!
//! A row of an offer is only a notice. Which attempt counts stands in the state of the instance, so
//! a row that is left over is harmless, and one that is missing is an attempt that was lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use durable_store::{InstanceNo, Offer, StoreError, Timestamp, limits};
use tokio::sync::Notify;

use super::activities::Job;
use super::metrics::add;
use super::partition::{Exit, Fetch, Partition};
use super::slots::Mail;
use super::surplus::{self, Load};
use crate::backoff::retry;
use crate::connection::Connection;
use crate::message::{OfferedAttempt, TaskId};
use crate::registry::Registry;
use crate::telemetry::store_call;
use crate::turn::{ActivityStart, Inbound};

/// Attempts that are offered, or withdrawn, at once.
const OFFER_PAGE: usize = 500;
/// How far from the end of its queue a worker looks for attempts of one partition.
const SEARCH_DEPTH: usize = 4 * OFFER_PAGE;
/// Larger arguments stay with their owner, in bytes: it costs more to carry them than to wait.
const MAX_OFFER_BYTES: usize = 64 * 1024;
/// Claims that ran out are looked for so often in a lease.
const LOOKS_PER_LEASE: u32 = 6;
/// Offers are retried until nobody waits for them any more.
const ATTEMPTS: u32 = u32::MAX;

/// The id of an offered attempt, and of the message with what it came to. No attempt of a task has
/// the number of one before.
pub(super) fn offer_id(no: InstanceNo, task: TaskId, attempt: u32) -> String {
    format!("a{}-{}-{attempt}", no.0, task.0)
}

/// Whether a store takes this name beside an offer.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= limits::MAX_NAME_BYTES && !name.contains('\0')
}

/// Whether others may run the attempt. What this worker cannot run fails here, and not for nobody's
/// taking it.
fn may_leave(registry: &Registry, start: &ActivityStart) -> bool {
    start.entity.is_none()
        && start.input.as_str().len() <= MAX_OFFER_BYTES
        && is_name(&start.name)
        && registry.activity(&start.name).is_some()
}

/// What the partitions of a worker and its claims share.
#[derive(Default)]
pub(super) struct Exchange {
    /// Other workers of the hub that are alive.
    others: AtomicUsize,
    /// What this worker has offered and has not claimed itself, by id.
    kept: Mutex<HashMap<String, Job>>,
    /// There may be something to be claimed.
    pub(super) wake: Notify,
}

impl Exchange {
    fn kept(&self) -> MutexGuard<'_, HashMap<String, Job>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how many other workers are alive.
    pub(super) fn set_others(&self, others: usize) {
        if self.others.swap(others, Ordering::Relaxed) == 0 && others > 0 {
            self.wake.notify_one();
        }
    }

    fn others(&self) -> usize {
        self.others.load(Ordering::Relaxed)
    }

    /// How many attempts this worker has offered and has not claimed itself.
    fn open(&self) -> usize {
        self.kept().len()
    }

    /// Whether anybody may have offered something.
    pub(super) fn is_open(&self) -> bool {
        self.others() > 0 || self.open() > 0
    }

    /// Takes back an attempt that this worker has offered, if it still has it.
    pub(super) fn take(&self, id: &str) -> Option<Job> {
        self.kept().remove(id)
    }
}

/// An attempt that was offered.
struct Open {
    no: InstanceNo,
    task: TaskId,
    attempt: u32,
    instance: Arc<str>,
}

/// What was done about offers.
pub(super) struct Done {
    /// So many attempts are offered now.
    offered: usize,
    /// The claims of these are over.
    lost: Vec<String>,
}

/// The offers of a partition under one lease.
pub(super) struct Offers {
    exchange: Arc<Exchange>,
    open: HashMap<String, Open>,
    /// Ids whose rows are to be removed.
    withdrawn: Vec<String>,
    /// Ids whose claims are over. What they came to may be in the inbox nevertheless.
    suspects: Vec<String>,
    /// The same, as far as the poll under way, or the last one, brings what they came to.
    polled: Vec<String>,
    next_look: Timestamp,
    under_way: Option<Fetch<Done>>,
}

impl Drop for Offers {
    fn drop(&mut self) {
        let mut kept = self.exchange.kept();
        for id in self.open.keys() {
            kept.remove(id);
        }
    }
}

impl Offers {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        Self {
            exchange,
            open: HashMap::new(),
            withdrawn: Vec::new(),
            suspects: Vec::new(),
            polled: Vec::new(),
            next_look: Timestamp::MIN,
            under_way: None,
        }
    }

    /// The call of the store that is under way.
    pub(super) fn under_way(&mut self) -> &mut Option<Fetch<Done>> {
        &mut self.under_way
    }

    /// Whether the store knows everything about them.
    pub(super) fn are_settled(&self) -> bool {
        self.under_way.is_none() && self.withdrawn.is_empty()
    }

    /// An attempt has ended. Whether it was offered.
    pub(super) fn close(&mut self, no: InstanceNo, task: TaskId, attempt: u32) -> bool {
        if self.open.is_empty() {
            return false;
        }
        let id = offer_id(no, task, attempt);
        let is_open = self.open.remove(&id).is_some();
        if is_open {
            self.exchange.take(&id);
            self.withdrawn.push(id);
        }
        is_open
    }

    /// A poll begins: it brings what the suspects may have come to.
    pub(super) fn poll_begins(&mut self) {
        self.polled.append(&mut self.suspects);
    }

    /// Keeps a job, and says what is to be stored of it.
    fn offer(&mut self, job: Job) -> Offer {
        let Job { no, instance, start, .. } = &job;
        let (no, task, attempt) = (*no, start.task, start.attempt);
        let id = offer_id(no, task, attempt);
        let body = OfferedAttempt {
            instance: instance.to_string(),
            number: no.0,
            task,
            attempt,
            input: start.input.clone(),
        };
        let offer = Offer {
            id: id.clone(),
            partition: no.partition(),
            name: start.name.clone(),
            // Text, numbers and checked JSON: writing them cannot fail.
            body: serde_json::to_string(&body).unwrap_or_default().into(),
        };
        let open = Open { no, task, attempt, instance: Arc::clone(instance) };
        self.open.insert(id.clone(), open);
        // Before anybody can claim it.
        self.exchange.kept().insert(id, job);
        offer
    }
}

impl Partition {
    /// Tells the store what there is to tell about offers.
    pub(super) fn begin_offers(&mut self) {
        if self.offers.under_way.is_some() {
            return;
        }
        let count = self.offers.withdrawn.len().min(OFFER_PAGE);
        let withdrawn: Vec<String> = self.offers.withdrawn.drain(..count).collect();
        let had_none = self.offers.open.is_empty();
        let offers = self.surplus();
        if had_none && !offers.is_empty() {
            self.offers.next_look = self.now() + self.look_interval();
        }
        let look = !self.offers.open.is_empty() && self.now() >= self.offers.next_look;
        if withdrawn.is_empty() && offers.is_empty() && !look {
            return;
        }
        if look {
            self.offers.next_look = self.now() + self.look_interval();
        }
        let connection = Arc::clone(&self.committer.connection);
        let lease = self.committer.lease.clone();
        self.offers.under_way = Some(Box::pin(async move {
            let Connection { store, clock, .. } = &*connection;
            if !withdrawn.is_empty() {
                let call = || store.withdraw_offers(&lease, Some(&withdrawn));
                retry(&**clock, ATTEMPTS, || store_call("withdraw_offers", call())).await?;
            }
            if !offers.is_empty() {
                let call = || store.offer_activities(&lease, offers.clone());
                retry(&**clock, ATTEMPTS, || store_call("offer_activities", call())).await?;
            }
            let mut done = Done { offered: offers.len(), lost: Vec::new() };
            if look {
                let call = || store.lost_offers(&lease, clock.now());
                done.lost = retry(&**clock, ATTEMPTS, || store_call("lost_offers", call())).await?;
            }
            Ok(done)
        }));
    }

    /// How often is looked for claims that are over.
    fn look_interval(&self) -> std::time::Duration {
        self.shared.settings.lease_length / LOOKS_PER_LEASE
    }

    /// Takes attempts that would wait for long out of the worker's queue, to be offered.
    fn surplus(&mut self) -> Vec<Offer> {
        let (exchange, activities) = (&self.shared.exchange, &self.shared.activities);
        if exchange.others() == 0 || self.draining.is_cancelled() {
            return Vec::new();
        }
        let count = surplus::of(Load {
            others: exchange.others(),
            limit: activities.limit(),
            waiting: activities.waiting(),
            open: exchange.open(),
        });
        if count == 0 {
            return Vec::new();
        }
        let partition = self.committer.lease.partition;
        let registry = &self.shared.registry;
        let may_leave = |start: &ActivityStart| may_leave(registry, start);
        let count = count.min(OFFER_PAGE);
        let jobs = activities.take_last(partition, count, SEARCH_DEPTH, may_leave);
        jobs.into_iter().map(|job| self.offers.offer(job)).collect()
    }

    /// The store has answered.
    pub(super) fn offers_done(&mut self, done: Result<Done, StoreError>) -> Result<(), Exit> {
        self.offers.under_way = None;
        let Done { offered, mut lost } = done.map_err(|error| self.failed(&error))?;
        if offered > 0 {
            add(&self.shared.counters.offered, offered);
            self.shared.exchange.wake.notify_one();
        }
        if !lost.is_empty() {
            // What was sent before a claim ran out is in the inbox.
            self.poll_wanted = true;
            self.offers.suspects.append(&mut lost);
        }
        Ok(())
    }

    /// A message says how an offered attempt ended.
    pub(super) fn offered_attempt_ended(&mut self, no: InstanceNo, task: TaskId, attempt: u32) {
        if self.offers.close(no, task, attempt) {
            self.forget_running(no, task, attempt);
        }
    }

    fn forget_running(&mut self, no: InstanceNo, task: TaskId, attempt: u32) {
        let key = (no, task);
        if self.running.get(&key).is_some_and(|running| running.attempt == attempt)
            && let Some(running) = self.running.remove(&key)
        {
            running.cancellation.cancel();
        }
    }

    /// Nobody wants the result of an attempt any more: who has claimed it hears of it.
    pub(super) fn withdraw_cancelled(&mut self, no: InstanceNo, task: TaskId, attempt: u32) {
        if self.offers.open.is_empty() {
            return;
        }
        // One that this worker has claimed itself is cancelled by its token, and closed by its end.
        let id = offer_id(no, task, attempt);
        if self.offers.open.contains_key(&id) && self.shared.exchange.take(&id).is_some() {
            self.offers.close(no, task, attempt);
            self.forget_running(no, task, attempt);
        }
    }

    /// The partition is about to be left: what others run of it is begun again by the next owner,
    /// so nobody waits for it here.
    pub(super) fn withdraw_all(&mut self) {
        let open = self.offers.open.values().map(|open| (open.no, open.task, open.attempt));
        for (no, task, attempt) in open.collect::<Vec<_>>() {
            self.withdraw_cancelled(no, task, attempt);
        }
    }

    /// A poll has brought everything: suspects that are still open were lost with their workers.
    pub(super) fn declare_lost(&mut self) {
        for id in std::mem::take(&mut self.offers.polled) {
            let open = self.offers.open.remove(&id);
            self.offers.withdrawn.push(id.clone());
            let Some(Open { no, task, attempt, instance }) = open else { continue };
            tracing::info!(
                instance = &*instance,
                offer = id,
                "an attempt was lost with its worker"
            );
            self.shared.exchange.take(&id);
            self.forget_running(no, task, attempt);
            let lost = Inbound::AttemptLost { number: no, task, attempt };
            self.slots.deliver(&instance, Mail::local(lost, self.now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::ActivityContext;
    use crate::json::Json;
    use crate::program::ActivityFuture;
    use crate::registry::ActivityRunner;
    use crate::turn::{EntityAddress, Identity, OperationStart};

    struct Nothing;

    impl ActivityRunner for Nothing {
        fn run(&self, _: ActivityContext, _: &Json) -> ActivityFuture {
            Box::pin(async { Ok(Json::null()) })
        }
    }

    fn start(name: &str, input: &str) -> ActivityStart {
        let (task, input) = (TaskId(1), Json::from_text(input));
        ActivityStart { task, attempt: 1, name: name.to_owned(), input, entity: None }
    }

    #[test]
    fn what_others_cannot_run_or_would_carry_far_stays() {
        let mut registry = Registry::default();
        for name in ["work", &"x".repeat(limits::MAX_NAME_BYTES + 1), "a\0b"] {
            registry.replace_activity(name, Arc::new(Nothing));
        }
        let may_leave = |start: &ActivityStart| may_leave(&registry, start);
        assert!(may_leave(&start("work", "[]")));
        assert!(!may_leave(&start("unknown", "[]")), "it fails here");
        assert!(!may_leave(&start(&"x".repeat(limits::MAX_NAME_BYTES + 1), "[]")));
        assert!(!may_leave(&start("a\0b", "[]")));
        let large = format!("[\"{}\"]", "x".repeat(MAX_OFFER_BYTES));
        assert!(!may_leave(&start("work", &large)));
        let operation = OperationStart {
            address: EntityAddress { name: "e".to_owned(), key: "k".to_owned() },
            state: None,
            identity: Identity::default(),
            now: Timestamp::MIN,
            default_version: Arc::default(),
        };
        let operation = ActivityStart { entity: Some(Box::new(operation)), ..start("work", "[]") };
        assert!(!may_leave(&operation), "it has the state of its entity");
    }

    #[test]
    fn an_id_tells_attempts_apart() {
        let id = |no, task, attempt| offer_id(InstanceNo(no), TaskId(task), attempt);
        assert_eq!(id(1, 23, 4), "a1-23-4");
        assert_ne!(id(1, 23, 4), id(12, 3, 4));
    }
}
