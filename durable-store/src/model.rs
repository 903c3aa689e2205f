//! The nouns of the contract: ids, instances, messages, leases, commits, limits. Data only.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Timestamp;

/// Text that a store keeps and gives back unchanged: states, messages, results. JSON in practice,
/// but no store looks inside. The one thing it may not hold, as no id may, is a NUL character.
pub type Payload = Arc<str>;

/// Limits that every store enforces at its edge.
pub mod limits {
    /// Longest instance id, in bytes of UTF-8. The original allows 256 characters.
    pub const MAX_INSTANCE_ID_BYTES: usize = 256;
    /// Longest orchestration, entity or activity name, in bytes of UTF-8.
    pub const MAX_NAME_BYTES: usize = 256;
    /// Longest id of a message or a request, in bytes of UTF-8: room for an instance id, and for
    /// what makes the message unique within it.
    pub const MAX_MESSAGE_ID_BYTES: usize = 1024;
    /// Largest single payload (a state, a message, a result), in bytes.
    pub const MAX_PAYLOAD_BYTES: usize = 16 * 1024 * 1024;
    /// Most text in one batch or one `send`, ids and payloads together, in bytes: all of it is in
    /// memory at once, and in one transaction.
    pub const MAX_BATCH_BYTES: usize = 128 * 1024 * 1024;
    /// Most tags of one instance.
    pub const MAX_TAGS: usize = 64;
    /// Longest key of a tag, in bytes of UTF-8.
    pub const MAX_TAG_KEY_BYTES: usize = 256;
    /// Longest value of a tag, in bytes of UTF-8.
    pub const MAX_TAG_VALUE_BYTES: usize = 1024;
    /// Most partitions of a hub.
    pub const MAX_PARTITIONS: u16 = 1024;
    /// Partitions of a hub that is created without saying how many, unless its backend has another
    /// default.
    pub const DEFAULT_PARTITIONS: u16 = 8;
    /// Largest page that a query returns, in rows.
    pub const MAX_PAGE_ROWS: usize = 1_000;
    /// How long the ids of messages from outside are remembered to drop resends, in seconds.
    pub const RECEIPT_WINDOW_SECS: u64 = 24 * 60 * 60;
    /// How long an answer to a caller in another process is kept for it to fetch, in seconds.
    pub const REPLY_WINDOW_SECS: u64 = 60 * 60;
    /// Hints that a slow receiver of [`Store::hints`](crate::Store::hints) or
    /// [`Store::news`](crate::Store::news) can be behind.
    pub const HINT_CAPACITY: usize = 1024;
}

/// A partition of a hub: instances are hashed onto a fixed number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub u16);

/// The number of an instance inside a hub, never used again after a purge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct InstanceNo(pub i64);

impl InstanceNo {
    /// Bits of the counter; the partition stands above them.
    pub const COUNTER_BITS: u32 = 40;

    /// The number made of a partition and a counter from [`Store::reserve_numbers`].
    ///
    /// [`Store::reserve_numbers`]: crate::Store::reserve_numbers
    pub const fn new(partition: PartitionId, counter: i64) -> Self {
        Self(((partition.0 as i64) << Self::COUNTER_BITS) | counter)
    }

    /// The partition that the instance lives in.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 10 bits: MAX_PARTITIONS
    pub const fn partition(self) -> PartitionId {
        PartitionId((self.0 >> Self::COUNTER_BITS) as u16)
    }
}

/// What a hub is: fixed when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hub {
    /// The number of partitions.
    pub partitions: u16,
}

/// The right to own a partition, until it expires or another owner takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The partition owned.
    pub partition: PartitionId,
    /// Grows by one with each change of owner. Only the epoch gives safety.
    pub epoch: i64,
    /// Who owns it: the identity of a worker.
    pub owner: String,
    /// When others may take it over. Only a matter of liveness.
    pub expires_at: Timestamp,
}

/// A worker that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its identity.
    pub worker: String,
    /// How many partitions it holds.
    pub partitions: u16,
}

