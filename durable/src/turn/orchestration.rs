//! One turn of an orchestration: deliver each message, and run the program whenever what it waits
//! for is there.

mod arriving;
mod checked;
mod manage;
mod misfit;
mod renewal;
mod saving;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use durable_store::{Payload, Renewal, Status, StoredInstance, Timestamp};
use serde::{Deserialize, Serialize};

use self::misfit::Misfit;
use super::check::Snapshot;
use super::core::{Core, Identity, Mark};
use super::kept::Kept;
use super::managing::Undo;
use super::watch::Watch;
use super::{Blocked, Inbound, TurnOutput, drop_quietly, identity, output, scope};
use crate::error::{Failure, Outcome, TaskErrorKind, TaskFailure};
use crate::history::Event;
use crate::json::Json;
use crate::message::ReplyTo;
use crate::program::{Machine, Program, Progress};
use crate::registry::Registry;

/// An orchestration in memory.
pub(crate) struct OrchestrationInstance {
    core: Core,
    program: Arc<dyn Program>,
    input: Payload,
    status: Status,
    /// The result or failure that is stored.
    output: Option<Payload>,
    /// `None` before the start and after the end.
    machine: Option<Box<dyn Machine>>,
    watch: Watch,
    /// The variables as they were saved last, if nothing of the program ran since.
    locals: Option<String>,
    /// Where the program stood before it failed.
    kept: Option<Kept>,
    start: Start,
    /// It is to go on from where it failed, but this build of the program cannot: why, once that
    /// was tried.
    rewinding: Option<String>,
    /// Its version is not for this worker, and this is not simply left alone.
    misfit: Option<Misfit>,
    /// Whether the turn's number is only in its side row.
    turn_in_row: bool,
    /// Whether the program ran in the last turn.
    stepped: bool,
    /// What was saved last, if every turn is to be checked against a second run.
    saved: Option<Snapshot>,
}

/// How far the start of an orchestration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Start {
    /// The first message has not come, which nothing can come before.
    First,
    /// The first message comes at its time, and others may come before.
    Scheduled,
    /// It came while the instance was suspended.
    Due,
    /// The first message of the next run of the instance is under way.
    Again,
    /// The program has begun.
    Over,
}

impl Start {
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde asks so.
    fn is_over(&self) -> bool {
        *self == Self::Over
    }

    /// Before anything came.
    fn before(scheduled: bool) -> Self {
        if scheduled { Self::Scheduled } else { Self::First }
    }

    fn over() -> Self {
        Self::Over
    }
}

impl OrchestrationInstance {
    pub(super) fn load(stored: &StoredInstance, registry: &Registry) -> Result<Self, Blocked> {
        let record = &stored.record;
        let misfit = Misfit::of(&record.version, registry);
        // What has ended does not run: it may answer to late messages wherever it is.
        let misfit = match misfit {
            Some(misfit) if record.status.is_terminal() => Some(misfit),
            Some(misfit) if misfit.is_rejected() => {
                return Err(Blocked::VersionMismatch(misfit.why().to_owned()));
            }
            Some(misfit) => return Self::load_to_fail(stored, misfit),
            None => None,
        };
        let program = registry.orchestration(&record.name, &record.version).ok_or_else(|| {
            Blocked::NotRegistered {
                kind: "orchestrator",
                name: record.name.clone(),
                version: record.version.clone(),
            }
        })?;
        let mut instance = Self::before(stored, Arc::clone(program));
        instance.misfit = misfit;
        instance.core.default_version = Arc::clone(&registry.versioning().default_version);
        instance.saved = registry.checks_determinism().then(|| Snapshot::of(stored));
        match &record.state {
            Some(state) => instance.restore(state, &stored.side)?,
            None => instance.restore_numbers(&stored.side)?,
        }
        Ok(instance)
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.core.identity
    }

    /// What is known before the state is read.
    fn before(stored: &StoredInstance, program: Arc<dyn Program>) -> Self {
        let record = &stored.record;
        Self {
            core: Core::new(identity(record)),
            program,
            input: Arc::clone(&record.input),
            status: record.status,
            output: record.output.clone(),
            machine: None,
            watch: Watch::Nothing,
            locals: None,
            kept: None,
            start: Start::before(record.starts_at.is_some()),
            rewinding: None,
            misfit: None,
            turn_in_row: false,
            stepped: false,
            saved: None,
        }
    }

