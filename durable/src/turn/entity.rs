//! One turn of an entity: each operation is a transaction of its own, in the order in which the
//! messages came. While the entity is locked, those of others wait in its queue.

mod outside;
mod queue;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use durable_store::limits::MAX_PAYLOAD_BYTES;
use durable_store::{Payload, SideKey, Status, StoredInstance, Timestamp};
use serde::{Deserialize, Serialize};

use self::outside::Running;
use super::core::{Core, Identity};
use super::shelf::{Shelf, Weigh};
use super::{Blocked, EntityAddress, Inbound, TurnOutput, drop_quietly, identity, output, scope};
use crate::context::EntityContext;
use crate::entity::{DELETE, IMPLICIT_DELETE, READ_STATE};
use crate::error::{Failure, Outcome, TaskErrorKind, TaskFailure};
use crate::history::Event;
use crate::json::Json;
use crate::message::{Body, LockId, ReplyTo};
use crate::registry::{EntityRunner, EntityState, Registry};

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks so.
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Messages that were queued and are processed in one turn at most. A longer queue goes on in the next.
const MAX_QUEUED_PER_TURN: usize = 1_000;

/// The largest state of an entity, in bytes. The rest of what is saved with it has its place beside
/// it: who has locked it, the operation under way, and small messages that wait.
pub const MAX_ENTITY_STATE_BYTES: usize = MAX_PAYLOAD_BYTES - 1024 * 1024;

/// What is left beside the state and the arguments of the operation under way, in bytes.
const ROOM_FOR_QUEUE: usize = 512 * 1024;

/// Refuses a state that could not be saved whatever comes.
pub(crate) fn check_state_size(state: &Json) -> Result<(), TaskFailure> {
    crate::task::check_size_within(state, MAX_ENTITY_STATE_BYTES)
}

/// An entity in memory.
pub(crate) struct EntityInstance {
    core: Core,
    runner: Arc<dyn EntityRunner>,
    address: EntityAddress,
    /// The state as of the last operation that succeeded; `None` if the entity does not exist.
    saved: Option<Json>,
    /// The same, decoded. `None` if it has to be decoded again.
    state: Option<Box<dyn EntityState>>,
    /// Who has locked it.
    holder: Option<LockId>,
    /// Messages that wait, for the lock or for the operation under way.
    queue: Shelf<Body>,
    next_queued: i64,
    /// What waits could go on, and has not had its turn.
    behind: bool,
    /// The operation that runs outside of the turns.
    running: Option<Running>,
    /// The number of the last such attempt.
    attempts: u32,
}

/// What an entity saves.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedEntity {
    /// The user's state; absent if the entity does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<Json>,
    /// Who has locked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lock: Option<LockId>,
    /// Messages that wait; more of them are side rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    queue: BTreeMap<i64, Body>,
    #[serde(default)]
    next_queued: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    running: Option<Running>,
    #[serde(default, skip_serializing_if = "is_zero")]
    attempts: u32,
    /// How many messages wait in all.
    #[serde(default)]
    pub(crate) queued: usize,
    now: Timestamp,
    turn: i64,
    sent: i64,
    drawn: i64,
}

impl EntityInstance {
    pub(super) fn load(stored: &StoredInstance, registry: &Registry) -> Result<Self, Blocked> {
        let record = &stored.record;
        let runner = registry.entity(&record.name).ok_or_else(|| Blocked::NotRegistered {
            kind: "entity",
            name: record.name.clone(),
            version: String::new(),
        })?;
        let key = record.id.splitn(3, '@').nth(2).unwrap_or_default().to_owned();
        let mut instance = Self {
            core: Core::new(identity(record)),
            runner: Arc::clone(runner),
            address: EntityAddress { name: record.name.clone(), key },
            saved: None,
            state: None,
            holder: None,
            queue: Shelf::default(),
            next_queued: 1,
            behind: false,
            running: None,
            attempts: 0,
        };
        instance.core.default_version = Arc::clone(&registry.versioning().default_version);
        if let Some(text) = &record.state {
            instance.restore(text, &stored.side)?;
        }
        Ok(instance)
    }

