//! What turns came to, part by part, until it is durable: collects it into a batch, commits the
//! batch, and keeps back what may leave the worker only afterwards.

use std::collections::HashMap;
use std::sync::Arc;

use durable_store::{
    Batch, Condition, Envelope, InstanceChange, InstanceKind, InstanceNo, Lease, Message,
    NewInstance, PartitionId, Receipt, Reply, Status, StoreError, Timestamp,
};

use super::arrivals::Direct;
use super::change::Change;
use super::lifecycle::LifecycleEvent;
use crate::backoff;
use crate::connection::Connection;
use crate::message::{Body, TaskId, TimerKey};
use crate::placement::partition_of;
use crate::turn::{ActivityStart, Answer, Outgoing, TurnOutput};

/// A batch with so many bytes takes no more turns. Far below what a store accepts, so that one
/// more turn fits.
const FULL_BATCH_BYTES: usize = 16 * 1024 * 1024;
/// A batch with so many turns takes no more.
const FULL_BATCH_TURNS: usize = 10_000;

/// Where a message is stored, which says how it is consumed.
#[derive(Debug)]
pub(super) enum Origin {
    /// In the inbox.
    Inbox(Arc<str>),
    /// Among the scheduled messages.
    Scheduled(Arc<str>),
    /// Nowhere: it came through the door of the partition.
    Direct(Direct),
    /// Nowhere: it came from this worker.
    Local,
}

impl Origin {
    /// Under which id the message is stored, if it is.
    pub(super) fn stored_id(self) -> Option<Arc<str>> {
        match self {
            Self::Inbox(id) | Self::Scheduled(id) => Some(id),
            Self::Direct(_) | Self::Local => None,
        }
    }
}

/// What the turns of one instance came to since the last commit, or messages nobody takes.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// The instance, and how it is counted; `None` for messages that nobody takes.
    pub(super) instance: Option<(Arc<str>, InstanceKind)>,
    /// Where the instance stood before the first of these turns.
    before: Option<Status>,
    change: Option<Change>,
    pub(super) consume: Vec<Arc<str>>,
    /// Messages that are stored nowhere.
    pub(super) received: Vec<Direct>,
    pub(super) unschedule: Vec<Arc<str>>,
    pub(super) schedule: Vec<Message>,
    send: Vec<Envelope>,
    replies: Vec<Reply>,
    // --- what happens once it is durable
    pub(super) start: Vec<ActivityStart>,
    pub(super) cancel: Vec<(TaskId, u32)>,
    pub(super) answers: Vec<Answer>,
    pub(super) lifecycle: Vec<LifecycleEvent>,
    turns: usize,
    bytes: usize,
}

/// The id under which a timer is stored.
pub(super) fn timer_id(no: InstanceNo, key: TimerKey) -> String {
    let TimerKey { task, round } = key;
    if round == 0 {
        format!("t{}-{}", no.0, task.0)
    } else {
        format!("t{}-{}-{round}", no.0, task.0)
    }
}

fn timer_body(no: InstanceNo, key: TimerKey) -> Body {
    Body::Timer { number: no.0, task: key.task, round: key.round }
}

impl Part {
    /// An empty part of an instance.
    pub(super) fn of(id: &Arc<str>, kind: InstanceKind) -> Self {
        Self { instance: Some((Arc::clone(id), kind)), ..Self::default() }
    }

    /// Notes that a stored message is used up.
    pub(super) fn consume(&mut self, origin: Origin) {
        match origin {
            Origin::Inbox(id) => self.consume.push(id),
            Origin::Scheduled(id) => self.unschedule.push(id),
            Origin::Direct(direct) => self.received.push(direct),
            Origin::Local => {}
        }
    }

    /// Takes in a change of the row.
    pub(super) fn change(&mut self, change: InstanceChange) {
        match &mut self.change {
            Some(before) => before.merge(change),
            none => *none = Some(Change::new(change)),
        }
    }

    /// What becomes of the row, without side rows.
    pub(super) fn row(&self) -> Option<&InstanceChange> {
        self.change.as_ref().map(Change::rest)
    }