/// What kind of instance a record describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstanceKind {
    /// An orchestration.
    Orchestration,
    /// An entity.
    Entity,
}

/// Where an instance stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Status {
    /// Accepted, its first turn has not run.
    Pending,
    /// Under way. An entity is always in this state.
    Running,
    /// Under way, but it takes no messages until it is resumed.
    Suspended,
    /// Ended with a result.
    Completed,
    /// Ended with a failure.
    Failed,
    /// Ended from outside.
    Terminated,
}

impl Status {
    /// All of them, in the order of their stored codes.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Running,
        Self::Suspended,
        Self::Completed,
        Self::Failed,
        Self::Terminated,
    ];

    /// Whether nothing more will happen to the instance by itself.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Terminated)
    }
}

/// What an instance was labelled with when it was started, by key.
pub type Tags = BTreeMap<String, String>;

/// A row to be created for a new instance, with status [`Status::Pending`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInstance {
    /// Its number. The partition in it is where it will live.
    pub no: InstanceNo,
    /// Its id, unique in the hub.
    pub id: String,
    /// Orchestration or entity.
    pub kind: InstanceKind,
    /// The registered name.
    pub name: String,
    /// The version it stays on, empty for none.
    pub version: String,
    /// The id of the orchestration that started it as a child, if one did.
    pub parent: Option<String>,
    /// Identifies this start: the same request is never started twice.
    pub request: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first turn is to run, if not at once. Its first message is due then.
    pub starts_at: Option<Timestamp>,
    /// Its labels.
    pub tags: Tags,
    /// Its input.
    pub input: Payload,
}

/// An instance as queries return it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRecord {
    /// Its number.
    pub no: InstanceNo,
    /// Its id.
    pub id: String,
    /// Orchestration or entity.
    pub kind: InstanceKind,
    /// The registered name.
    pub name: String,
    /// The version it stays on, empty for none.
    pub version: String,
    /// The id of the orchestration that started it as a child, if one did.
    pub parent: Option<String>,
    /// The start that created it.
    pub request: String,
    /// Where it stands.
    pub status: Status,
    /// Why no worker can continue it at the moment, if so. It is left untouched meanwhile.
    pub blocked: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first turn was to run, if not at once.
    pub starts_at: Option<Timestamp>,
    /// Its labels.
    pub tags: Tags,
    /// When its row last changed.
    pub updated_at: Timestamp,
    /// When it ended, if it did.
    pub finished_at: Option<Timestamp>,
    /// Its input.
    pub input: Payload,
    /// Its saved state, `None` before the first turn.
    pub state: Option<Payload>,
    /// Its result or failure, once it ended.
    pub output: Option<Payload>,
    /// What it last said about itself.
    pub custom_status: Option<Payload>,
}

/// The key of a side row. Unique within its instance; the engine gives it meaning.
pub type SideKey = i64;

/// An instance as its owner loads it: the record and its side rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInstance {
    /// The row.
    pub record: InstanceRecord,
    /// What is kept beside the state so that the state stays small (the tasks of a large fan-out,
    /// results that nobody awaits yet, buffered events), in the order of their keys.
    pub side: Vec<(SideKey, Payload)>,
}

/// Something addressed to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Unique in the hub. A message whose id was seen before is dropped.
    pub id: String,
    /// The partition of the target.
    pub partition: PartitionId,
    /// The id of the instance it is for.
    pub target: String,
    /// When it is to be delivered; `None` is at once.
    pub due_at: Option<Timestamp>,
    /// What it says.
    pub body: Payload,
}

/// A message with what must hold for it to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The message.
    pub message: Message,
    /// The condition.
    pub condition: Condition,
}

impl Envelope {
    /// What its target's owner may wait for.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn hint(&self) -> Hint {
        Hint::Messages(self.message.partition)
    }
}

