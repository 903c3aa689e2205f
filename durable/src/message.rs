//! What instances and clients say to each other, as it is stored. Data only.

use serde::{Deserialize, Serialize};

use crate::error::Outcome;
use crate::json::Json;
use crate::turn::EntityAddress;

/// The number of a task within its orchestration, in the order in which tasks were begun.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TaskId(pub i64);

/// Names a timer of an orchestration: a task has one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TimerKey {
    /// The task that waits for it.
    pub(crate) task: TaskId,
    /// Tells the timers of the attempts of a call apart; 0 is a timer of the program.
    pub(crate) round: u32,
}

impl TimerKey {
    /// The timer of the program that is this task.
    pub(crate) fn of(task: TaskId) -> Self {
        Self { task, round: 0 }
    }
}

/// Names a lock on entities: who asked for it, and with which task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockId {
    /// The id of the orchestration.
    pub(crate) owner: String,
    /// Its number.
    pub(crate) number: i64,
    /// The task that asked.
    pub(crate) lock: TaskId,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks so.
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The body of a stored message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    /// Run the first turn of the orchestration. Its input is in the instance's row.
    Start {
        /// The start request; it is the one in the row unless the id was taken by another start.
        request: String,
        /// Who is told how it ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<ReplyTo>,
    },
    /// An event for the orchestration.
    Event {
        /// Its name.
        name: String,
        /// Its payload.
        value: Json,
    },
    /// A timer of the orchestration is due.
    Timer {
        /// The number of the instance that set it: another one may have its id by now.
        number: i64,
        /// The task that waits for it.
        task: TaskId,
        /// Which timer of the task; see [`TimerKey`].
        #[serde(default, skip_serializing_if = "is_zero")]
        round: u32,
    },
    /// A sub-orchestration or an entity operation of the orchestration has ended.
    Done {
        /// The number of the instance that waits: another one may have its id by now.
        number: i64,
        /// The task that waits for it.
        task: TaskId,
        /// Which start of it this was, if it may be started several times.
        #[serde(default, skip_serializing_if = "is_zero")]
        call: u32,
        /// How it ended.
        outcome: Outcome,
    },
    /// An attempt of an activity of the orchestration that another worker ran has ended.
    AttemptEnded {
        /// The number of the instance that waits: another one may have its id by now.
        number: i64,
        /// The task that waits for it.
        task: TaskId,
        /// Which attempt it was.
        attempt: u32,
        /// How it ended.
        outcome: Outcome,
    },
    /// An operation for the entity.
    Operation {
        /// The registered name of the entity.
        entity: String,
        /// The entity's key.
        key: String,
        /// The name of the operation.
        name: String,
        /// Its arguments, as an array.
        args: Json,
        /// Who wants the result; nobody does for a signal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<ReplyTo>,
        /// The critical section in which it was called, if it was in one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within: Option<LockId>,
    },
    /// Lock the entity for an orchestration, and then the next ones.
    Lock {
        /// The lock.
        lock: LockId,
        /// All entities to be locked, in the order in which they are.
        entities: Vec<EntityAddress>,
        /// The place of the receiver among them.
        position: usize,
        /// Who is told when all are locked.
        reply: ReplyTo,
    },
    /// Release the lock, or forget that it was asked for.
    Unlock {
        /// The lock.
        lock: LockId,
        /// The entities to which the request may have gone on from here.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        onward: Vec<EntityAddress>,
    },
    /// Go on with what is queued in the entity.
    Proceed,
    /// End the orchestration from outside.
    Terminate {
        /// Why.
        reason: String,
        /// Whether its sub-orchestrations are ended too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        recursive: bool,
        /// The orchestration that ended, if this comes from one: only its children are meant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
    },
    /// Let the orchestration wait until it is resumed.
    Suspend {
        /// Why.
        reason: String,
    },
    /// Let the orchestration go on.
    Resume {
        /// Why.
        reason: String,
    },
    /// Let the orchestration go on from where it failed.
    Rewind {
        /// Why.
        reason: String,
        /// The task of the parent that waits for it anew, if this comes from one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<ReplyTo>,
    },
}

/// What is stored of an attempt of an activity that other workers may run; its name is beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OfferedAttempt {
    /// The id of the orchestration that waits.
    pub(crate) instance: String,
    /// Its number.
    pub(crate) number: i64,
    /// The task that waits.
    pub(crate) task: TaskId,
    /// The attempt, from 1.
    pub(crate) attempt: u32,
    /// The arguments, as an array.
    pub(crate) input: Json,
}

/// Where a result goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReplyTo {
    /// A task of an orchestration.
    Task {
        /// The id of the orchestration.
        instance: String,
        /// Its number.
        number: i64,
        /// The task that waits.
        task: TaskId,
        /// Which start this is, if there may be several.
        #[serde(default, skip_serializing_if = "is_zero")]
        call: u32,
    },
    /// A client that waits in some process.
    Client {
        /// The identity of the process, so that the owner knows whether it is its own.
        process: String,
        /// The client's request.
        request: String,
    },
}

impl Body {
    /// The message as stored text.
    pub(crate) fn to_payload(&self) -> durable_store::Payload {
        // Every part is text, a number or checked JSON, so writing into memory cannot fail; an
        // empty body would be reported by the reader as malformed.
        serde_json::to_string(self).unwrap_or_default().into()
    }
}

/// The stored id of an entity: `@name@key`, with the name in lower case as the original has it.
pub(crate) fn entity_id(name: &str, key: &str) -> String {
    format!("@{}@{key}", name.to_lowercase())
}
