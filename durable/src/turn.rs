//! THE TURN: an instance, its deliverable messages and the time become a commit. Pure: no I/O, no
//! clock, no store, no tokio. The same input gives the same commit, byte for byte.

mod actions;
mod arriving;
mod beginning;
mod check;
mod core;
mod entity;
mod kept;
mod managing;
mod orchestration;
mod retrying;
pub(crate) mod scope;
mod sections;
mod shelf;
mod watch;

use std::sync::Arc;

use durable_store::{
    InstanceChange, InstanceKind, InstanceNo, InstanceRecord, Status, StoredInstance, Timestamp,
};

pub(crate) use self::actions::{ActivityStart, Answer, OperationEffects, OperationStart, Outgoing};
pub use self::core::EntityAddress;
pub use self::core::MAX_ACTIONS_PER_TURN;
pub(crate) use self::core::{Core, Identity, NextRun, TaskKind, task_name};
use self::entity::EntityInstance;
pub use self::entity::MAX_ENTITY_STATE_BYTES;
pub(crate) use self::entity::{SavedEntity, check_state_size};
use self::orchestration::OrchestrationInstance;
use crate::error::{Outcome, TaskFailure};
use crate::history::HistoryTurn;
use crate::json::Json;
use crate::message::{Body, TaskId, TimerKey};
use crate::program::Incompatible;
use crate::registry::Registry;
use crate::version::in_words;

/// How many attempts of an activity may be under way when their worker goes away, before the
/// activity fails: one that kills its worker must not do so for ever.
pub const MAX_LOST_ATTEMPTS: u32 = 10;

/// The key of the side row that holds the numbers of the last turn and of the last message sent,
/// while the state is older.
const TURN_KEY: i64 = 0;

/// Something that a turn takes in.
#[derive(Debug, Clone)]
pub(crate) enum Inbound {
    /// A stored message.
    Message(Body),
    /// An activity attempt on this worker has ended.
    ActivityEnded { number: InstanceNo, task: TaskId, attempt: u32, outcome: Outcome },
    /// An operation of an entity that ran on this worker outside of a turn has ended.
    OperationEnded { attempt: u32, result: Result<(Json, OperationEffects), TaskFailure> },
    /// The worker that ran an attempt of an activity for this one went away.
    AttemptLost { number: InstanceNo, task: TaskId, attempt: u32 },
    /// The partition has a new owner: activities that were under way are started again.
    Recover,
}

/// Everything a turn came to. Nothing of it may leave the worker before `change` is durable.
#[derive(Debug)]
pub(crate) struct TurnOutput {
    /// What is stored about the instance itself.
    pub(crate) change: InstanceChange,
    /// Timers to be set: the stored message is due then.
    pub(crate) schedule: Vec<(TimerKey, Timestamp)>,
    /// Timers to be removed.
    pub(crate) unschedule: Vec<TimerKey>,
    /// The message that was to start the instance later, if it is not to come any more.
    pub(crate) unschedule_start: Option<String>,
    /// Messages to other instances.
    pub(crate) send: Vec<Outgoing>,
    /// Activity attempts to be started.
    pub(crate) start: Vec<ActivityStart>,
    /// Attempts of activities whose result nobody wants any more.
    pub(crate) cancel: Vec<(TaskId, u32)>,
    /// Answers for clients.
    pub(crate) answers: Vec<Answer>,
    /// The instance goes on as another program: it is to be loaded anew before its next turn.
    pub(crate) reload: bool,
}

/// Why an instance cannot be continued by this worker. It is left untouched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Blocked {
    #[error("no worker has registered the {kind} `{name}`{}", in_words(version))]
    NotRegistered { kind: &'static str, name: String, version: String },
    #[error("{0}")]
    VersionMismatch(String),
    #[error("the saved state does not fit this build of the program: {}", chain(.0))]
    Incompatible(#[from] Incompatible),
    #[error("the saved entity state does not fit its type: {0}")]
    EntityState(crate::codec::DecodeError),
    #[error("the saved data cannot be read: {0}")]
    Malformed(String),
}

/// An error with its sources in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

/// An instance, decoded, with all that its turns need.
pub(crate) enum Instance {
    Orchestration(Box<OrchestrationInstance>),
    Entity(Box<EntityInstance>),
}

impl Instance {
    /// Decodes what was stored. A row without a state is before its first turn.
    pub(crate) fn load(stored: &StoredInstance, registry: &Registry) -> Result<Self, Blocked> {
        match stored.record.kind {
            InstanceKind::Orchestration => {
                OrchestrationInstance::load(stored, registry).map(Box::new).map(Self::Orchestration)
            }
            InstanceKind::Entity => {
                EntityInstance::load(stored, registry).map(Box::new).map(Self::Entity)
            }
        }
    }

    /// Decodes the engine's part of an orchestration that no program fits, to be terminated.
    pub(crate) fn load_to_end(stored: &StoredInstance) -> Option<Self> {
        let is_orchestration = stored.record.kind == InstanceKind::Orchestration;
        let load = || OrchestrationInstance::load_to_end(stored).ok();
        is_orchestration.then(load).flatten().map(Box::new).map(Self::Orchestration)
    }

    /// The id, the registered name, and the version.
    pub(crate) fn names(&self) -> (&str, &str, &str) {
        let identity = match self {
            Self::Orchestration(instance) => instance.identity(),
            Self::Entity(instance) => instance.identity(),
        };
        (&identity.id, &identity.name, &identity.version)
    }

    /// Runs one turn with messages in the order given. `now` is the engine's time; the instance's
    /// own never goes back.
    pub(crate) fn turn(&mut self, inbound: Vec<Inbound>, now: Timestamp) -> TurnOutput {
        match self {
            Self::Orchestration(instance) => instance.turn(inbound, now),
            Self::Entity(instance) => instance.turn(inbound, now),
        }
    }
}

fn identity(record: &InstanceRecord) -> Identity {
    Identity {
        no: record.no,
        id: record.id.clone(),
        name: record.name.clone(),
        version: record.version.clone(),
        parent: record.parent.clone(),
        request: record.request.clone(),
    }
}

/// Turns what a turn did into its output.
fn output(core: &mut Core, status: Status, state_name: &str, busy: bool) -> TurnOutput {
    let actions = std::mem::take(&mut core.actions);
    let history =
        HistoryTurn { at: core.now, state: state_name.to_owned(), events: actions.history };
    let history_rows = if history.events.is_empty() {
        Vec::new()
    } else {
        vec![(core.turn, history.into_payload())]
    };
    TurnOutput {
        change: InstanceChange {
            no: core.identity.no,
            create: None,
            renew: None,
            status,
            blocked: None,
            busy,
            state: None,
            custom_status: actions.custom_status.map(|value| value.map(|json| json.text())),
            output: None,
            updated_at: core.now,
            finished_at: None,
            put_side: Vec::new(),
            delete_side: Vec::new(),
            clear_side: false,
            history: history_rows,
            forget_history_before: None,
        },
        schedule: actions.schedule,
        unschedule: actions.unschedule,
        unschedule_start: actions.unschedule_start,
        send: actions.send,
        start: actions.start,
        cancel: actions.cancel,
        answers: actions.answers,
        reload: false,
    }
}

/// Drops a value of the user's. A panic in its `Drop` must not take the worker down.
fn drop_quietly<T>(value: T) {
    let drop = std::panic::AssertUnwindSafe(|| drop(value));
    if std::panic::catch_unwind(drop).is_err() {
        tracing::error!("a value of an instance panicked when it was dropped");
    }
}

fn payload(text: String) -> durable_store::Payload {
    Arc::from(text)
}
