//! One turn of an entity: each operation is a transaction of its own, in the order in which the
//! messages came.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use durable_store::{Payload, Status, StoredInstance, Timestamp};
use serde::{Deserialize, Serialize};

use super::core::{Core, Identity};
use super::{Blocked, EntityAddress, Inbound, TurnOutput, drop_quietly, identity, output, scope};
use crate::context::EntityContext;
use crate::entity::READ_STATE;
use crate::error::{Failure, Outcome, TaskErrorKind, TaskFailure};
use crate::history::Event;
use crate::json::Json;
use crate::message::{Body, ReplyTo};
use crate::registry::{EntityRunner, EntityState, Registry};

/// An entity in memory.
pub(crate) struct EntityInstance {
    core: Core,
    runner: Arc<dyn EntityRunner>,
    address: EntityAddress,
    /// The state as of the last operation that succeeded; `None` if the entity does not exist.
    saved: Option<Json>,
    /// The same, decoded. `None` if it has to be decoded again.
    state: Option<Box<dyn EntityState>>,
}

/// What an entity saves.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedEntity {
    /// The user's state; absent if the entity does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<Json>,
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
        };
        instance.core.default_version = Arc::clone(&registry.versioning().default_version);
        if let Some(text) = &record.state {
            let saved: SavedEntity =
                serde_json::from_str(text).map_err(|e| Blocked::Malformed(e.to_string()))?;
            instance.core.now = saved.now;
            instance.core.turn = saved.turn;
            instance.core.sent = saved.sent;
            instance.core.drawn = saved.drawn;
            if let Some(state) = saved.state {
                instance.state = Some(instance.runner.load(&state).map_err(Blocked::EntityState)?);
                instance.saved = Some(state);
            }
        }
        Ok(instance)
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.core.identity
    }

    pub(super) fn turn(&mut self, inbound: Vec<Inbound>, now: Timestamp) -> TurnOutput {
        self.core.now = self.core.now.max(now);
        self.core.turn += 1;
        for message in inbound {
            match message {
                Inbound::Message(Body::Operation { name, args, reply, .. }) => {
                    self.operate(&name, &args, reply);
                }
                Inbound::Message(Body::Start { reply: Some(reply), .. }) => {
                    let failure = Failure::new("InstanceExists", "the id belongs to an entity");
                    self.core.reply(reply, Err(TaskFailure::new(TaskErrorKind::Refused, failure)));
                }
                // Nothing else is meant for an entity.
                _ => {}
            }
        }
        let state = self.encode();
        let mut out = output(&mut self.core, Status::Running, "", false);
        out.change.state = Some(state);
        out
    }

    fn operate(&mut self, name: &str, args: &Json, reply: Option<ReplyTo>) {
        let outcome = if name == READ_STATE { self.read() } else { self.transact(name, args) };
        if let Err(failure) = &outcome {
            let reason = format!("operation `{name}`: {}", failure.failure);
            self.core.actions.history.push(Event::MessageRefused { reason });
        }
        if let Some(reply) = reply {
            self.core.reply(reply, outcome);
        }
    }

    fn read(&self) -> Outcome {
        Json::encode(&self.saved)
            .map_err(|e| TaskFailure::new(TaskErrorKind::Payload, Failure::of(e)))
    }

    /// Runs one operation: it happens wholly, or it fails and leaves nothing behind.
    fn transact(&mut self, name: &str, args: &Json) -> Outcome {
        let mut state = self.decoded()?;
        let mark = Mark::of(&self.core);
        let context = EntityContext::new(self.address.clone());
        let identity = self.core.identity.clone();
        let core = std::mem::replace(&mut self.core, Core::new(identity));
        let unknown = unknown_operation(&self.address, name);
        let (core, (state, result)) = scope::enter(core, move || {
            let run = || {
                let result = state.apply(&context, name, args).unwrap_or(Err(unknown))?;
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
                crate::task::check_size(&saved)?;
                Ok((result, saved))
            }),
            Err(panic) => {
                Err(TaskFailure::new(TaskErrorKind::Panicked, Failure::of_panic(&*panic)))
            }
        };
        match outcome {
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
        let saved = SavedEntity {
            state: self.saved.clone(),
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