    fn restore(&mut self, text: &str, rows: &[(SideKey, Payload)]) -> Result<(), Blocked> {
        let malformed = |e: serde_json::Error| Blocked::Malformed(e.to_string());
        let saved: SavedEntity = serde_json::from_str(text).map_err(malformed)?;
        let rows = rows.iter().map(|(key, row)| Ok((*key, serde_json::from_str(row)?)));
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(malformed)?;
        self.queue = Shelf::restore(saved.queue, rows);
        self.next_queued = saved.next_queued.max(1);
        self.holder = saved.lock;
        (self.running, self.attempts) = (saved.running, saved.attempts);
        self.look_behind();
        self.core.now = saved.now;
        self.core.turn = saved.turn;
        self.core.sent = saved.sent;
        self.core.drawn = saved.drawn;
        if let Some(state) = saved.state {
            self.state = Some(self.runner.load(&state).map_err(Blocked::EntityState)?);
            self.saved = Some(state);
        }
        Ok(())
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.core.identity
    }

    pub(super) fn turn(&mut self, inbound: Vec<Inbound>, now: Timestamp) -> TurnOutput {
        self.core.now = self.core.now.max(now);
        self.core.turn += 1;
        for message in inbound {
            match message {
                Inbound::Message(Body::Start { reply: Some(reply), .. }) => {
                    let failure = Failure::new("InstanceExists", "the id belongs to an entity");
                    self.core.reply(reply, Err(TaskFailure::new(TaskErrorKind::Refused, failure)));
                }
                Inbound::Message(
                    body @ (Body::Operation { .. } | Body::Lock { .. } | Body::Unlock { .. }),
                ) => self.accept(body),
                Inbound::OperationEnded { attempt, result } => {
                    self.operation_ended(attempt, result);
                }
                Inbound::Recover => self.recover(),
                // Nothing else is meant for an entity.
                _ => {}
            }
        }
        self.process_queue();
        self.finish_turn()
    }

    fn finish_turn(&mut self) -> TurnOutput {
        let (mut put_side, mut delete_side) = (Vec::new(), Vec::new());
        // Messages are text, numbers and checked JSON: writing them cannot fail.
        let _ = self.queue.flush(|number| number, &mut put_side, &mut delete_side);
        let state = self.encode();
        // What does not exist and is not needed can be purged.
        let is_idle = self.holder.is_none() && self.queue.is_empty() && self.running.is_none();
        let is_gone = self.saved.is_none() && is_idle;
        let status = if is_gone { Status::Completed } else { Status::Running };
        let mut out = output(&mut self.core, status, "", self.running.is_some());
        out.change.finished_at = is_gone.then_some(out.change.updated_at);
        out.change.state = Some(state);
        (out.change.put_side, out.change.delete_side) = (put_side, delete_side);
        out
    }

    fn operate(&mut self, name: &str, args: &Json, reply: Option<ReplyTo>) {
        let outcome = match name {
            READ_STATE => self.read(),
            DELETE => {
                self.delete();
                Ok(Json::null())
            }
            _ if self.runner.is_async(name) => return self.begin_async(name, args, reply),
            _ => self.transact(name, args),
        };
        self.end_operation(name, outcome, reply);
    }

    fn end_operation(&mut self, name: &str, outcome: Outcome, reply: Option<ReplyTo>) {
        if let Err(failure) = &outcome {
            let reason = format!("operation `{name}`: {}", failure.failure);
            self.core.actions.history.push(Event::MessageRefused { reason });
        }
        if let Some(reply) = reply {
            self.core.reply(reply, outcome);
        }
    }

    /// From now on the entity does not exist, and an operation begins from the initial state.
    fn delete(&mut self) {
        drop_quietly(self.state.take());
        self.saved = None;
    }

    fn read(&self) -> Outcome {
        Json::encode(&self.saved)
            .map_err(|e| TaskFailure::new(TaskErrorKind::Payload, Failure::of(e)))
    }

