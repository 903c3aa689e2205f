//! An orchestration by itself, without a worker and without a store: whoever drives it answers
//! what it calls. The instance is loaded from its saved bytes before every turn and forgotten
//! after it, as if each turn ran in another process. Reads no clock and does no I/O.

use std::collections::BTreeMap;

use durable_store::{
    InstanceChange, InstanceKind, InstanceNo, InstanceRecord, PartitionId, Payload, SideKey,
    Status, StoredInstance, Timestamp,
};

use crate::data::Arguments as _;
use crate::error::{Failure, Outcome, TaskErrorKind, TaskFailure};
use crate::history::HistoryTurn;
use crate::json::Json;
use crate::message::{Body, TaskId};
use crate::program::Orchestration;
use crate::registry::Registry;
use crate::task::checked;
use crate::turn::{Inbound, Instance, TurnOutput};

/// Something that the orchestration began and that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Open {
    /// An attempt of an activity.
    Activity {
        /// The number of the attempt, from 1.
        attempt: u32,
        /// The registered name.
        name: String,
        /// The arguments, as an array.
        input: Json,
    },
    /// A timer.
    Timer {
        /// When it fires.
        due: Timestamp,
    },
}

/// Why a turn could not run.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The arguments cannot be saved.
    #[error("the arguments cannot be saved: {0:?}")]
    Input(TaskFailure),
    /// What was saved could not be loaded again.
    #[error("the instance cannot be loaded from what it saved: {0}")]
    Load(String),
    /// The task is not open, or is of another kind.
    #[error("task {0} is not waiting for this")]
    NotOpen(i64),
}

/// An orchestration under way, as rows that a store would hold.
#[derive(Debug)]
pub struct Drive {
    registry: Registry,
    record: InstanceRecord,
    side: BTreeMap<SideKey, Payload>,
    open: BTreeMap<i64, Open>,
    /// Which timer of its task each open timer is.
    rounds: BTreeMap<i64, u32>,
    now: Timestamp,
    turns: usize,
    outcome: Option<Outcome>,
    history: Vec<HistoryTurn>,
}

impl Drive {
    /// Starts an orchestration and runs its first turn.
    pub fn start<F: Orchestration>(input: &F::Input) -> Result<Self, DriveError> {
        const REQUEST: &str = "start";
        let input = checked(input.encode()).map_err(DriveError::Input)?;
        let mut registry = Registry::default();
        registry.add_orchestration::<F>();
        let now = Timestamp::from_micros(0);
        let record = InstanceRecord {
            no: InstanceNo::new(PartitionId(0), 1),
            id: "driven".to_owned(),
            kind: InstanceKind::Orchestration,
            name: F::NAME.to_owned(),
            version: F::VERSION.to_owned(),
            parent: None,
            request: REQUEST.to_owned(),
            status: Status::Pending,
            blocked: None,
            created_at: now,
            starts_at: None,
            tags: durable_store::Tags::new(),
            updated_at: now,
            finished_at: None,
            input: input.text(),
            state: None,
            output: None,
            custom_status: None,
        };
        let mut drive = Self {
            registry,
            record,
            side: BTreeMap::new(),
            open: BTreeMap::new(),
            rounds: BTreeMap::new(),
            now,
            turns: 0,
            outcome: None,
            history: Vec::new(),
        };
        let start = Body::Start { request: REQUEST.to_owned(), reply: None };
        drive.turn(vec![Inbound::Message(start)])?;
        Ok(drive)
    }

    /// What is under way, by the number of its task.
    pub fn open(&self) -> &BTreeMap<i64, Open> {
        &self.open
    }

    /// Ends an activity.
    pub fn answer(&mut self, task: i64, outcome: Outcome) -> Result<(), DriveError> {
        let Some(Open::Activity { attempt, .. }) = self.open.get(&task) else {
            return Err(DriveError::NotOpen(task));
        };
        let inbound = Inbound::ActivityEnded {
            number: self.record.no,
            task: TaskId(task),
            attempt: *attempt,
            outcome,
        };
        self.open.remove(&task);
        self.turn(vec![inbound])
    }

    /// Lets a timer fire: the time goes on to when it is due.
    pub fn fire(&mut self, task: i64) -> Result<(), DriveError> {
        let Some(Open::Timer { due }) = self.open.get(&task) else {
            return Err(DriveError::NotOpen(task));
        };
        self.now = self.now.max(*due);
        self.open.remove(&task);
        self.turn(vec![Inbound::Message(Body::Timer {
            number: self.record.no.0,
            task: TaskId(task),
            round: self.rounds.get(&task).copied().unwrap_or_default(),
        })])
    }

    /// An event comes from outside.
    pub fn raise(&mut self, name: &str, value: Json) -> Result<(), DriveError> {
        self.turn(vec![Inbound::Message(Body::Event { name: name.to_owned(), value })])
    }

    /// How the orchestration ended, if it did.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The saved state, as text.
    pub fn state(&self) -> Option<&str> {
        self.record.state.as_deref()
    }

    /// The turns in which something happened, oldest first.
    pub fn history(&self) -> &[HistoryTurn] {
        &self.history
    }

    /// How many turns have run.
    pub fn turns(&self) -> usize {
        self.turns
    }

    fn turn(&mut self, inbound: Vec<Inbound>) -> Result<(), DriveError> {
        let stored = StoredInstance {
            record: self.record.clone(),
            side: self.side.iter().map(|(key, row)| (*key, row.clone())).collect(),
        };
        let mut instance = Instance::load(&stored, &self.registry)
            .map_err(|blocked| DriveError::Load(blocked.to_string()))?;
        let output = instance.turn(inbound, self.now);
        // The instance leaves memory here; all that goes on is what was saved.
        drop(instance);
        self.turns += 1;
        let next_runs = output.send.iter().filter(|message| {
            message.target == self.record.id && matches!(message.body, Body::Start { .. })
        });
        let next_runs: Vec<Inbound> =
            next_runs.map(|message| Inbound::Message(message.body.clone())).collect();
        self.apply(output);
        if next_runs.is_empty() { Ok(()) } else { self.turn(next_runs) }
    }

    fn apply(&mut self, output: TurnOutput) {
        for start in output.start {
            let open =
                Open::Activity { attempt: start.attempt, name: start.name, input: start.input };
            self.open.insert(start.task.0, open);
        }
        for (key, due) in output.schedule {
            self.rounds.insert(key.task.0, key.round);
            // The time limit of an attempt is not driven.
            self.open.entry(key.task.0).or_insert(Open::Timer { due });
        }
        let cancelled = output.cancel.iter().map(|(task, _)| task.0);
        for task in output.unschedule.iter().map(|key| key.task.0).chain(cancelled) {
            self.open.remove(&task);
        }
        self.store(output.change);
    }

    fn store(&mut self, change: InstanceChange) {
        let record = &mut self.record;
        record.status = change.status;
        record.updated_at = change.updated_at;
        if let Some(next) = change.renew {
            (record.version, record.input) = (next.version, next.input);
        }
        if let Some(state) = change.state {
            record.state = Some(state);
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
        // What the engine wrote in this process it can read.
        self.history
            .extend(change.history.iter().filter_map(|(_, row)| serde_json::from_str(row).ok()));
        if let Some(output) = change.output {
            self.outcome = Some(decode_outcome(change.status, output));
        }
    }
}

fn decode_outcome(status: Status, output: Payload) -> Outcome {
    if status == Status::Completed {
        return Ok(Json::from_text(output));
    }
    Err(serde_json::from_str(&output)
        .unwrap_or_else(|error| TaskFailure::new(TaskErrorKind::Payload, Failure::of(error))))
}