    fn run(&mut self, inbound: Vec<Inbound>, now: Timestamp) -> TurnOutput {
        self.core.now = self.core.now.max(now);
        self.core.turn += 1;
        let mut changes = Changes::default();
        if self.rewinding.is_some() && self.status == Status::Running {
            self.go_back("it was rewound", &mut changes);
        }
        for message in inbound {
            self.fail_misfit(&message, &mut changes);
            self.deliver(message, &mut changes);
        }
        self.finish_turn(changes)
    }

    fn start(&mut self, request: &str, reply: Option<ReplyTo>, changes: &mut Changes) {
        if request != self.core.identity.request {
            // The id belongs to an instance that another request created.
            if let Some(reply) = reply {
                let message =
                    format!("an instance with the id `{}` exists already", self.core.identity.id);
                let failure = Failure::new("InstanceExists", message);
                self.core.reply(reply, Err(TaskFailure::new(TaskErrorKind::Refused, failure)));
            }
            return;
        }
        if self.start.is_over() {
            return;
        }
        if self.status.is_terminal() {
            return self.tell_end(reply, changes);
        }
        if self.start == Start::Again {
            self.core.actions.history.push(Event::ContinuedAsNew);
        } else {
            self.core.reply = reply;
        }
        if self.status == Status::Suspended {
            self.start = Start::Due;
            changes.rewrite = true;
            return;
        }
        self.begin(changes);
    }

    /// Begins the program.
    fn begin(&mut self, changes: &mut Changes) {
        self.start = Start::Over;
        self.status = Status::Running;
        let input = Json::from_text(Arc::clone(&self.input));
        self.core.actions.history.push(Event::Started { input: input.clone() });
        // The arguments are decoded by code of the user's.
        let started = catch_unwind(AssertUnwindSafe(|| self.program.start(&input)));
        let started = started.unwrap_or_else(|panic| {
            Err(TaskFailure::new(TaskErrorKind::Panicked, Failure::of_panic(&*panic)))
        });
        match started {
            Ok(machine) => {
                self.machine = Some(machine);
                self.step(changes);
            }
            Err(failure) => self.end(Err(failure), changes),
        }
    }

    /// Runs the program until it waits or ends.
    fn step(&mut self, changes: &mut Changes) {
        let Some(mut machine) = self.machine.take() else { return };
        changes.stepped = true;
        let (kept, mark) = (self.keep(&mut *machine, changes), self.core.mark());
        self.core.begin_undo();
        // The core is moved where the program's calls find it, and moved back whatever happens.
        let core = self.core.take_out();
        let (core, result) = scope::enter(core, move || {
            let result = catch_unwind(AssertUnwindSafe(|| {
                let progress = machine.step();
                if scope::with(|core| core.next_run.is_some()) {
                    // What the variables hold ends within the turn, as at the end of the program.
                    machine.clear();
                }
                progress
            }));
            (machine, result)
        });
        self.core = core;
        changes.last_step = Some(LastStep { mark, kept, undo: self.core.end_undo() });
        let (machine, result) = result;
        let next_run = self.core.next_run.take();
        match result {
            Err(panic) => {
                drop_quietly(machine);
                let failure = Failure::of_panic(&*panic);
                self.fail(TaskErrorKind::Panicked, failure, changes);
            }
            Ok(_) if self.core.is_over_limit() => {
                drop_quietly(machine);
                let message = format!(
                    "more than {} calls, timers and messages in one turn",
                    super::MAX_ACTIONS_PER_TURN
                );
                self.fail(TaskErrorKind::Failed, Failure::new("TooManyActions", message), changes);
            }
            Ok(Progress::Suspended) if next_run.is_some() => {
                drop_quietly(machine);
                self.renew(next_run, changes);
            }
            Ok(Progress::Suspended) => {
                self.watch = Watch::of(&*machine, &self.core);
                self.machine = Some(machine);
            }
            Ok(Progress::Ended(result)) => self.end(result, changes),
        }
    }

    /// Ends without giving effect to what the program did in its last step.
    fn fail(&mut self, kind: TaskErrorKind, failure: Failure, changes: &mut Changes) {
        if let Some(step) = &changes.last_step {
            self.core.roll_back(step.mark.clone());
        }
        self.end(Err(TaskFailure::new(kind, failure)), changes);
    }

