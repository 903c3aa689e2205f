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

/// Most bytes of one turn in the history. Beyond it, payloads are left out, and then events.
pub(crate) const MAX_HISTORY_TURN_BYTES: usize = 8 * 1024 * 1024;
/// The payloads that are left out of a turn that is too large, in bytes.
const LARGE_PAYLOAD_BYTES: usize = 256;
/// How many events of a turn that is too large are kept.
const MAX_EVENTS_OF_LARGE_TURN: usize = 10_000;

impl HistoryTurn {
    /// The turn as stored text, cut where it would be too large: the history is for people, and
    /// must not stop an instance.
    pub(crate) fn into_payload(mut self) -> durable_store::Payload {
        let text = self.text();
        if text.len() <= MAX_HISTORY_TURN_BYTES {
            return text.into();
        }
        let events = self.events.len();
        self.events.truncate(MAX_EVENTS_OF_LARGE_TURN);
        for event in &mut self.events {
            event.leave_out_large_payload();
        }
        self.events.push(Event::Cut { events });
        self.text().into()
    }

    fn text(&self) -> String {
        // Events are made of text, numbers and checked JSON: writing them cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
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
    /// It waits from now on, whatever arrives.
    Suspended { reason: String },
    /// It goes on with what arrived meanwhile.
    Resumed { reason: String },
    /// It goes on from where it was before it failed.
    Rewound { reason: String },
    /// A run under the same id ended, and this one follows it.
    ContinuedAsNew,
    /// An activity was scheduled.
    ActivityScheduled { task: TaskId, name: String, input: Json },
    /// An activity was started again: its worker had gone away, its retry policy says so, or the
    /// instance was rewound.
    ActivityRestarted { task: TaskId, attempt: u32 },
    /// An activity gave a result.
    ActivityCompleted { task: TaskId, output: Json },
    /// An activity failed.
    ActivityFailed { task: TaskId, failure: Failure },
    /// An attempt of a call failed, and the call is made again at this time.
    AttemptFailed { task: TaskId, attempt: u32, failure: Failure, retry_at: Timestamp },
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
    /// An activity lost a race: it was told so, and its result is not wanted.
    ActivityCancelled { task: TaskId },
    /// A timer was cancelled before it fired.
    TimerCancelled { task: TaskId },
    /// An event came from outside.
    EventRaised { name: String, value: Json },
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
    /// Locks on entities were asked for.
    LockRequested { task: TaskId, entities: Vec<String> },
    /// All locks were there.
    LockGranted { task: TaskId },
    /// The program took the locks, and its critical section began.
    SectionEntered { task: TaskId },
    /// The critical section ended, or its locks are not waited for any more.
    SectionLeft { task: TaskId },
    /// An orchestration has locked this entity.
    Locked { owner: String },
    /// It released the lock.
    Unlocked { owner: String },
    /// The custom status was set.
    CustomStatus { value: Json },
    /// A message could not be used.
    MessageRefused { reason: String },
    /// The turn was too large for the history: it had this many events, and long payloads are left
    /// out.
    Cut { events: usize },
}

impl Event {
    fn leave_out_large_payload(&mut self) {
        let payload = match self {
            Self::Started { input } | Self::ActivityScheduled { input, .. } => input,
            Self::Completed { output }
            | Self::ActivityCompleted { output, .. }
            | Self::ChildCompleted { output, .. }
            | Self::OperationCompleted { output, .. } => output,
            Self::EventRaised { value, .. } | Self::CustomStatus { value } => value,
            Self::Failed { failure }
            | Self::ActivityFailed { failure, .. }
            | Self::AttemptFailed { failure, .. }
            | Self::ChildFailed { failure, .. }
            | Self::OperationFailed { failure, .. } => {
                (failure.payload, failure.cause) = (None, None);
                return;
            }
            _ => return,
        };
        let size = payload.as_str().len();
        if size > LARGE_PAYLOAD_BYTES {
            *payload = Json::from_text(format!("\"[{size} bytes left out]\""));
        }
    }

    pub(crate) fn ended(task: TaskId, kind: &TaskKind, outcome: &Outcome) -> Self {
        match (kind, outcome) {
            (TaskKind::Timer { .. }, _) => Self::TimerFired { task },
            (TaskKind::Lock { .. }, _) => Self::LockGranted { task },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_is_too_large_is_cut_and_stays_readable() {
        let input = Json::encode(&"x".repeat(50_000)).unwrap();
        let scheduled = |n| Event::ActivityScheduled {
            task: TaskId(n),
            name: "copy".to_owned(),
            input: input.clone(),
        };
        let turn = HistoryTurn {
            at: Timestamp::default(),
            state: "AwaitAll".to_owned(),
            events: (0..500).map(scheduled).collect(),
        };
        let stored = turn.into_payload();
        assert!(stored.len() <= MAX_HISTORY_TURN_BYTES);
        let read: HistoryTurn = serde_json::from_str(&stored).unwrap();
        assert_eq!(read.events.len(), 501);
        assert!(matches!(read.events[500], Event::Cut { events: 500 }));
    }
}
