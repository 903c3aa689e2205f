//! Managing an orchestration from outside: it is suspended and resumed, terminated, and rewound when
//! it has failed, for which it keeps where it stood before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use durable_store::{Status, StoredInstance};

use super::super::Blocked;
use super::super::kept::{Kept, MAX_KEPT_BYTES_PER_TURN};
use super::{Changes, LastStep, OrchestrationInstance, Start, Watch};
use crate::error::{Failure, TaskErrorKind, TaskFailure};
use crate::graph::StateGraph;
use crate::history::Event;
use crate::json::Json;
use crate::message::ReplyTo;
use crate::program::{Incompatible, Machine, Program, SavedMachine};
use crate::retry::RetryRule;

/// Stands for a program that this worker does not have.
pub(super) struct NoProgram;

impl Program for NoProgram {
    fn graph(&self) -> &'static StateGraph {
        &StateGraph { name: "", variables: &[], states: &[], edges: &[] }
    }

    fn start(&self, _: &Json) -> Result<Box<dyn Machine>, TaskFailure> {
        let failure = Failure::new("NotRegistered", "no worker has the program");
        Err(TaskFailure::new(TaskErrorKind::NotRegistered, failure))
    }

    fn rules(&self) -> &[RetryRule] {
        &[]
    }

    fn load(&self, saved: &SavedMachine<'_>) -> Result<Box<dyn Machine>, Incompatible> {
        Err(Incompatible::UnknownState { state: saved.position.state.clone() })
    }
}

impl OrchestrationInstance {
    /// Reads the engine's part only, which is enough to be terminated.
    pub(in super::super) fn load_to_end(stored: &StoredInstance) -> Result<Self, Blocked> {
        let mut instance = Self::before(stored, Arc::new(NoProgram));
        // The first message may have come and wait elsewhere: no other may be taken for a late one.
        instance.start = Start::before(true);
        match &stored.record.state {
            Some(state) => match instance.restore(state, &stored.side) {
                // The program's part comes last.
                Ok(()) | Err(Blocked::Incompatible(_)) => Ok(instance),
                Err(blocked) => Err(blocked),
            },
            None => instance.restore_numbers(&stored.side).map(|()| instance),
        }
    }

    pub(super) fn suspend(&mut self, reason: String) {
        if !self.status.is_terminal() && self.status != Status::Suspended {
            self.status = Status::Suspended;
            self.core.actions.history.push(Event::Suspended { reason });
        }
    }

    /// Goes on with what arrived meanwhile.
    pub(super) fn resume(&mut self, reason: String, changes: &mut Changes) {
        if self.status != Status::Suspended {
            return;
        }
        self.core.actions.history.push(Event::Resumed { reason });
        match self.start {
            Start::First | Start::Scheduled => self.status = Status::Pending,
            Start::Again => self.status = Status::Running,
            Start::Due => self.begin(changes),
            Start::Over => {
                self.status = Status::Running;
                self.core.begin_due_attempts();
                if self.rewinding.is_some() {
                    self.go_back("it is resumed", changes);
                } else {
                    self.go_on(changes);
                }
            }
        }
    }

    /// Runs the program if what it waits for is there already.
    fn go_on(&mut self, changes: &mut Changes) {
        let Some(machine) = self.machine.as_deref() else { return };
        let mut is_ready = false;
        machine.for_each_wait(&mut |waiting| is_ready |= waiting.is_ready(&self.core));
        self.watch = Watch::of(machine, &self.core);
        if is_ready {
            self.step(changes);
        }
    }

    pub(super) fn terminate(&mut self, reason: String, recursive: bool, changes: &mut Changes) {
        self.status = Status::Terminated;
        self.core.actions.history.push(Event::Terminated { reason: reason.clone() });
        if recursive {
            self.core.terminate_children(&reason);
        }
        if self.start == Start::Scheduled {
            self.core.actions.unschedule_start = Some(self.core.identity.request.clone());
        }
        self.kept = None;
        self.core.cancel_activities();
        let failure = Failure::new("Terminated", reason);
        self.close(Err(TaskFailure::new(TaskErrorKind::Terminated, failure)), changes);
    }

    /// It was ended before its first message came: who waits for it is told so.
    pub(super) fn tell_end(&mut self, reply: Option<ReplyTo>, changes: &mut Changes) {
        let Some(failure) = self.output.as_deref().map(serde_json::from_str::<TaskFailure>) else {
            return;
        };
        self.start = Start::Over;
        changes.rewrite = true;
        if let (Some(reply), Ok(failure)) = (reply, failure) {
            self.core.reply(reply, Err(failure));
        }
    }

