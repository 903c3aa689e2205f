//! Operations that are `async`: they run outside of the turns, as activities do, on a copy of the state,
//! and what they come to is taken in by a turn. Meanwhile all other messages wait, so that the entity
//! still does one thing at a time, and the effect on its state is there once or not at all.

use durable_store::limits::MAX_PAYLOAD_BYTES;
use serde::{Deserialize, Serialize};

use super::EntityInstance;
use crate::error::{Failure, TaskErrorKind, TaskFailure};
use crate::history::Event;
use crate::json::Json;
use crate::message::{Body, ReplyTo, TaskId};
use crate::turn::{ActivityStart, MAX_LOST_ATTEMPTS, OperationEffects, OperationStart};

/// The operation under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Running {
    name: String,
    args: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply: Option<ReplyTo>,
    /// How many attempts were lost with their worker.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    lost: u32,
}

impl EntityInstance {
    pub(super) fn begin_async(&mut self, name: &str, args: &Json, reply: Option<ReplyTo>) {
        if let Err(failure) = self.check_room_for(args) {
            return self.end_operation(name, Err(failure), reply);
        }
        let (name, args) = (name.to_owned(), args.clone());
        self.running = Some(Running { name, args, reply, lost: 0 });
        self.start_attempt();
    }

    /// The arguments are saved beside the state as long as the operation is under way.
    fn check_room_for(&self, args: &Json) -> Result<(), TaskFailure> {
        let state = self.saved.as_ref().map_or(0, |saved| saved.as_str().len());
        let limit = MAX_PAYLOAD_BYTES - super::ROOM_FOR_QUEUE;
        crate::task::check_size_within(args, limit.saturating_sub(state))
    }

    fn start_attempt(&mut self) {
        let Some(Running { name, args, .. }) = &self.running else { return };
        self.attempts += 1;
        // Random values of two attempts differ from each other, and from those of the turns.
        let mut identity = self.core.identity.clone();
        identity.request = format!("{}/{}", identity.request, self.attempts);
        let entity = OperationStart {
            address: self.address.clone(),
            state: self.saved.clone(),
            identity,
            now: self.core.now,
            default_version: self.core.default_version.clone(),
        };
        self.core.actions.start.push(ActivityStart {
            task: TaskId::default(),
            attempt: self.attempts,
            name: name.clone(),
            input: args.clone(),
            entity: Some(Box::new(entity)),
        });
    }

    /// A new owner runs the operation again that was under way.
    pub(super) fn recover(&mut self) {
        let Some(running) = &mut self.running else { return };
        running.lost += 1;
        if running.lost < MAX_LOST_ATTEMPTS {
            return self.start_attempt();
        }
        let message = format!(
            "{MAX_LOST_ATTEMPTS} attempts of it were under way when their worker went away"
        );
        let failure = Failure::final_one("WorkerLost", message);
        self.end_async(Err(TaskFailure::new(TaskErrorKind::WorkerLost, failure)));
    }

    /// Takes in what an attempt came to. One that was given up is not heard.
    pub(super) fn operation_ended(
        &mut self,
        attempt: u32,
        result: Result<(Json, OperationEffects), TaskFailure>,
    ) {
        if attempt == self.attempts {
            self.end_async(result);
        }
    }

    fn end_async(&mut self, result: Result<(Json, OperationEffects), TaskFailure>) {
        let Some(Running { name, reply, .. }) = self.running.take() else { return };
        let outcome = result.map(|(output, effects)| {
            self.take_effects(effects);
            output
        });
        self.end_operation(&name, outcome, reply);
        self.look_behind();
    }

    fn take_effects(&mut self, effects: OperationEffects) {
        super::drop_quietly(self.state.take());
        self.saved = effects.state;
        self.core.actions.history.extend::<Vec<Event>>(effects.history);
        for mut message in effects.send {
            // Ids are given in the order of the entity's own messages.
            let sent = self.core.send(message.target.clone(), Body::Proceed);
            message.id.clone_from(&sent.id);
            if let Body::Start { request, .. } = &mut message.body {
                request.clone_from(&sent.id);
            }
            *sent = message;
        }
    }
}