    /// Runs one operation: it happens wholly, or it fails and leaves nothing behind.
    fn transact(&mut self, name: &str, args: &Json) -> Outcome {
        let mut state = self.decoded()?;
        let mark = Mark::of(&self.core);
        self.core.deletes_self = false;
        let context = EntityContext::new(self.address.clone());
        let core = self.core.take_out();
        let unknown = unknown_operation(&self.address, name);
        let (core, (state, result)) = scope::enter(core, move || {
            let run = || {
                let result = match state.apply(&context, name, args) {
                    Some(result) => result?,
                    // What the original offers for every entity that has no such operation.
                    None if name == IMPLICIT_DELETE => {
                        scope::with(|core| core.deletes_self = true);
                        Json::null()
                    }
                    None => return Err(unknown),
                };
                let saved = state
                    .save()
                    .map_err(|e| TaskFailure::new(TaskErrorKind::Payload, Failure::of(e)))?;
                Ok((result, saved))
            };
            let result = catch_unwind(AssertUnwindSafe(run));
            (state, result)
        });
        self.core = core;
        let outcome = match result {
            Ok(outcome) => outcome.and_then(|(result, saved)| {
                check_state_size(&saved)?;
                Ok((result, saved))
            }),
            Err(panic) => {
                Err(TaskFailure::new(TaskErrorKind::Panicked, Failure::of_panic(&*panic)))
            }
        };
        match outcome {
            Ok((result, _)) if self.core.deletes_self => {
                drop_quietly(state);
                self.saved = None;
                Ok(result)
            }
            Ok((result, saved)) => {
                self.saved = Some(saved);
                self.state = Some(state);
                Ok(result)
            }
            Err(failure) => {
                // The decoded state may have been changed: the next operation decodes it again.
                drop_quietly(state);
                mark.roll_back(&mut self.core);
                Err(failure)
            }
        }
    }

    fn decoded(&mut self) -> Result<Box<dyn EntityState>, TaskFailure> {
        if let Some(state) = self.state.take() {
            return Ok(state);
        }
        // `Default` and `Deserialize` are code of the user's.
        let decode = || match &self.saved {
            None => Ok(self.runner.create()),
            Some(saved) => self
                .runner
                .load(saved)
                .map_err(|e| TaskFailure::new(TaskErrorKind::Payload, Failure::of(e))),
        };
        catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic| {
            Err(TaskFailure::new(TaskErrorKind::Panicked, Failure::of_panic(&*panic)))
        })
    }

    fn encode(&self) -> Payload {
        let inline = self.queue.inline_items();
        let saved = SavedEntity {
            state: self.saved.clone(),
            lock: self.holder.clone(),
            queue: inline.into_iter().map(|(number, body)| (number, body.clone())).collect(),
            next_queued: self.next_queued,
            running: self.running.clone(),
            attempts: self.attempts,
            queued: self.queue.len(),
            now: self.core.now,
            turn: self.core.turn,
            sent: self.core.sent,
            drawn: self.core.drawn,
        };
        // Made of numbers and checked JSON: writing it cannot fail.
        super::payload(serde_json::to_string(&saved).unwrap_or_default())
    }
}

fn unknown_operation(address: &EntityAddress, name: &str) -> TaskFailure {
    let message = format!("the entity `{}` has no operation `{name}`", address.name);
    TaskFailure::new(TaskErrorKind::NotRegistered, Failure::new("UnknownOperation", message))
}

impl Weigh for Body {
    fn weight(&self) -> usize {
        match self {
            Body::Operation { args, .. } => args.as_str().len(),
            Body::Lock { entities, .. } => {
                entities.iter().map(|address| address.name.len() + address.key.len()).sum()
            }
            _ => 0,
        }
    }
}

impl Drop for EntityInstance {
    fn drop(&mut self) {
        drop_quietly(self.state.take());
    }
}

/// How far the actions of the turn were before an operation.
struct Mark {
    send: usize,
    history: usize,
}

impl Mark {
    fn of(core: &Core) -> Self {
        Self { send: core.actions.send.len(), history: core.actions.history.len() }
    }

    fn roll_back(self, core: &mut Core) {
        core.actions.send.truncate(self.send);
        core.actions.history.truncate(self.history);
    }
}