    /// Where the instance stood before.
    pub(super) fn status_before(&self) -> Option<Status> {
        self.before.or(self.row().map(|row| row.status))
    }

    /// Takes in what a turn of the instance came to, which stood at `before`.
    pub(super) fn take(
        &mut self,
        id: &Arc<str>,
        before: Status,
        output: TurnOutput,
        sender: &Sender<'_>,
    ) {
        self.before.get_or_insert(before);
        let TurnOutput {
            change,
            schedule,
            unschedule,
            unschedule_start,
            send,
            start,
            cancel,
            answers,
            reload: _,
        } = output;
        let no = change.no;
        let now = change.updated_at;
        self.turns += 1;
        self.bytes += bytes_of(&change);
        self.change(change);
        for (key, due) in schedule {
            self.schedule.push(Message {
                id: timer_id(no, key),
                partition: no.partition(),
                target: id.to_string(),
                due_at: Some(due),
                body: timer_body(no, key).to_payload(),
            });
        }
        for key in unschedule {
            self.remove_timer(timer_id(no, key));
        }
        self.unschedule.extend(unschedule_start.map(Arc::from));
        for outgoing in send {
            let envelope = sender.envelope(outgoing, now);
            self.bytes += envelope.message.body.len();
            self.send.push(envelope);
        }
        for (task, attempt) in cancel {
            self.cancel_activity(task, attempt);
        }
        self.start.extend(start);
        for answer in answers {
            if answer.process == sender.connection.process {
                self.answers.push(answer);
            } else {
                self.replies.push(reply(answer, now));
            }
        }
    }

    fn cancel_activity(&mut self, task: TaskId, attempt: u32) {
        let is_it = |start: &ActivityStart| start.task == task && start.attempt == attempt;
        match self.start.iter().rposition(is_it) {
            // It has not begun.
            Some(index) => {
                self.start.remove(index);
            }
            None => self.cancel.push((task, attempt)),
        }
    }

    fn remove_timer(&mut self, id: String) {
        // One that this batch would set must not be set: a store removes before it adds.
        let set_here = self.schedule.iter().rposition(|message| message.id == id);
        match set_here {
            Some(index) => {
                self.schedule.remove(index);
            }
            None => self.unschedule.push(id.into()),
        }
    }

    /// What is to be remembered of messages that are stored nowhere. One that made its instance is
    /// remembered by it, for as long as it is there: if this commit is in doubt, and the instance has
    /// ended and is purged or replaced before the sender has asked again, which takes seconds at
    /// most, it is made a second time. A receipt for each start would cost a row for each.
    fn receipts(&self) -> impl Iterator<Item = Receipt> {
        let at = self.row().map_or(Timestamp::MIN, |row| row.updated_at);
        let received = self.received.iter().filter(|direct| direct.creates.is_none());
        received.map(move |direct| Receipt { id: direct.id.to_string(), at })
    }

    /// Whether somebody in another process may wait for what it comes to.
    fn is_news(&self) -> bool {
        let becomes = self.row().map(|row| row.status);
        !self.replies.is_empty() || becomes != self.status_before()
    }

    /// Whether it makes an instance for a start that is stored nowhere.
    pub(super) fn makes_unstored(&self) -> bool {
        self.row().is_some_and(|row| row.create.is_some()) && self.has_unstored_start()
    }

    /// Whether it has taken a start that is stored nowhere.
    pub(super) fn has_unstored_start(&self) -> bool {
        self.received.iter().any(|direct| direct.creates.is_some())
    }

    /// How many rows it writes or deletes.
    pub(super) fn rows(&self) -> usize {
        let change = self.change.as_ref().map_or(0, Change::rows) + self.receipts().count();
        let messages = self.consume.len() + self.unschedule.len() + self.schedule.len();
        change + messages + self.send.len() + self.replies.len()
    }

    /// Where it sends something, with repeats.
    pub(super) fn partitions_sent_to(&self) -> impl Iterator<Item = PartitionId> {
        self.send.iter().map(|envelope| envelope.message.partition)
    }

