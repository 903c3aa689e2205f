//! The reference backend: the contract in ordinary collections behind one mutex. It is the
//! executable specification, so it prefers being obvious to being clever, and it forgets
//! everything when its last clone is dropped.

mod offers;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::Timestamp;
use crate::check::{Check, lease_lost};
use crate::error::{StoreError, StoreErrorKind};
use crate::limits;
use crate::listeners::Listeners;
use crate::model::{
    Accepted, Batch, Condition, Envelope, Hint, Hub, InstanceChange, InstanceNo, InstanceQuery,
    InstanceRecord, Lease, Message, NewInstance, Offer, Page, PartitionId, Payload, Peer, Polled,
    Receipt, Renewal, Reply, SideKey, Status, StoredInstance,
};
use crate::store::{Result, Store};

/// A hub in memory, for tests and for trying things out. Clones share it.
///
/// ```
/// use durable_store::{MemoryStore, Store, Timestamp};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> durable_store::Result<()> {
/// let store = MemoryStore::with_partitions(4);
/// let now = Timestamp::from_micros(0);
/// let leases = store.acquire_leases("worker-1", 4, &[], now, Timestamp::MAX).await?;
/// assert_eq!(leases.len(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MemoryStore {
    partitions: u16,
    tables: Arc<Mutex<Tables>>,
    listeners: Listeners,
}

impl MemoryStore {
    /// An empty hub with [`limits::DEFAULT_PARTITIONS`].
    pub fn new() -> Self {
        Self::with_partitions(limits::DEFAULT_PARTITIONS)
    }

    /// An empty hub with `partitions`, at least one and at most [`limits::MAX_PARTITIONS`].
    pub fn with_partitions(partitions: u16) -> Self {
        let partitions = partitions.clamp(1, limits::MAX_PARTITIONS);
        let owners = (0..partitions).map(|_| Ownership::default()).collect();
        let tables = Tables { owners, next_number: 1, ..Tables::default() };
        Self { partitions, tables: Arc::new(Mutex::new(tables)), listeners: Listeners::new() }
    }

