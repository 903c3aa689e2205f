//! What a turn wants done, as data: nothing of it happens before the commit is durable.

use std::sync::Arc;

use durable_store::{Tags, Timestamp};

use super::core::{EntityAddress, Identity};
use crate::error::Outcome;
use crate::history::Event;
use crate::json::Json;
use crate::message::{Body, TaskId, TimerKey};

/// An activity attempt to be started once the commit is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ActivityStart {
    /// The task that waits for it.
    pub(crate) task: TaskId,
    /// The attempt, from 1.
    pub(crate) attempt: u32,
    /// The registered name.
    pub(crate) name: String,
    /// The arguments, as an array.
    pub(crate) input: Json,
    /// The entity, if this is an operation of one and no activity.
    pub(crate) entity: Option<Box<OperationStart>>,
}

/// What an operation of an entity needs that runs outside of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OperationStart {
    pub(crate) address: EntityAddress,
    /// The state before it; `None` if the entity does not exist.
    pub(crate) state: Option<Json>,
    pub(crate) identity: Identity,
    pub(crate) now: Timestamp,
    pub(crate) default_version: Arc<str>,
}

/// What such an operation wants done, beside its result.
#[derive(Debug, Clone, Default)]
pub(crate) struct OperationEffects {
    /// The state after it; `None` if it deleted the entity.
    pub(crate) state: Option<Json>,
    pub(crate) send: Vec<Outgoing>,
    pub(crate) history: Vec<Event>,
}

/// A message to another instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// Unique in the hub.
    pub(crate) id: String,
    /// The id of the receiver.
    pub(crate) target: String,
    /// When it is to be delivered, if not at once.
    pub(crate) due: Option<Timestamp>,
    /// What it says.
    pub(crate) body: Body,
    /// The instance that it creates, if it is a start.
    pub(crate) creates: Option<NewChild>,
    /// Whether it sets a receiver going again that has failed.
    pub(crate) reopens: bool,
}

/// An orchestration to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewChild {
    /// The registered name.
    pub(crate) name: String,
    /// The version, empty for none.
    pub(crate) version: String,
    /// The arguments, as an array.
    pub(crate) input: Json,
    /// The id of the orchestration that waits for it, if one does.
    pub(crate) parent: Option<String>,
    /// Its labels.
    pub(crate) tags: Tags,
    /// When its first turn is to run, if not at once.
    pub(crate) starts_at: Option<Timestamp>,
    /// Whether an instance with its id that has ended makes room.
    pub(crate) replaces: bool,
}

/// An answer for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The identity of the client's process.
    pub(crate) process: String,
    /// The client's request.
    pub(crate) request: String,
    /// What it is told.
    pub(crate) outcome: Outcome,
}

/// What a turn wants done.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    pub(crate) start: Vec<ActivityStart>,
    /// Attempts of activities whose result nobody wants any more.
    pub(crate) cancel: Vec<(TaskId, u32)>,
    pub(crate) schedule: Vec<(TimerKey, Timestamp)>,
    pub(crate) unschedule: Vec<TimerKey>,
    /// The scheduled start of the instance, which is not to come any more.
    pub(crate) unschedule_start: Option<String>,
    pub(crate) send: Vec<Outgoing>,
    pub(crate) answers: Vec<Answer>,
    /// `None` is unchanged, `Some(None)` is cleared, as in a change that is stored.
    #[allow(clippy::option_option)]
    pub(crate) custom_status: Option<Option<Json>>,
    pub(crate) history: Vec<Event>,
}

impl Actions {
    /// An attempt of an activity is not wanted any more.
    pub(crate) fn cancel_activity(&mut self, task: TaskId, attempt: u32) {
        let is_it = |start: &ActivityStart| start.task == task && start.attempt == attempt;
        match self.start.iter().rposition(is_it) {
            // It has not begun.
            Some(index) => {
                self.start.remove(index);
            }
            None => self.cancel.push((task, attempt)),
        }
    }

    /// How many actions count against the limit of a turn.
    pub(crate) fn len(&self) -> usize {
        self.start.len() + self.schedule.len() + self.send.len()
    }
}