/// What must hold for a message to be accepted. Checked in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Nothing: the owner decides (entities come into being with their first message).
    None,
    /// The target exists and has not ended.
    Running,
    /// No instance has the id yet; the row is created together with the message.
    Creates(Box<NewInstance>),
    /// No instance has the id, or the one that has it has ended: then that one is purged, and the
    /// new row created together with the message. All of it is one step, so that of many who race
    /// for an id one gets it.
    Replaces {
        /// The row to be created.
        new: Box<NewInstance>,
        /// The one instance that may be replaced, and must exist; `None` is whichever has ended. A
        /// commit gives none.
        only: Option<InstanceNo>,
    },
    /// The target has failed. Its status becomes [`Status::Running`] together with the message, so
    /// that nobody purges or replaces what is about to go on.
    Reopens,
}

impl Condition {
    /// The row that is to be created with the message.
    pub fn created(&self) -> Option<&NewInstance> {
        match self {
            Self::Creates(new) | Self::Replaces { new, .. } => Some(new),
            Self::None | Self::Running | Self::Reopens => None,
        }
    }

    /// The same, to be changed.
    pub fn created_mut(&mut self) -> Option<&mut NewInstance> {
        match self {
            Self::Creates(new) | Self::Replaces { new, .. } => Some(new),
            Self::None | Self::Running | Self::Reopens => None,
        }
    }
}

/// What became of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is stored and will be delivered.
    Sent,
    /// The same message id (or the same start request) was accepted before; nothing changed.
    Duplicate,
    /// Refused: an instance with that id exists, with this status.
    Exists(Status),
    /// Refused: no instance has that id.
    Unknown,
    /// Refused: the instance has ended, with this status.
    Ended(Status),
    /// Refused: the instance has not failed, it has this status.
    NotFailed(Status),
}

/// What an owner's poll found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Polled {
    /// Messages from outside that no commit has consumed yet, oldest first; those of one sender
    /// in the order they were sent.
    pub inbox: Vec<Message>,
    /// Scheduled messages of the partition that are due by the horizon, earliest first.
    pub scheduled: Vec<Message>,
}

/// What an instance begins anew with under its id and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The version it stays on from now on, empty for none.
    pub version: String,
    /// Its input from now on.
    pub input: Payload,
}

/// All that one turn, or several turns of the same instance, changed about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceChange {
    /// Which instance.
    pub no: InstanceNo,
    /// Create the row first: an entity's first message, or a start fused with its first turn.
    pub create: Option<Box<NewInstance>>,
    /// Begin anew with another input, if the instance does.
    pub renew: Option<Renewal>,
    /// The new status. [`Status::Failed`] without `finished_at` is late news of an instance that
    /// failed before: if it was set running again meanwhile ([`Condition::Reopens`]), it stays so.
    pub status: Status,
    /// Why no worker can continue it, `None` if one can.
    pub blocked: Option<String>,
    /// Whether the instance has activities under way that a new owner must start again. Such
    /// instances are listed by [`Store::load_partition`](crate::Store::load_partition).
    pub busy: bool,
    /// The new state; `None` leaves it as it is.
    pub state: Option<Payload>,
    /// The new custom status; `None` leaves it as it is, `Some(None)` clears it.
    pub custom_status: Option<Option<Payload>>,
    /// The result or failure; `None` leaves it as it is.
    pub output: Option<Payload>,
    /// When it changed.
    pub updated_at: Timestamp,
    /// When it ended, if this ended it. `None` leaves it as it is if `status` is terminal, and
    /// clears it otherwise.
    pub finished_at: Option<Timestamp>,
    /// Side rows to write, each key at most once.
    pub put_side: Vec<(SideKey, Payload)>,
    /// Side rows to delete, before any is written; a key that has no row is ignored.
    pub delete_side: Vec<SideKey>,
    /// Delete every side row first.
    pub clear_side: bool,
    /// The history row of each turn, by turn number, which only grows: a number that the instance
    /// has already is a conflict, and one below those that it has may be.
    pub history: Vec<(i64, Payload)>,
    /// Delete the history rows of turns below this one, those of this change included.
    pub forget_history_before: Option<i64>,
}

