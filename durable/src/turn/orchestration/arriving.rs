//! What arrives at an orchestration: each message is for a task, an event, or the instance itself, and
//! may let the program go on.

use durable_store::Status;

use super::{Changes, OrchestrationInstance, Start};
use crate::error::{Failure, Outcome, TaskErrorKind, TaskFailure};
use crate::history::Event;
use crate::json::Json;
use crate::message::{Body, ReplyTo, TaskId, TimerKey};
use crate::turn::{Inbound, MAX_LOST_ATTEMPTS};

impl OrchestrationInstance {
    pub(super) fn deliver(&mut self, message: Inbound, changes: &mut Changes) {
        if self.start == Start::First && is_for_who_runs(&message) {
            // The first message of an instance comes before all others: this one was sent to the
            // one that had the id before.
            return;
        }
        match message {
            Inbound::ActivityEnded { number, task, attempt, outcome } => {
                if self.is_for_this(number.0) && self.core.is_current_call(task, attempt) {
                    self.complete(task, outcome, changes);
                }
            }
            Inbound::Recover => {
                for task in self.core.recover(MAX_LOST_ATTEMPTS) {
                    self.arrived(task, true, changes);
                }
            }
            Inbound::Message(Body::AttemptEnded { number, task, attempt, outcome }) => {
                if self.is_for_this(number) && self.core.is_current_call(task, attempt) {
                    self.complete(task, outcome, changes);
                }
            }
            Inbound::AttemptLost { number, task, attempt } => {
                if self.is_for_this(number.0)
                    && self.core.is_current_call(task, attempt)
                    && self.core.lose_attempt(task, MAX_LOST_ATTEMPTS)
                {
                    self.arrived(task, true, changes);
                }
            }
            Inbound::Message(Body::Start { request, reply }) => {
                self.start(&request, reply, changes);
            }
            Inbound::Message(Body::Done { number, task, call, outcome }) => {
                if self.is_for_this(number) && self.core.is_current_call(task, call) {
                    self.complete(task, outcome, changes);
                }
            }
            Inbound::Message(Body::Timer { number, task, round }) => {
                if self.is_for_this(number) {
                    self.timer_fired(TimerKey { task, round }, changes);
                }
            }
            Inbound::Message(Body::Event { name, value }) => {
                // What failed keeps what comes for it until it is rewound.
                if self.status.is_terminal() && self.kept.is_none() {
                    return;
                }
                if let Some(task) = self.core.receive_event(name, value) {
                    self.arrived(task, false, changes);
                }
            }
            Inbound::Message(Body::Terminate { reason, recursive, parent }) => {
                let is_meant = parent.is_none() || parent == self.core.identity.parent;
                if is_meant && !self.status.is_terminal() {
                    self.terminate(reason, recursive, changes);
                }
            }
            Inbound::Message(Body::Suspend { reason }) => self.suspend(reason),
            Inbound::Message(Body::Resume { reason }) => self.resume(reason, changes),
            Inbound::Message(Body::Rewind { reason, reply }) => {
                self.rewind(&reason, reply, changes);
            }
            Inbound::Message(Body::Operation { name, reply, .. }) => {
                self.refuse_operation(&name, reply);
            }
            Inbound::Message(Body::Lock { reply, .. }) => {
                self.refuse_operation("lock", Some(reply));
            }
            // These are for entities.
            Inbound::Message(Body::Unlock { .. } | Body::Proceed)
            | Inbound::OperationEnded { .. } => {}
        }
    }

    /// Whether a message is for this instance, and not for one that had the id before.
    fn is_for_this(&self, number: i64) -> bool {
        self.core.identity.no.0 == number
    }

    fn timer_fired(&mut self, key: TimerKey, changes: &mut Changes) {
        if key.round == 0 {
            return self.complete(key.task, Ok(Json::null()), changes);
        }
        // Who is suspended begins its attempts when it is resumed.
        let may_begin = self.status == Status::Running;
        let reason = "the time allowed for the attempt is over";
        if let Some(failure) = self.core.retry_timer(key, may_begin, reason) {
            self.complete(key.task, Err(failure), changes);
        }
    }

    fn complete(&mut self, task: TaskId, outcome: Outcome, changes: &mut Changes) {
        let outcome = match outcome {
            Err(failure) if !self.status.is_terminal() => {
                let rules = self.program.rules();
                let Some(failure) = self.core.retry(task, failure, rules) else { return };
                Err(failure)
            }
            outcome => outcome,
        };
        let failed = outcome.is_err();
        if self.core.complete(task, outcome) {
            self.arrived(task, failed, changes);
        }
    }

    /// An outcome is there: if it is what the program waits for, it goes on.
    fn arrived(&mut self, task: TaskId, failed: bool, changes: &mut Changes) {
        // Who is suspended looks at all that arrived when it is resumed.
        if self.status != Status::Suspended && self.watch.is_over(task, failed, &self.core) {
            self.step(changes);
        }
    }

    fn refuse_operation(&mut self, operation: &str, reply: Option<ReplyTo>) {
        let reason =
            format!("`{operation}` was called on an orchestration, which has no operations");
        self.core.actions.history.push(Event::MessageRefused { reason: reason.clone() });
        if let Some(reply) = reply {
            let failure = Failure::new("NotAnEntity", reason);
            self.core.reply(reply, Err(TaskFailure::new(TaskErrorKind::Refused, failure)));
        }
    }
}

/// Whether a message means the orchestration that runs under the id when it is sent.
fn is_for_who_runs(message: &Inbound) -> bool {
    matches!(
        message,
        Inbound::Message(
            Body::Event { .. }
                | Body::Terminate { .. }
                | Body::Suspend { .. }
                | Body::Resume { .. }
                | Body::Rewind { reply: None, .. }
        )
    )
}
