//! One turn of an orchestration: deliver each message, and run the program whenever what it waits
//! for is there.

mod manage;
mod misfit;
mod renewal;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use durable_store::{Payload, Renewal, SideKey, Status, StoredInstance, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::misfit::Misfit;
use super::check::{self, Snapshot};
use super::core::{BufferedEvent, Core, Identity, Mark, Task};
use super::kept::Kept;
use super::managing::Undo;
use super::sections::Section;
use super::shelf::Shelf;
use super::watch::Watch;
use super::{
    Blocked, Inbound, MAX_LOST_ATTEMPTS, TURN_KEY, TurnOutput, drop_quietly, identity, output,
    scope,
};
use crate::error::{Failure, Outcome, TaskErrorKind, TaskFailure};
use crate::history::Event;
use crate::json::Json;
use crate::message::{Body, ReplyTo, TaskId, TimerKey};
use crate::program::{Incompatible, Machine, Program, Progress, SavedMachine, SavedPosition};
use crate::registry::Registry;
use crate::task::Waiting;

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

/// What an orchestration saves.
#[derive(Serialize)]
struct Saved<'a> {
    state: &'a str,
    locals: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    awaiting: Option<&'a Waiting>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    branches: Vec<Option<SavedPosition>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tasks: BTreeMap<i64, &'a Task>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    events: BTreeMap<i64, &'a BufferedEvent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<&'a Section>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<&'a ReplyTo>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    idle: bool,
    #[serde(skip_serializing_if = "Start::is_over")]
    start: Start,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<&'a Kept>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rewinding: Option<&'a str>,
    now: Timestamp,
    turn: i64,
    next_task: i64,
    next_event: i64,
    sent: i64,
    drawn: i64,
}

#[derive(Deserialize)]
struct Loaded<'a> {
    state: String,
    #[serde(borrow)]
    locals: &'a RawValue,
    #[serde(default)]
    awaiting: Option<Waiting>,
    #[serde(default)]
    branches: Vec<Option<SavedPosition>>,
    #[serde(default)]
    tasks: BTreeMap<i64, Task>,
    #[serde(default)]
    events: BTreeMap<i64, BufferedEvent>,
    #[serde(default)]
    section: Option<Section>,
    #[serde(default)]
    reply: Option<ReplyTo>,
    /// No program is under way: it has not begun, or it is over.
    #[serde(default)]
    idle: bool,
    #[serde(default = "Start::over")]
    start: Start,
    #[serde(default)]
    kept: Option<Kept>,
    #[serde(default)]
    rewinding: Option<String>,
    now: Timestamp,
    turn: i64,
    next_task: i64,
    next_event: i64,
    sent: i64,
    drawn: i64,
}