/// An answer to a caller that is not in the owner's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The caller's request.
    pub request: String,
    /// The answer.
    pub body: Payload,
    /// When it was given.
    pub at: Timestamp,
}

/// The id of a message that reached its owner without being stored. It is remembered like that of
/// one that was sent, so that a resend of either kind is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The id of the message.
    pub id: String,
    /// When it came.
    pub at: Timestamp,
}

/// Everything that one commit of a partition changes, atomically. The parts are applied in the
/// order of the fields, so one batch may cancel a scheduled message and schedule it anew. A message
/// to schedule or to send whose id is still stored is dropped; one to schedule that has no due time
/// goes to the inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Changes of instances of the partition, each instance at most once.
    pub instances: Vec<InstanceChange>,
    /// Ids of inbox messages of the partition that were consumed. Each must exist.
    pub consume: Vec<String>,
    /// Messages from outside that were consumed without having been stored. None may have been
    /// received before: neither accepted by [`Store::send`](crate::Store::send), whatever became of
    /// it since then, nor named here, as long as that is remembered. The ids of messages that owners
    /// store by their commits are others.
    pub receipts: Vec<Receipt>,
    /// Ids of scheduled messages of the partition that fired or were cancelled. One that does not
    /// exist is ignored: a timer may fire and be cancelled in the same moment.
    pub unschedule: Vec<String>,
    /// Messages that the partition keeps for itself until they are due (timers).
    pub schedule: Vec<Message>,
    /// Messages to instances of any partition. They are stored in any case: a condition that does
    /// not hold creates, replaces or reopens nothing, and the owner of the target refuses what it
    /// cannot use.
    pub send: Vec<Envelope>,
    /// Answers to callers in other processes.
    pub replies: Vec<Reply>,
    /// Whether clients may wait for something in it: [`Store::news`](crate::Store::news) tells them.
    pub news: bool,
}

impl Batch {
    /// Whether committing it would change nothing.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
            && self.consume.is_empty()
            && self.receipts.is_empty()
            && self.schedule.is_empty()
            && self.unschedule.is_empty()
            && self.send.is_empty()
            && self.replies.is_empty()
    }
}

/// An attempt of an activity that waits, and that its owner lets any worker run that knows the
/// activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Unique in the hub, for ever.
    pub id: String,
    /// The partition of who waits for it.
    pub partition: PartitionId,
    /// The registered name of the activity.
    pub name: String,
    /// What is to be done, and for whom.
    pub body: Payload,
}

/// What a worker may have waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hint {
    /// The partition has new messages.
    Messages(PartitionId),
    /// Activities were offered.
    Offers,
}

/// Which instances a query wants. Every field that is set narrows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceQuery {
    /// Only orchestrations, or only entities.
    pub kind: Option<InstanceKind>,
    /// Ids that begin with this.
    pub id_prefix: Option<String>,
    /// This registered name.
    pub name: Option<String>,
    /// One of these statuses; empty is any.
    pub statuses: Vec<Status>,
    /// Of this version; empty is none.
    pub version: Option<String>,
    /// With all of these tags.
    pub tags: Tags,
    /// Children of this instance.
    pub parent: Option<String>,
    /// Accepted at or after this.
    pub created_from: Option<Timestamp>,
    /// Accepted before this.
    pub created_to: Option<Timestamp>,
    /// Changed last at or after this.
    pub updated_from: Option<Timestamp>,
    /// Changed last before this.
    pub updated_to: Option<Timestamp>,
    /// Ended at or after this.
    pub finished_from: Option<Timestamp>,
    /// Ended before this.
    pub finished_to: Option<Timestamp>,
}

/// A part of a query's result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows, in the order of their numbers.
    pub records: Vec<InstanceRecord>,
    /// Pass this as `after` to get the next page; `None` is the end.
    pub next: Option<InstanceNo>,
}