    /// Where the program stands, to come back if the step to come fails. Costs nothing in the first
    /// step of a turn: it was saved at the end of the one before.
    pub(super) fn keep(
        &mut self,
        machine: &mut dyn Machine,
        changes: &mut Changes,
    ) -> Option<Kept> {
        let mut waits = false;
        machine.for_each_wait(&mut |_| waits = true);
        if !waits {
            return Some(Kept::unbegun());
        }
        let locals = match self.locals.take() {
            Some(locals) => locals,
            None if changes.kept_bytes > MAX_KEPT_BYTES_PER_TURN => return None,
            // The variables are saved by code of the user's.
            None => catch_unwind(AssertUnwindSafe(|| machine.save())).ok()?.ok()?,
        };
        changes.kept_bytes += locals.len();
        Kept::of(machine, locals)
    }

    /// Puts everything back to where it was before the step that failed, so that it can be rewound.
    /// What the step said to others is said.
    pub(super) fn keep_what_failed(&mut self, step: Option<LastStep>) {
        self.kept = match step {
            Some(LastStep { mark, kept, undo }) => {
                self.core.abandon_from(mark.next_task);
                self.core.undo(undo);
                kept
            }
            None => match (&self.machine, self.locals.take()) {
                (Some(machine), Some(locals)) => Kept::of(&**machine, locals),
                (Some(_), None) => None,
                (None, _) => Some(Kept::unbegun()),
            },
        };
    }

    /// Goes on from before the failure, or says to whoever asked why not.
    pub(super) fn rewind(&mut self, reason: &str, reply: Option<ReplyTo>, changes: &mut Changes) {
        let has_failed = self.machine.is_none() && self.start.is_over();
        let is_waited_for = reply.is_some() && self.core.reply == reply;
        match self.status {
            Status::Completed if self.is_child_of(reply.as_ref()) => {
                let output = self.output.clone().unwrap_or_else(|| "null".into());
                if let Some(reply) = reply {
                    self.core.reply(reply, Ok(Json::from_text(output)));
                }
            }
            Status::Failed | Status::Running if has_failed => {
                if reply.is_some() && !is_waited_for {
                    return self.refuse_rewind("it is not a child of who asks", reply);
                }
                let too_large = "where it stood before it failed was not kept: it was too large to be \
                                     kept, or within a critical section, whose locks are released";
                let why = if self.kept.is_none() { Some(too_large) } else { self.why_not_again() };
                if let Some(why) = why.map(str::to_owned) {
                    self.status = Status::Failed;
                    changes.failed_again = Some(self.core.now);
                    return self.refuse_rewind(&why, reply);
                }
                self.core.actions.history.push(Event::Rewound { reason: reason.to_owned() });
                self.go_back(reason, changes);
            }
            // It has been rewound already, and will tell its parent when it ends.
            Status::Running | Status::Suspended if is_waited_for => {}
            status => self.refuse_rewind(&format!("it is {status:?}"), reply),
        }
    }

    fn is_child_of(&self, reply: Option<&ReplyTo>) -> bool {
        match reply {
            Some(ReplyTo::Task { instance, .. }) => {
                self.core.identity.parent.as_ref() == Some(instance)
            }
            _ => false,
        }
    }

    fn refuse_rewind(&mut self, why: &str, reply: Option<ReplyTo>) {
        let reason = format!("`{}` cannot be rewound: {why}", self.core.identity.id);
        self.core.actions.history.push(Event::MessageRefused { reason: reason.clone() });
        if let Some(reply) = reply {
            let failure = Failure::new("NotRewound", reason);
            self.core.reply(reply, Err(TaskFailure::new(TaskErrorKind::Refused, failure)));
        }
    }

    /// Goes on from before the failure: what failed is done again, all else is as it was.
    pub(super) fn go_back(&mut self, reason: &str, changes: &mut Changes) {
        if self.stays_misfit(changes) {
            return;
        }
        let Some(kept) = &self.kept else { return };
        self.status = Status::Running;
        changes.rewrite = true;
        if kept.is_unbegun() {
            (self.kept, self.rewinding) = (None, None);
            return self.begin(changes);
        }
        // The variables are decoded by code of the user's.
        let loaded = catch_unwind(AssertUnwindSafe(|| kept.load(&*self.program)));
        let machine = match loaded {
            Ok(Ok(machine)) => machine,
            Ok(Err(error)) => {
                let why = super::super::chain(&error);
                self.rewinding =
                    Some(format!("where it failed does not fit this build of the program: {why}"));
                return;
            }
            Err(panic) => {
                self.rewinding = Some(Failure::of_panic(&*panic).message);
                return;
            }
        };
        self.locals = Some(kept.locals().to_owned());
        (self.kept, self.rewinding) = (None, None);
        machine.for_each_wait(&mut |waiting| {
            waiting.for_each_task(&mut |task| self.core.do_again(task, reason));
        });
        self.core.set_timers_again();
        self.machine = Some(machine);
        self.go_on(changes);
    }
}