    fn end(&mut self, result: Outcome, changes: &mut Changes) {
        self.status = if result.is_ok() { Status::Completed } else { Status::Failed };
        self.core.actions.history.push(match &result {
            Ok(output) => Event::Completed { output: output.clone() },
            Err(e) => Event::Failed { failure: e.failure.clone() },
        });
        if result.is_err() {
            let touched_section = std::mem::take(&mut self.core.touched_section);
            self.keep_what_failed(changes.last_step.take());
            if touched_section || self.core.section.is_some() {
                // Its locks are released now, and what it did under them cannot be gone back to.
                self.kept = None;
            }
        }
        self.close(result, changes);
    }

    fn close(&mut self, result: Outcome, changes: &mut Changes) {
        drop_quietly(self.machine.take());
        (self.locals, self.watch, self.rewinding) = (None, Watch::Nothing, None);
        let reply = if self.kept.is_some() {
            self.core.stop_timers();
            // Whoever waits is told again when it has been rewound.
            self.core.reply.clone()
        } else {
            self.core.abandon_all();
            self.core.reply.take()
        };
        if let Some(reply) = reply {
            self.core.reply(reply, result.clone());
        }
        changes.stepped = true;
        changes.ended = Some(result);
    }

    fn finish_turn(&mut self, mut changes: Changes) -> TurnOutput {
        self.stepped = changes.stepped;
        if let Err(failure) = self.try_encode(&mut changes) {
            // A variable that cannot be saved ends the instance; the second try has those of the
            // step before, and the third has none.
            self.fail(TaskErrorKind::Payload, failure, &mut changes);
            if self.try_encode(&mut changes).is_err() {
                self.kept = None;
                self.core.abandon_all();
                let _ = self.try_encode(&mut changes);
            }
        }
        let state_name = self.state_name();
        let turn = self.core.turn;
        // Who takes the partition over is to try again what this build cannot go on with.
        let busy = self.core.running_activities > 0 || self.rewinding.is_some();
        let mut out = output(&mut self.core, self.status, state_name, busy);
        out.change.blocked.clone_from(&self.rewinding);
        out.change.finished_at = changes.failed_again;
        out.change.state = changes.state;
        if let Some(renewal) = changes.renewal {
            out.reload = changes.reload;
            out.change.renew = Some(renewal);
            // The history is that of the last run, as in the original.
            out.change.history.clear();
            out.change.forget_history_before = Some(turn + 1);
        }
        out.change.put_side = changes.put_side;
        out.change.delete_side = changes.delete_side;
        if let Some(result) = changes.ended {
            out.change.finished_at = Some(out.change.updated_at);
            out.change.output = Some(match result {
                Ok(json) => json.text(),
                Err(failure) => super::payload(serde_json::to_string(&failure).unwrap_or_default()),
            });
            self.output.clone_from(&out.change.output);
        }
        out
    }

    fn state_name(&self) -> &'static str {
        match (&self.machine, self.status) {
            (Some(machine), _) => machine.state(),
            (None, Status::Completed) => "Completed",
            (None, Status::Failed) => "Failed",
            (None, Status::Terminated) => "Terminated",
            (None, _) if self.kept.is_some() => "Failed",
            (None, _) => "Start",
        }
    }
}

impl Drop for OrchestrationInstance {
    fn drop(&mut self) {
        drop_quietly(self.machine.take());
    }
}

/// What is needed to go back before a step of the program.
struct LastStep {
    mark: Mark,
    kept: Option<Kept>,
    undo: Undo,
}

/// What a turn has to store.
#[derive(Default)]
struct Changes {
    stepped: bool,
    /// The state has to be written although the program did not run.
    rewrite: bool,
    last_step: Option<LastStep>,
    /// Bytes of variables that were saved to come back to.
    kept_bytes: usize,
    /// When it failed once more without having run.
    failed_again: Option<Timestamp>,
    ended: Option<Outcome>,
    /// What the instance begins anew with.
    renewal: Option<Renewal>,
    /// The next run is one of another program.
    reload: bool,
    state: Option<Payload>,
    put_side: Vec<(i64, Payload)>,
    delete_side: Vec<i64>,
}