    /// Whether it sends something to the partition.
    pub(super) fn sends_to(&self, partition: PartitionId) -> bool {
        self.send.iter().any(|envelope| envelope.message.partition == partition)
    }
}

fn bytes_of(change: &InstanceChange) -> usize {
    let rows = change.put_side.iter().chain(&change.history);
    let rows: usize = rows.map(|(_, payload)| payload.len()).sum();
    let state = change.state.as_ref().map_or(0, |payload| payload.len());
    rows + state + change.output.as_ref().map_or(0, |payload| payload.len())
}

fn reply(answer: Answer, at: Timestamp) -> Reply {
    // An outcome is text and checked JSON: writing it cannot fail.
    let body = serde_json::to_string(&answer.outcome).unwrap_or_default().into();
    Reply { request: answer.request, body, at }
}

/// Addresses messages.
pub(super) struct Sender<'a> {
    pub(super) connection: &'a Connection,
    pub(super) partitions: u16,
}

/// Stands for the number of a new instance until the commit, which takes it from the stock.
const NO_NUMBER: i64 = 0;

impl Sender<'_> {
    pub(super) fn envelope(&self, outgoing: Outgoing, now: Timestamp) -> Envelope {
        let partition = partition_of(&outgoing.target, self.partitions);
        let condition = match outgoing.creates {
            None if outgoing.reopens => Condition::Reopens,
            None => Condition::None,
            Some(child) => {
                let new = Box::new(NewInstance {
                    no: InstanceNo::new(partition, NO_NUMBER),
                    id: outgoing.target.clone(),
                    kind: InstanceKind::Orchestration,
                    name: child.name,
                    version: child.version,
                    parent: child.parent,
                    request: outgoing.id.clone(),
                    created_at: now,
                    starts_at: child.starts_at,
                    tags: child.tags,
                    input: child.input.text(),
                });
                if child.replaces {
                    Condition::Replaces { new, only: None }
                } else {
                    Condition::Creates(new)
                }
            }
        };
        Envelope {
            message: Message {
                id: outgoing.id,
                partition,
                target: outgoing.target,
                due_at: outgoing.due,
                body: outgoing.body.to_payload(),
            },
            condition,
        }
    }
}

/// How much a batch may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLimits {
    pub(super) orchestrations: usize,
    pub(super) entities: usize,
}

/// What has happened since the commit under way was begun.
#[derive(Debug, Default)]
pub(super) struct Pending {
    parts: Vec<Part>,
    by_instance: HashMap<Arc<str>, usize>,
    orchestrations: usize,
    entities: usize,
    turns: usize,
    bytes: usize,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether a turn of the instance has to wait for the next batch.
    pub(super) fn is_full(&self, id: &str, kind: InstanceKind, limits: BatchLimits) -> bool {
        if self.bytes >= FULL_BATCH_BYTES || self.turns >= FULL_BATCH_TURNS {
            return true;
        }
        let (count, limit) = match kind {
            InstanceKind::Orchestration => (self.orchestrations, limits.orchestrations),
            InstanceKind::Entity => (self.entities, limits.entities),
        };
        count >= limit && !self.by_instance.contains_key(id)
    }

    /// Changes the part of an instance, and says whether it is new.
    pub(super) fn with_part<R>(
        &mut self,
        id: &Arc<str>,
        kind: InstanceKind,
        f: impl FnOnce(&mut Part) -> R,
    ) -> (bool, R) {
        let known = self.by_instance.get(id).copied();
        let index = known.unwrap_or_else(|| {
            self.by_instance.insert(Arc::clone(id), self.parts.len());
            self.parts.push(Part::of(id, kind));
            match kind {
                InstanceKind::Orchestration => self.orchestrations += 1,
                InstanceKind::Entity => self.entities += 1,
            }
            self.parts.len() - 1
        });
        let part = &mut self.parts[index];
        let (turns, bytes) = (part.turns, part.bytes);
        let result = f(part);
        self.turns += part.turns - turns;
        self.bytes += part.bytes - bytes;
        (known.is_none(), result)
    }

