//! What happened to an instance, turn by turn, for people and tools. The engine never reads it.

use durable_store::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Failure, Outcome};
use crate::json::Json;
use crate::message::TaskId;
use crate::turn::TaskKind;

/// One turn of an instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HistoryTurn {
    /// The engine's time of the turn.
    pub at: Timestamp,
    /// The state in which it left the orchestration; empty for an entity.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// What happened in it, in order.
    pub events: Vec<Event>,
}

/// Something that happened in a turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs)] // The fields say what the variants name.
pub enum Event {
    /// The first turn of the orchestration.
    Started { input: Json },
    /// It ended with a result.
    Completed { output: Json },
    /// It ended with a failure.
    Failed { failure: Failure },
    /// It was ended from outside.
    Terminated { reason: String },
    /// An activity was scheduled.
    ActivityScheduled { task: TaskId, name: String, input: Json },
    /// An activity that was under way when its worker went away was started again.
    ActivityRestarted { task: TaskId, attempt: u32 },
    /// An activity gave a result.
    ActivityCompleted { task: TaskId, output: Json },
    /// An activity failed.
    ActivityFailed { task: TaskId, failure: Failure },
    /// A sub-orchestration was started.
    ChildStarted { task: TaskId, id: String, name: String },
    /// A sub-orchestration gave a result.
    ChildCompleted { task: TaskId, output: Json },
    /// A sub-orchestration failed.
    ChildFailed { task: TaskId, failure: Failure },
    /// A timer was set.
    TimerCreated { task: TaskId, due: Timestamp },
    /// A timer fired.
    TimerFired { task: TaskId },
    /// A timer was cancelled before it fired.
    TimerCancelled { task: TaskId },
    /// An event came from outside.
    EventRaised { name: String, value: Json },
    /// An event was dropped because too many were buffered already.
    EventDropped { name: String },
    /// An event was sent to another orchestration.
    EventSent { instance: String, name: String },
    /// An entity operation was called.
    OperationCalled { task: TaskId, entity: String, name: String },
    /// An entity operation was sent without waiting for its result.
    OperationSignalled { entity: String, name: String },
    /// A called entity operation gave a result.
    OperationCompleted { task: TaskId, output: Json },
    /// A called entity operation failed.
    OperationFailed { task: TaskId, failure: Failure },
    /// The custom status was set.
    CustomStatus { value: Json },
    /// A message could not be used.
    MessageRefused { reason: String },
}

impl Event {
    pub(crate) fn ended(task: TaskId, kind: &TaskKind, outcome: &Outcome) -> Self {
        match (kind, outcome) {
            (TaskKind::Timer { .. }, _) => Self::TimerFired { task },
            (TaskKind::Child { .. }, Ok(output)) => {
                Self::ChildCompleted { task, output: output.clone() }
            }
            (TaskKind::Child { .. }, Err(e)) => {
                Self::ChildFailed { task, failure: e.failure.clone() }
            }
            (TaskKind::Operation { .. }, Ok(output)) => {
                Self::OperationCompleted { task, output: output.clone() }
            }
            (TaskKind::Operation { .. }, Err(e)) => {
                Self::OperationFailed { task, failure: e.failure.clone() }
            }
            (_, Ok(output)) => Self::ActivityCompleted { task, output: output.clone() },
            (_, Err(e)) => Self::ActivityFailed { task, failure: e.failure.clone() },
        }
    }
}