/// Side rows of buffered events have negative keys, below the one of the turn number.
fn event_key(number: i64) -> i64 {
    -number
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

    /// Reads the numbers that were used in turns which did not write the state.
    fn restore_numbers(&mut self, rows: &[(SideKey, Payload)]) -> Result<(), Blocked> {
        if let Some((_, row)) = rows.iter().find(|(key, _)| *key == TURN_KEY) {
            let (turn, sent) =
                serde_json::from_str(row).map_err(|e| Blocked::Malformed(e.to_string()))?;
            self.core.turn = turn;
            self.core.sent = sent;
            self.turn_in_row = true;
        }
        Ok(())
    }

    /// The same instance, made again from its saved bytes. Its own turns are not checked.
    fn twin(&self, snapshot: &Snapshot) -> Result<Self, Blocked> {
        let mut identity = self.core.identity.clone();
        identity.version.clone_from(&snapshot.version);
        let mut twin = Self {
            core: Core::new(identity),
            program: Arc::clone(&self.program),
            input: Arc::clone(&snapshot.input),
            status: snapshot.status,
            output: snapshot.output.clone(),
            machine: None,
            watch: Watch::Nothing,
            locals: None,
            kept: None,
            start: Start::before(snapshot.scheduled),
            rewinding: None,
            misfit: None,
            turn_in_row: false,
            stepped: false,
            saved: None,
        };
        twin.core.default_version = Arc::clone(&self.core.default_version);
        let rows: Vec<(SideKey, Payload)> =
            snapshot.rows.iter().map(|(key, row)| (*key, Arc::clone(row))).collect();
        match &snapshot.state {
            Some(state) => twin.restore(state, &rows)?,
            None => twin.restore_numbers(&rows)?,
        }
        Ok(twin)
    }

    fn restore(&mut self, state: &str, rows: &[(SideKey, Payload)]) -> Result<(), Blocked> {
        let malformed = |e: serde_json::Error| Blocked::Malformed(e.to_string());
        let loaded: Loaded<'_> = serde_json::from_str(state).map_err(malformed)?;
        let (mut task_rows, mut event_rows) = (Vec::new(), Vec::new());
        for (key, row) in rows {
            if *key == TURN_KEY {
                continue;
            }
            if *key > 0 {
                task_rows.push((*key, serde_json::from_str(row).map_err(malformed)?));
            } else {
                event_rows.push((-*key, serde_json::from_str(row).map_err(malformed)?));
            }
        }
        let core = &mut self.core;
        core.now = loaded.now;
        core.turn = loaded.turn;
        core.next_task = loaded.next_task;
        // Events that came without a turn of the program have used up numbers since.
        let buffered = event_rows.iter().map(|(number, _): &(i64, BufferedEvent)| *number);
        let taken = task_rows.iter().filter_map(|(_, task): &(i64, Task)| task.event_number());
        core.next_event =
            buffered.chain(taken).map(|number| number + 1).fold(loaded.next_event, i64::max);
        core.sent = loaded.sent;
        core.drawn = loaded.drawn;
        core.reply = loaded.reply;
        core.section = loaded.section;
        self.start = loaded.start;
        self.kept = loaded.kept;
        self.rewinding = loaded.rewinding;
        core.tasks = Shelf::restore(loaded.tasks, task_rows);
        core.events = Shelf::restore(loaded.events, event_rows);
        core.running_activities =
            core.tasks.iter().filter(|(_, t)| t.is_running_activity()).count();
        self.restore_numbers(rows)?;
        self.check_rules()?;
        // What failed may be marked as running already, before it is told to go on.
        if !self.status.is_terminal() && !loaded.idle {
            let Loaded { state, awaiting, branches, locals, .. } = loaded;
            let position = SavedPosition { state, awaiting, branches };
            if let Some(misfit) = &mut self.misfit {
                misfit.stands(position, locals);
                return Ok(());
            }
            let saved = SavedMachine { position, locals };
            // The variables are decoded by code of the user's.
            let machine = catch_unwind(AssertUnwindSafe(|| self.program.load(&saved)))
                .map_err(|panic| Blocked::Malformed(Failure::of_panic(&*panic).message))??;
            self.watch = Watch::of(&*machine, &self.core);
            self.machine = Some(machine);
            self.locals = Some(locals.get().to_owned());
        }
        Ok(())
    }

    /// Whether the program still has the retry rules of the calls that are under way.
    fn check_rules(&self) -> Result<(), Incompatible> {
        let rules = self.program.rules();
        let of_calls = self.core.tasks.iter().filter_map(|(_, task)| task.retry.as_ref());
        let mut named = of_calls.flat_map(|retry| retry.rules());
        match named.find(|name| rules.iter().all(|rule| rule.name() != *name)) {
            Some(rule) => Err(Incompatible::UnknownRule { rule: rule.to_owned() }),
            None => Ok(()),
        }
    }

    pub(super) fn turn(&mut self, inbound: Vec<Inbound>, now: Timestamp) -> TurnOutput {
        let Some(mut snapshot) = self.saved.take() else { return self.run(inbound, now) };
        let owed = inbound.clone();
        let mut out = self.run(inbound.clone(), now);
        let twin = self.stepped.then(|| self.twin(&snapshot));
        let difference = match twin {
            // Nothing of the program ran: there is nothing to check.
            None => None,
            Some(Ok(mut twin)) => check::difference(&out, &quietly(|| twin.run(inbound, now))),
            Some(Err(blocked)) => Some(format!("what was saved cannot be read back: {blocked}")),
        };
        if let Some(difference) = difference
            && let Ok(mut again) = self.twin(&snapshot)
        {
            out = again.refuse(&difference, owed, now);
            *self = again;
        }
        snapshot.apply(&out.change);
        self.saved = Some(snapshot);
        out
    }

    /// Ends an orchestration that does not do the same again.
    fn refuse(&mut self, difference: &str, owed: Vec<Inbound>, now: Timestamp) -> TurnOutput {
        let mut changes = Changes::default();
        self.core.now = self.core.now.max(now);
        self.core.turn += 1;
        self.status = Status::Running;
        let message = format!(
            "the orchestrator is not deterministic: run again from the same saved state, {difference}"
        );
        for message in &owed {
            if let Inbound::Message(Body::Start { request, reply }) = message
                && *request == self.core.identity.request
                && self.core.reply.is_none()
            {
                self.core.reply.clone_from(reply);
            }
        }
        self.fail(TaskErrorKind::Failed, Failure::new("NonDeterministic", message), &mut changes);
        // Others may be waiting for answers to what came with this turn.
        for message in owed {
            self.deliver(message, &mut changes);
        }
        self.finish_turn(changes)
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

    fn deliver(&mut self, message: Inbound, changes: &mut Changes) {
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
        let identity = self.core.identity.clone();
        let core = std::mem::replace(&mut self.core, Core::new(identity));
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

    fn refuse_operation(&mut self, operation: &str, reply: Option<ReplyTo>) {
        let reason =
            format!("`{operation}` was called on an orchestration, which has no operations");
        self.core.actions.history.push(Event::MessageRefused { reason: reason.clone() });
        if let Some(reply) = reply {
            let failure = Failure::new("NotAnEntity", reason);
            self.core.reply(reply, Err(TaskFailure::new(TaskErrorKind::Refused, failure)));
        }
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

    /// Encodes the state if it changed, and the side rows that did.
    fn try_encode(&mut self, changes: &mut Changes) -> Result<(), Failure> {
        let rewrite = changes.stepped
            || changes.rewrite
            || self.core.tasks.inline_changed()
            || self.core.events.inline_changed();
        if rewrite {
            changes.state = Some(self.encode()?);
            if std::mem::take(&mut self.turn_in_row) {
                changes.delete_side.push(TURN_KEY);
            }
        } else {
            // The state stays as it is, but numbers that were used must not be used again.
            let row = serde_json::to_string(&(self.core.turn, self.core.sent));
            changes.put_side.push((TURN_KEY, row.map_err(Failure::of)?.into()));
            self.turn_in_row = true;
        }
        let (puts, deletes) = (&mut changes.put_side, &mut changes.delete_side);
        self.core
            .tasks
            .flush(|number| number, puts, deletes)
            .and_then(|()| self.core.events.flush(event_key, puts, deletes))
            .map_err(Failure::of)
    }

    fn encode(&mut self) -> Result<Payload, Failure> {
        let locals = match (&mut self.machine, self.locals.take()) {
            (Some(_), Some(locals)) => locals,
            // The variables are saved by code of the user's.
            (Some(machine), None) => catch_unwind(AssertUnwindSafe(|| machine.save()))
                .map_err(|panic| Failure::of_panic(&*panic))?
                .map_err(Failure::of)?,
            (None, _) => "{}".to_owned(),
        };
        let core = &self.core;
        let saved = Saved {
            state: self.state_name(),
            locals: serde_json::from_str(&locals).map_err(Failure::of)?,
            awaiting: self.machine.as_deref().and_then(Machine::awaiting),
            branches: self.machine.as_deref().map(Machine::branches).unwrap_or_default(),
            tasks: core.tasks.inline_items(),
            events: core.events.inline_items(),
            section: core.section.as_ref(),
            reply: core.reply.as_ref(),
            idle: self.machine.is_none(),
            start: self.start,
            kept: self.kept.as_ref(),
            rewinding: self.rewinding.as_deref(),
            now: core.now,
            turn: core.turn,
            next_task: core.next_task,
            next_event: core.next_event,
            sent: core.sent,
            drawn: core.drawn,
        };
        let text = serde_json::to_string(&saved).map_err(Failure::of)?;
        self.locals = self.machine.is_some().then_some(locals);
        let limit = durable_store::limits::MAX_PAYLOAD_BYTES;
        if text.len() > limit {
            let message = format!(
                "the state to be saved has {} bytes, the limit is {limit}: keep large data \
                 elsewhere and hold a reference to it",
                text.len()
            );
            return Err(Failure::new("StateTooLarge", message));
        }
        Ok(text.into())
    }
}

impl Drop for OrchestrationInstance {
    fn drop(&mut self) {
        drop_quietly(self.machine.take());
    }
}

/// Runs what was run before: the program's log says everything once.
fn quietly<T>(run: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), run)
}

/// What is needed to go back before a step of the program.
struct LastStep {
    mark: Mark,
    kept: Option<Kept>,
    undo: Undo,
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