    /// A panic elsewhere cannot have left a half-made change: everything is checked before
    /// anything is changed.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hint(&self, partitions: BTreeSet<PartitionId>) {
        for partition in partitions {
            self.listeners.tell(Hint::Messages(partition));
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn hub(&self) -> Result<Hub> {
        Ok(Hub { partitions: self.partitions })
    }

    async fn reserve_numbers(&self, count: u32) -> Result<i64> {
        let mut tables = self.tables();
        let first = tables.next_number;
        tables.next_number += i64::from(count);
        Ok(first)
    }

    async fn check_in(
        &self,
        worker: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Peer>> {
        Check::new("check_in", self.partitions).owner(worker)?;
        Ok(self.tables().check_in(worker, now, expires_at))
    }

    async fn acquire_leases(
        &self,
        owner: &str,
        limit: u16,
        held: &[PartitionId],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Lease>> {
        Check::new("acquire_leases", self.partitions).owner(owner)?;
        Ok(self.tables().acquire(owner, limit, held, now, expires_at))
    }

    async fn renew_leases(&self, leases: &[Lease], expires_at: Timestamp) -> Result<Vec<Lease>> {
        let mut tables = self.tables();
        let mut renewed = Vec::with_capacity(leases.len());
        for lease in leases {
            if let Some(held) = tables.held(lease) {
                held.expires_at = expires_at;
                renewed.push(Lease { expires_at, ..lease.clone() });
            }
        }
        Ok(renewed)
    }

    async fn release_leases(&self, leases: &[Lease]) -> Result<()> {
        let mut tables = self.tables();
        for lease in leases {
            if let Some(held) = tables.held(lease) {
                held.owner = None;
            }
        }
        Ok(())
    }

    async fn load_partition(&self, lease: &Lease) -> Result<Vec<StoredInstance>> {
        let tables = self.tables();
        tables.fence("load_partition", lease)?;
        let busy = tables.busy.iter().filter(|no| no.partition() == lease.partition);
        Ok(busy.filter_map(|no| tables.instances.get(no)).map(Row::stored).collect())
    }

    async fn load_instances(&self, lease: &Lease, ids: &[String]) -> Result<Vec<StoredInstance>> {
        let tables = self.tables();
        tables.fence("load_instances", lease)?;
        let rows = tables.rows_of(ids).into_iter();
        Ok(rows
            .filter(|row| row.record.no.partition() == lease.partition)
            .map(Row::stored)
            .collect())
    }

    async fn poll(&self, lease: &Lease, horizon: Timestamp, limit: usize) -> Result<Polled> {
        let tables = self.tables();
        tables.fence("poll", lease)?;
        let p = lease.partition;
        let inbox = tables.inbox.range((p, 0)..=(p, u64::MAX));
        let scheduled = tables.scheduled.range((p, Timestamp::MIN, 0)..=(p, horizon, u64::MAX));
        Ok(Polled {
            inbox: inbox.take(limit).map(|(_, message)| message.clone()).collect(),
            scheduled: scheduled.take(limit).map(|(_, message)| message.clone()).collect(),
        })
    }

    async fn commit(&self, lease: &Lease, batch: Batch) -> Result<()> {
        Check::new("commit", self.partitions).batch(lease, &batch)?;
        let is_news = batch.news;
        let hinted = {
            let mut tables = self.tables();
            tables.fence("commit", lease)?;
            tables.check_commit(lease, &batch)?;
            tables.apply(lease.partition, batch)
        };
        self.hint(hinted);
        if is_news {
            self.listeners.tell_news(lease.partition);
        }
        Ok(())
    }

    async fn send(&self, envelopes: Vec<Envelope>, now: Timestamp) -> Result<Vec<Accepted>> {
        Check::new("send", self.partitions).envelopes(&envelopes)?;
        let mut hinted = BTreeSet::new();
        let answers = {
            let mut tables = self.tables();
            envelopes
                .into_iter()
                .map(|envelope| tables.accept(envelope, now, &mut hinted))
                .collect()
        };
        self.hint(hinted);
        Ok(answers)
    }

    async fn read_instances(&self, ids: &[String]) -> Result<Vec<InstanceRecord>> {
        Ok(self.tables().rows_of(ids).into_iter().map(|row| row.record.clone()).collect())
    }

    async fn find_instances(
        &self,
        query: &InstanceQuery,
        after: Option<InstanceNo>,
        limit: usize,
    ) -> Result<Page> {
        let tables = self.tables();
        let limit = limit.min(limits::MAX_PAGE_ROWS);
        let mut matching = tables
            .instances
            .iter()
            .filter(|(no, _)| after.is_none_or(|after| **no > after))
            .map(|(_, row)| &row.record)
            .filter(|record| matches(query, record));
        let records: Vec<_> = matching.by_ref().take(limit).cloned().collect();
        let more = matching.next().is_some();
        let next = records.last().filter(|_| more).map(|last| last.no);
        Ok(Page { records, next })
    }

    async fn count_instances(&self, query: &InstanceQuery) -> Result<u64> {
        let tables = self.tables();
        Ok(tables.instances.values().filter(|row| matches(query, &row.record)).count() as u64)
    }

    async fn purge_instances(&self, numbers: &[InstanceNo]) -> Result<Vec<InstanceNo>> {
        Check::new("purge_instances", self.partitions).numbers(numbers)?;
        let mut tables = self.tables();
        Ok(numbers.iter().copied().filter(|no| tables.purge(*no)).collect())
    }

    async fn read_history(
        &self,
        no: InstanceNo,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Payload)>> {
        let tables = self.tables();
        let Some(row) = tables.instances.get(&no) else {
            return Ok(Vec::new());
        };
        let later = row.history.iter().filter(|(turn, _)| **turn > after);
        Ok(later
            .take(limit.min(limits::MAX_PAGE_ROWS))
            .map(|(turn, events)| (*turn, events.clone()))
            .collect())
    }

    async fn read_replies(&self, requests: &[String]) -> Result<Vec<(String, Payload)>> {
        let tables = self.tables();
        let requests: BTreeSet<&String> = requests.iter().collect();
        let found = requests.into_iter().filter_map(|request| tables.replies.get(request));
        Ok(found.map(|reply| (reply.request.clone(), reply.body.clone())).collect())
    }

    async fn clean(&self, receipts_before: Timestamp, replies_before: Timestamp) -> Result<()> {
        let mut tables = self.tables();
        tables.receipts.retain(|_, at| *at >= receipts_before);
        tables.replies.retain(|_, reply| reply.at >= replies_before);
        Ok(())
    }

    async fn offer_activities(&self, lease: &Lease, offers: Vec<Offer>) -> Result<()> {
        Check::new("offer_activities", self.partitions).offers(lease, &offers)?;
        {
            let mut tables = self.tables();
            tables.fence("offer_activities", lease)?;
            tables.offers.add(offers);
        }
        self.listeners.tell(Hint::Offers);
        Ok(())
    }

    async fn withdraw_offers(&self, lease: &Lease, ids: Option<&[String]>) -> Result<()> {
        let mut tables = self.tables();
        tables.fence("withdraw_offers", lease)?;
        match ids {
            Some(ids) => tables.offers.withdraw(lease.partition, ids),
            None => tables.offers.withdraw_all(lease.partition),
        }
        Ok(())
    }

    async fn lost_offers(&self, lease: &Lease, now: Timestamp) -> Result<Vec<String>> {
        let tables = self.tables();
        tables.fence("lost_offers", lease)?;
        Ok(tables.offers.lost(lease.partition, now))
    }

    async fn claim_offers(
        &self,
        worker: &str,
        names: &[String],
        limit: usize,
        expires_at: Timestamp,
    ) -> Result<Vec<Offer>> {
        Check::new("claim_offers", self.partitions).claims(worker, names)?;
        let limit = limit.min(limits::MAX_PAGE_ROWS);
        Ok(self.tables().offers.claim(worker, names, limit, expires_at))
    }

    async fn renew_claims(
        &self,
        worker: &str,
        ids: &[String],
        expires_at: Timestamp,
    ) -> Result<Vec<String>> {
        Check::new("renew_claims", self.partitions).claims(worker, ids)?;
        Ok(self.tables().offers.renew(worker, ids, expires_at))
    }

    async fn release_claims(&self, worker: &str, ids: &[String]) -> Result<()> {
        Check::new("release_claims", self.partitions).claims(worker, ids)?;
        self.tables().offers.release(worker, ids);
        Ok(())
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.listeners.hints()
    }

    fn news(&self) -> broadcast::Receiver<PartitionId> {
        self.listeners.news()
    }
}

/// Who owns a partition.
#[derive(Debug, Default)]
struct Ownership {
    epoch: i64,
    owner: Option<String>,
    expires_at: Timestamp,
}

/// An instance with everything that hangs on it.
#[derive(Debug)]
struct Row {
    record: InstanceRecord,
    side: BTreeMap<SideKey, Payload>,
    history: BTreeMap<i64, Payload>,
}

impl Row {
    fn new(new: NewInstance) -> Self {
        let record = InstanceRecord {
            no: new.no,
            id: new.id,
            kind: new.kind,
            name: new.name,
            version: new.version,
            parent: new.parent,
            request: new.request,
            status: Status::Pending,
            blocked: None,
            created_at: new.created_at,
            starts_at: new.starts_at,
            tags: new.tags,
            updated_at: new.created_at,
            finished_at: None,
            input: new.input,
            state: None,
            output: None,
            custom_status: None,
        };
        Self { record, side: BTreeMap::new(), history: BTreeMap::new() }
    }

    fn stored(&self) -> StoredInstance {
        let side = self.side.iter().map(|(key, body)| (*key, body.clone())).collect();
        StoredInstance { record: self.record.clone(), side }
    }

    fn change(&mut self, change: InstanceChange) {
        let record = &mut self.record;
        let is_late = change.status == Status::Failed && change.finished_at.is_none();
        if !(is_late && record.status == Status::Running) {
            record.status = change.status;
        }
        if let Some(Renewal { version, input }) = change.renew {
            (record.version, record.input) = (version, input);
        }
        record.blocked = change.blocked;
        record.updated_at = change.updated_at;
        let finished_at = change.finished_at.or(record.finished_at);
        record.finished_at = finished_at.filter(|_| record.status.is_terminal());
        if change.state.is_some() {
            record.state = change.state;
        }
        if change.output.is_some() {
            record.output = change.output;
        }
        if let Some(custom_status) = change.custom_status {
            record.custom_status = custom_status;
        }
        if change.clear_side {
            self.side.clear();
        }
        for key in change.delete_side {
            self.side.remove(&key);
        }
        self.side.extend(change.put_side);
        self.history.extend(change.history);
        if let Some(first) = change.forget_history_before {
            self.history = self.history.split_off(&first);
        }
    }
}

/// Where a stored message is.
#[derive(Debug, Clone, Copy)]
enum Place {
    Inbox(PartitionId, u64),
    Scheduled(PartitionId, Timestamp, u64),
}

#[derive(Debug, Default)]
struct Tables {
    /// By partition.
    owners: Vec<Ownership>,
    /// Until when each worker is alive.
    workers: BTreeMap<String, Timestamp>,
    next_number: i64,
    /// Grows with each message: the order of arrival.
    next_seq: u64,
    instances: BTreeMap<InstanceNo, Row>,
    numbers: HashMap<String, InstanceNo>,
    busy: BTreeSet<InstanceNo>,
    inbox: BTreeMap<(PartitionId, u64), Message>,
    scheduled: BTreeMap<(PartitionId, Timestamp, u64), Message>,
    /// Every message of the inbox and the schedule by its id.
    places: HashMap<String, Place>,
    receipts: HashMap<String, Timestamp>,
    replies: HashMap<String, Reply>,
    offers: offers::Offers,
}

impl Tables {
    fn check_in(&mut self, worker: &str, now: Timestamp, until: Timestamp) -> Vec<Peer> {
        self.workers.insert(worker.to_owned(), until);
        self.workers.retain(|_, until| *until > now);
        let owners = &self.owners;
        let count = |worker: &String| {
            let held = owners.iter().filter(|held| held.owner.as_ref() == Some(worker)).count();
            u16::try_from(held).unwrap_or(u16::MAX)
        };
        let workers = self.workers.keys();
        workers.map(|worker| Peer { worker: worker.clone(), partitions: count(worker) }).collect()
    }

    fn acquire(
        &mut self,
        owner: &str,
        limit: u16,
        held: &[PartitionId],
        now: Timestamp,
        until: Timestamp,
    ) -> Vec<Lease> {
        let kept: HashSet<usize> = held.iter().map(|held| usize::from(held.0)).collect();
        let is_own = |held: &Ownership| held.owner.as_deref() == Some(owner);
        let is_open = |held: &Ownership| held.owner.is_none() || held.expires_at <= now;
        let all = || (0..self.owners.len()).filter(|i| !kept.contains(i));
        let open = all().filter(|&i| !is_own(&self.owners[i]) && is_open(&self.owners[i]));
        let own = all().filter(|&i| is_own(&self.owners[i]));
        let chosen: Vec<usize> = open.chain(own).take(usize::from(limit)).collect();
        let mut leases = Vec::with_capacity(chosen.len());
        for i in chosen {
            let held = &mut self.owners[i];
            held.epoch += 1;
            held.owner = Some(owner.to_owned());
            held.expires_at = until;
            leases.push(Lease {
                partition: PartitionId(u16::try_from(i).unwrap_or(u16::MAX)),
                epoch: held.epoch,
                owner: owner.to_owned(),
                expires_at: until,
            });
        }
        leases.sort_by_key(|lease| lease.partition);
        leases
    }

    /// The ownership that `lease` stands for, if it is current.
    fn held(&mut self, lease: &Lease) -> Option<&mut Ownership> {
        let held = self.owners.get_mut(usize::from(lease.partition.0))?;
        (held.owner.is_some() && held.epoch == lease.epoch).then_some(held)
    }

    fn fence(&self, operation: &'static str, lease: &Lease) -> Result<()> {
        match self.owners.get(usize::from(lease.partition.0)) {
            Some(held) if held.owner.is_some() && held.epoch == lease.epoch => Ok(()),
            _ => Err(lease_lost(operation, lease)),
        }
    }

    fn rows_of(&self, ids: &[String]) -> Vec<&Row> {
        let numbers: BTreeSet<_> = ids.iter().filter_map(|id| self.numbers.get(id)).collect();
        numbers.into_iter().filter_map(|no| self.instances.get(no)).collect()
    }

    /// Whether `batch` agrees with what is stored. After this, [`Self::apply`] cannot fail.
    fn check_commit(&self, lease: &Lease, batch: &Batch) -> Result<()> {
        let conflict = |detail| Err(StoreError::new(StoreErrorKind::Conflict, "commit", detail));
        let mut consumed = HashSet::with_capacity(batch.consume.len());
        for id in &batch.consume {
            let here = match self.places.get(id) {
                Some(Place::Inbox(partition, _)) => *partition == lease.partition,
                _ => false,
            };
            if !here || !consumed.insert(id) {
                return conflict(format!("message `{id}` to consume is not in the inbox"));
            }
        }
        let mut received = HashSet::with_capacity(batch.receipts.len());
        for Receipt { id, .. } in &batch.receipts {
            if self.receipts.contains_key(id) || !received.insert(id) {
                return conflict(format!("message `{id}` was received before"));
            }
        }
        let mut created = HashSet::new();
        for change in &batch.instances {
            let row = self.instances.get(&change.no);
            if let Some(new) = &change.create {
                let taken = row.is_some() || self.numbers.contains_key(&new.id);
                if taken || !created.insert(&new.id) {
                    return conflict(format!("instance `{}` to create exists", new.id));
                }
            } else if row.is_none() {
                return conflict(format!("instance {} to change does not exist", change.no.0));
            }
            let mut turns = HashSet::with_capacity(change.history.len());
            for (turn, _) in &change.history {
                let stored = row.is_some_and(|row| row.history.contains_key(turn));
                if stored || !turns.insert(turn) {
                    return conflict(format!("instance {} has a turn {turn}", change.no.0));
                }
            }
        }
        Ok(())
    }

    /// Applies a checked batch and returns the partitions that got messages.
    fn apply(&mut self, partition: PartitionId, batch: Batch) -> BTreeSet<PartitionId> {
        for mut change in batch.instances {
            let no = change.no;
            if let Some(new) = change.create.take() {
                self.create(*new);
            }
            if change.busy {
                self.busy.insert(no);
            } else {
                self.busy.remove(&no);
            }
            if let Some(row) = self.instances.get_mut(&no) {
                row.change(change);
            }
        }
        for id in &batch.consume {
            self.remove_message(id);
        }
        for id in &batch.unschedule {
            if matches!(self.places.get(id), Some(Place::Scheduled(place, ..)) if *place == partition)
            {
                self.remove_message(id);
            }
        }
        self.receipts.extend(batch.receipts.into_iter().map(|receipt| (receipt.id, receipt.at)));
        for message in batch.schedule {
            self.add_message(message);
        }
        let mut hinted = BTreeSet::new();
        for Envelope { message, condition } in batch.send {
            // A condition that does not hold changes nothing here.
            let _ = self.fulfil(&message.target, condition);
            hinted.insert(message.partition);
            self.add_message(message);
        }
        for reply in batch.replies {
            self.replies.insert(reply.request.clone(), reply);
        }
        hinted
    }

    fn accept(
        &mut self,
        envelope: Envelope,
        now: Timestamp,
        hinted: &mut BTreeSet<PartitionId>,
    ) -> Accepted {
        let Envelope { message, condition } = envelope;
        if self.receipts.contains_key(&message.id) || self.places.contains_key(&message.id) {
            return Accepted::Duplicate;
        }
        let answer = self.fulfil(&message.target, condition);
        if answer != Accepted::Sent {
            return answer;
        }
        self.receipts.insert(message.id.clone(), now);
        hinted.insert(message.partition);
        self.add_message(message);
        Accepted::Sent
    }

    /// Checks a condition, and does what goes with it if it holds.
    fn fulfil(&mut self, target: &str, condition: Condition) -> Accepted {
        let target = self.numbers.get(target).and_then(|no| self.instances.get_mut(no));
        let target = target.map(|row| &mut row.record);
        match (condition, target) {
            (
                Condition::Running | Condition::Reopens | Condition::Replaces { only: Some(_), .. },
                None,
            ) => return Accepted::Unknown,
            (Condition::Running, Some(record)) if record.status.is_terminal() => {
                return Accepted::Ended(record.status);
            }
            (Condition::None, _) | (Condition::Running, Some(_)) => {}
            (Condition::Reopens, Some(record)) if record.status == Status::Failed => {
                record.status = Status::Running;
                record.finished_at = None;
            }
            (Condition::Reopens, Some(record)) => return Accepted::NotFailed(record.status),
            (Condition::Creates(new) | Condition::Replaces { new, .. }, Some(record))
                if record.request == new.request =>
            {
                return Accepted::Duplicate;
            }
            (Condition::Replaces { new, only }, Some(record))
                if record.status.is_terminal() && only.is_none_or(|only| only == record.no) =>
            {
                let old = record.no;
                self.purge(old);
                self.create(*new);
            }
            (Condition::Creates(_) | Condition::Replaces { .. }, Some(record)) => {
                return Accepted::Exists(record.status);
            }
            (Condition::Creates(new) | Condition::Replaces { new, .. }, None) => self.create(*new),
        }
        Accepted::Sent
    }

    /// Deletes an instance that has ended; whether it did.
    fn purge(&mut self, no: InstanceNo) -> bool {
        let has_ended = |row: &Row| row.record.status.is_terminal();
        if !self.instances.get(&no).is_some_and(has_ended) {
            return false;
        }
        if let Some(row) = self.instances.remove(&no) {
            self.numbers.remove(&row.record.id);
        }
        self.busy.remove(&no);
        true
    }

    fn create(&mut self, new: NewInstance) {
        self.numbers.insert(new.id.clone(), new.no);
        self.instances.insert(new.no, Row::new(new));
    }

    /// Stores a message, unless its id is stored already.
    fn add_message(&mut self, message: Message) {
        if self.places.contains_key(&message.id) {
            return;
        }
        self.next_seq += 1;
        let (partition, seq, id) = (message.partition, self.next_seq, message.id.clone());
        let place = if let Some(due) = message.due_at {
            self.scheduled.insert((partition, due, seq), message);
            Place::Scheduled(partition, due, seq)
        } else {
            self.inbox.insert((partition, seq), message);
            Place::Inbox(partition, seq)
        };
        self.places.insert(id, place);
    }

    fn remove_message(&mut self, id: &str) {
        match self.places.remove(id) {
            Some(Place::Inbox(partition, seq)) => {
                self.inbox.remove(&(partition, seq));
            }
            Some(Place::Scheduled(partition, due, seq)) => {
                self.scheduled.remove(&(partition, due, seq));
            }
            None => {}
        }
    }
}

fn matches(query: &InstanceQuery, record: &InstanceRecord) -> bool {
    query.kind.is_none_or(|kind| record.kind == kind)
        && query.id_prefix.as_ref().is_none_or(|prefix| record.id.starts_with(prefix))
        && query.name.as_ref().is_none_or(|name| record.name == *name)
        && (query.statuses.is_empty() || query.statuses.contains(&record.status))
        && query.version.as_ref().is_none_or(|version| record.version == *version)
        && query.tags.iter().all(|(key, value)| record.tags.get(key) == Some(value))
        && query.parent.as_ref().is_none_or(|parent| record.parent.as_ref() == Some(parent))
        && is_within(Some(record.created_at), query.created_from, query.created_to)
        && is_within(Some(record.updated_at), query.updated_from, query.updated_to)
        && is_within(record.finished_at, query.finished_from, query.finished_to)
}

/// Whether a time is in a range; one that there is not is in no range but the open one.
fn is_within(time: Option<Timestamp>, from: Option<Timestamp>, to: Option<Timestamp>) -> bool {
    from.is_none_or(|from| time.is_some_and(|time| time >= from))
        && to.is_none_or(|to| time.is_some_and(|time| time < to))
}