    /// Uses up a message that nobody takes, with what is said to its sender.
    pub(super) fn drop_message(&mut self, origin: Origin, answer: Option<Envelope>) {
        // Its sender stores it, and it comes again.
        if matches!(origin, Origin::Direct(_)) {
            return;
        }
        let mut part = Part { send: answer.into_iter().collect(), ..Part::default() };
        part.consume(origin);
        self.parts.push(part);
    }

    /// Takes out the part of an instance.
    pub(super) fn remove(&mut self, id: &str) -> Option<Part> {
        let index = self.by_instance.remove(id)?;
        Some(std::mem::take(&mut self.parts[index]))
    }

    /// Everything, to be committed.
    pub(super) fn take(&mut self) -> Vec<Part> {
        std::mem::take(self).parts
    }
}

/// Commits parts under a lease.
#[derive(Clone)]
pub(super) struct Committer {
    pub(super) connection: Arc<Connection>,
    pub(super) lease: Lease,
}

impl Committer {
    /// Commits the parts as one batch. Tries again for as long as nothing was changed and it may
    /// succeed later. Gives the parts back: they hold what happens next.
    pub(super) async fn commit(self, mut parts: Vec<Part>) -> (Vec<Part>, Result<(), StoreError>) {
        let result = self.try_commit(&mut parts).await;
        (parts, result)
    }

    async fn try_commit(&self, parts: &mut [Part]) -> Result<(), StoreError> {
        self.number_children(parts).await?;
        let Connection { store, clock, .. } = &*self.connection;
        let mut failures = 0;
        loop {
            let commit = store.commit(&self.lease, build(parts));
            let result = self.connection.owner_call(self.lease.partition, "commit", commit).await;
            match result {
                Err(error) if error.is_retryable() => {
                    failures += 1;
                    clock.sleep_until(clock.now() + backoff::delay(failures)).await;
                }
                result => return result,
            }
        }
    }

    /// Gives new instances their numbers.
    async fn number_children(&self, parts: &mut [Part]) -> Result<(), StoreError> {
        let mut children: Vec<&mut NewInstance> = parts
            .iter_mut()
            .flat_map(|part| &mut part.send)
            .filter_map(|envelope| envelope.condition.created_mut())
            .filter(|new| new.no == InstanceNo::new(new.no.partition(), NO_NUMBER))
            .collect();
        if children.is_empty() {
            return Ok(());
        }
        let numbers = self.connection.take_numbers(children.len()).await?;
        for (child, number) in children.iter_mut().zip(numbers) {
            child.no = InstanceNo::new(child.no.partition(), number);
        }
        Ok(())
    }
}

/// The batch that the parts make. Copied, so that it can be made again.
fn build(parts: &[Part]) -> Batch {
    let mut batch = Batch::default();
    for part in parts {
        batch.instances.extend(part.change.as_ref().map(Change::build));
        batch.consume.extend(part.consume.iter().map(ToString::to_string));
        batch.receipts.extend(part.receipts());
        batch.unschedule.extend(part.unschedule.iter().map(ToString::to_string));
        batch.schedule.extend(part.schedule.iter().cloned());
        batch.send.extend(part.send.iter().cloned());
        batch.replies.extend(part.replies.iter().cloned());
        batch.news |= part.is_news();
    }
    batch
}

/// A change that only says that the instance cannot be continued, and why.
pub(super) fn blocked_change(
    no: InstanceNo,
    status: Status,
    busy: bool,
    reason: String,
    now: Timestamp,
) -> InstanceChange {
    InstanceChange {
        no,
        create: None,
        renew: None,
        status,
        blocked: Some(reason),
        busy,
        state: None,
        custom_status: None,
        output: None,
        updated_at: now,
        finished_at: None,
        put_side: Vec::new(),
        delete_side: Vec::new(),
        clear_side: false,
        history: Vec::new(),
        forget_history_before: None,
    }
}
