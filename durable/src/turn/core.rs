//! The engine's part of an instance: its tasks, its buffered events, its counters, and what the
//! turn under way wants done. Knows nothing of user types, stores or clocks.

use std::sync::Arc;

use durable_store::{InstanceNo, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::actions::{Actions, ActivityStart, Answer, NewChild, Outgoing};
use super::shelf::Shelf;
use crate::error::{Failure, Outcome, TaskErrorKind, TaskFailure};
use crate::history::Event;
use crate::json::Json;
use crate::message::{Body, ReplyTo, TaskId};
use crate::start::{IdReuse, StartOptions};

/// Most actions (calls, timers, messages) that one turn may emit. The original's limit.
pub const MAX_ACTIONS_PER_TURN: usize = 100_000;

/// Who an instance is. Does not change during its life.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) no: InstanceNo,
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) parent: Option<String>,
    /// The start request, which makes random values of two runs under one id differ.
    pub(crate) request: String,
}

/// Something an orchestration waits for, or may wait for later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) kind: TaskKind,
    /// Nobody will ask for the outcome; the task is forgotten when it ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) detached: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
}

impl Task {
    /// Whether it is an activity that has not ended.
    pub(crate) fn is_running_activity(&self) -> bool {
        self.outcome.is_none() && matches!(self.kind, TaskKind::Activity { .. })
    }
}

/// What kind of thing is waited for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TaskKind {
    Activity {
        name: String,
        input: Json,
        /// The attempt under way, from 1. It is saved before the attempt starts.
        attempt: u32,
    },
    Timer {
        due: Timestamp,
    },
    Event {
        name: String,
    },
    Child {
        id: String,
    },
    Operation {
        entity: String,
        name: String,
        /// The same entity, to call it again.
        to: EntityAddress,
        /// The arguments, until there is a result.
        args: Json,
    },
}

/// An event that came while nobody waited for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BufferedEvent {
    pub(crate) name: String,
    pub(crate) value: Json,
}

/// A point in a turn to which the actions of the program can be taken back.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(super) next_task: i64,
    send: usize,
    history: usize,
    #[allow(clippy::option_option)] // As in the actions.
    custom_status: Option<Option<Json>>,
}

/// The engine's part of an instance.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) identity: Identity,
    pub(crate) now: Timestamp,
    pub(crate) turn: i64,
    pub(crate) next_task: i64,
    pub(crate) next_event: i64,
    pub(crate) sent: i64,
    pub(crate) drawn: i64,
    pub(crate) reply: Option<ReplyTo>,
    pub(crate) tasks: Shelf<Task>,
    pub(crate) events: Shelf<BufferedEvent>,
    /// Activities without an outcome.
    pub(crate) running_activities: usize,
    pub(crate) actions: Actions,
    /// The version of what is started here without one: that of the worker, empty for none.
    pub(crate) default_version: Arc<str>,
}

impl Core {
    pub(crate) fn new(identity: Identity) -> Self {
        Self {
            identity,
            now: Timestamp::MIN,
            turn: 0,
            next_task: 1,
            next_event: 1,
            sent: 0,
            drawn: 0,
            reply: None,
            tasks: Shelf::default(),
            events: Shelf::default(),
            running_activities: 0,
            actions: Actions::default(),
            default_version: Arc::default(),
        }
    }

    // --- what programs do -----------------------------------------------------------------------

    fn add_task(&mut self, kind: TaskKind, outcome: Option<Outcome>) -> TaskId {
        let id = self.next_task;
        self.next_task += 1;
        self.tasks.insert(id, Task { kind, detached: false, outcome });
        TaskId(id)
    }

    /// Schedules an activity.
    pub(crate) fn begin_activity(&mut self, name: &str, input: Json) -> TaskId {
        let kind = TaskKind::Activity { name: name.to_owned(), input: input.clone(), attempt: 1 };
        let task = self.add_task(kind, None);
        self.running_activities += 1;
        self.actions.history.push(Event::ActivityScheduled {
            task,
            name: name.to_owned(),
            input: input.clone(),
        });
        self.actions.start.push(ActivityStart { task, attempt: 1, name: name.to_owned(), input });
        task
    }

    /// A task that has failed before it began.
    pub(crate) fn begin_failed(&mut self, name: &str, failure: TaskFailure) -> TaskId {
        let kind = TaskKind::Event { name: name.to_owned() };
        self.add_task(kind, Some(Err(failure)))
    }

    /// Sets a timer.
    pub(crate) fn begin_timer(&mut self, due: Timestamp) -> TaskId {
        let task = self.add_task(TaskKind::Timer { due }, None);
        self.actions.history.push(Event::TimerCreated { task, due });
        self.actions.schedule.push((task, due));
        task
    }

    /// Waits for an event, or takes the oldest one of that name that is buffered.
    pub(crate) fn begin_event(&mut self, name: &str) -> TaskId {
        let buffered =
            self.events.iter().find(|(_, event)| event.name == name).map(|(number, _)| number);
        let outcome = buffered.and_then(|number| self.events.remove(number)).map(|e| Ok(e.value));
        self.add_task(TaskKind::Event { name: name.to_owned() }, outcome)
    }

    /// Starts a sub-orchestration whose result is awaited.
    pub(crate) fn begin_child(
        &mut self,
        mut options: StartOptions,
        name: &str,
        version: &str,
        input: Json,
    ) -> TaskId {
        let task = TaskId(self.next_task);
        let given = options.instance_id.take();
        let replaces = given.is_some() && options.id_reuse == IdReuse::ReplaceEnded;
        let id = given.unwrap_or_else(|| derived_id(&self.identity, task));
        let task = self.add_task(TaskKind::Child { id: id.clone() }, None);
        self.actions.history.push(Event::ChildStarted {
            task,
            id: id.clone(),
            name: name.to_owned(),
        });
        let reply = self.reply_to(task);
        let parent = Some(self.identity.id.clone());
        let child = self.new_child(options, name, version, input);
        self.send_start(id, NewChild { parent, replaces, ..child }, Some(reply));
        task
    }

    /// Starts an orchestration that nobody here waits for.
    pub(crate) fn start_detached(
        &mut self,
        mut options: StartOptions,
        name: &str,
        version: &str,
        input: Json,
    ) -> String {
        let given = options.instance_id.take();
        let replaces = given.is_some() && options.id_reuse == IdReuse::ReplaceEnded;
        let id = given.unwrap_or_else(|| self.new_uuid().to_string());
        let child = self.new_child(options, name, version, input);
        self.send_start(id.clone(), NewChild { replaces, ..child }, None);
        id
    }

    fn new_child(&self, options: StartOptions, name: &str, version: &str, input: Json) -> NewChild {
        let version = options.version_for(version, &self.default_version);
        let StartOptions { tags, start_at, .. } = options;
        NewChild {
            name: name.to_owned(),
            version,
            input,
            parent: None,
            tags,
            starts_at: start_at.filter(|time| *time > self.now),
            replaces: false,
        }
    }

    /// Where the outcome of a task is to be sent.
    pub(super) fn reply_to(&self, task: TaskId) -> ReplyTo {
        let Identity { id, no, .. } = &self.identity;
        ReplyTo::Task { instance: id.clone(), number: no.0, task }
    }

    fn send_start(&mut self, id: String, child: NewChild, reply: Option<ReplyTo>) {
        let request = self.next_message_id();
        let body = Body::Start { request: request.clone(), reply };
        self.actions.send.push(Outgoing {
            id: request,
            target: id,
            due: child.starts_at,
            body,
            creates: Some(child),
            reopens: false,
        });
    }

    /// Calls an operation of an entity.
    pub(crate) fn begin_operation(&mut self, to: &EntityAddress, name: &str, args: Json) -> TaskId {
        let entity = to.instance_id();
        let task = self.add_task(
            TaskKind::Operation {
                entity: entity.clone(),
                name: name.to_owned(),
                to: to.clone(),
                args: args.clone(),
            },
            None,
        );
        self.actions.history.push(Event::OperationCalled { task, entity, name: name.to_owned() });
        let reply = self.reply_to(task);
        self.send_operation(to, name, args, Some(reply));
        task
    }

    /// Sends an operation whose result nobody wants.
    pub(crate) fn signal(&mut self, to: &EntityAddress, name: &str, args: Json) {
        self.actions
            .history
            .push(Event::OperationSignalled { entity: to.instance_id(), name: name.to_owned() });
        self.send_operation(to, name, args, None);
    }

    pub(super) fn send_operation(
        &mut self,
        to: &EntityAddress,
        name: &str,
        args: Json,
        reply: Option<ReplyTo>,
    ) {
        let body = Body::Operation {
            entity: to.name.clone(),
            key: to.key.clone(),
            name: name.to_owned(),
            args,
            reply,
        };
        self.send(to.instance_id(), body);
    }

    /// Sends an event to another orchestration.
    pub(crate) fn send_event(&mut self, instance: &str, name: &str, value: Json) {
        self.actions
            .history
            .push(Event::EventSent { instance: instance.to_owned(), name: name.to_owned() });
        self.send(instance.to_owned(), Body::Event { name: name.to_owned(), value });
    }

    pub(super) fn send(&mut self, target: String, body: Body) {
        let id = self.next_message_id();
        let (due, creates, reopens) = (None, None, matches!(body, Body::Rewind { .. }));
        self.actions.send.push(Outgoing { id, target, due, body, creates, reopens });
    }

    /// Unique in the hub, and the same whenever the turn runs again.
    fn next_message_id(&mut self) -> String {
        self.sent += 1;
        format!("{}-{}", self.identity.no.0, self.sent)
    }

    /// Sends a result to whoever wants it.
    pub(crate) fn reply(&mut self, to: ReplyTo, outcome: Outcome) {
        match to {
            ReplyTo::Task { instance, number, task } => {
                self.send(instance, Body::Done { number, task, outcome });
            }
            ReplyTo::Client { process, request } => {
                self.actions.answers.push(Answer { process, request, outcome });
            }
        }
    }

    /// A UUID that is the same whenever the turn runs again: version 5, in the namespace and
    /// with the name that the original uses, made unique per run by the start request.
    pub(crate) fn new_uuid(&mut self) -> Uuid {
        /// The namespace of Durable Task's `NewGuid`.
        const NAMESPACE: Uuid = Uuid::from_u128(0x9e95_2958_5e33_4daf_827f_2fa1_2937_b875);
        self.drawn += 1;
        let Identity { id, request, .. } = &self.identity;
        let name = format!("{id}_{request}_{}_{}", self.now, self.drawn);
        Uuid::new_v5(&NAMESPACE, name.as_bytes())
    }

    /// The outcome of a task, if it has one.
    pub(crate) fn outcome(&self, task: TaskId) -> Option<&Outcome> {
        self.tasks.get(task.0).and_then(|task| task.outcome.as_ref())
    }

    /// Whether there is nothing to wait for: it has an outcome, or that was taken before.
    pub(crate) fn is_settled(&self, task: TaskId) -> bool {
        self.tasks.get(task.0).is_none_or(|task| task.outcome.is_some())
    }

    /// Takes the outcome of a task that has one; the task is gone then.
    pub(crate) fn take(&mut self, task: TaskId) -> Option<(TaskKind, Outcome)> {
        self.outcome(task)?;
        let task = self.tasks.remove(task.0)?;
        task.outcome.map(|outcome| (task.kind, outcome))
    }

    /// The task has lost a race. As [`Core::abandon`], but a running activity is told that its
    /// result is not wanted.
    pub(crate) fn cancel(&mut self, task: TaskId) {
        if !self.tasks.get(task.0).is_some_and(Task::is_running_activity) {
            return self.abandon(task);
        }
        self.tasks.remove(task.0);
        self.running_activities = self.running_activities.saturating_sub(1);
        self.actions.history.push(Event::ActivityCancelled { task });
        match self.actions.start.iter().rposition(|start| start.task == task) {
            // It has not begun.
            Some(index) => {
                self.actions.start.remove(index);
            }
            None => self.actions.cancel.push(task),
        }
    }

    /// Nobody will ask for this task any more: a timer or an event wait is cancelled, what runs
    /// elsewhere is left to run.
    pub(crate) fn abandon(&mut self, task: TaskId) {
        let Some(entry) = self.tasks.get(task.0) else { return };
        let ended = entry.outcome.is_some();
        match &entry.kind {
            TaskKind::Timer { .. } => {
                self.tasks.remove(task.0);
                if !ended {
                    self.cancel_timer(task);
                }
            }
            TaskKind::Event { .. } => {
                let entry = self.tasks.remove(task.0);
                if let Some(Task {
                    kind: TaskKind::Event { name }, outcome: Some(Ok(value)), ..
                }) = entry
                {
                    // It was delivered to a wait that never looked: it belongs to the next one.
                    self.hand_over(name, value);
                }
            }
            _ if ended => {
                self.tasks.remove(task.0);
            }
            _ => {
                if let Some(entry) = self.tasks.get_mut(task.0) {
                    entry.detached = true;
                }
            }
        }
    }

    fn cancel_timer(&mut self, task: TaskId) {
        self.actions.history.push(Event::TimerCancelled { task });
        match self.actions.schedule.iter().rposition(|(scheduled, _)| *scheduled == task) {
            Some(index) => {
                self.actions.schedule.remove(index);
            }
            None => self.actions.unschedule.push(task),
        }
    }

    // --- what arrives ---------------------------------------------------------------------------

    /// Notes how a task ended. Returns it if the task was waiting for that: a late or repeated
    /// outcome is dropped.
    pub(crate) fn complete(&mut self, task: TaskId, outcome: Outcome) -> bool {
        let Some(entry) = self.tasks.get(task.0) else { return false };
        if entry.outcome.is_some() {
            return false;
        }
        if matches!(entry.kind, TaskKind::Activity { .. }) {
            self.running_activities = self.running_activities.saturating_sub(1);
        }
        self.actions.history.push(Event::ended(task, &entry.kind, &outcome));
        if entry.detached {
            self.tasks.remove(task.0);
            return false;
        }
        if let Some(entry) = self.tasks.get_mut(task.0) {
            if let (
                TaskKind::Activity { input, .. } | TaskKind::Operation { args: input, .. },
                Ok(_),
            ) = (&mut entry.kind, &outcome)
            {
                *input = Json::null();
            }
            entry.outcome = Some(outcome);
        }
        true
    }

    /// Whether `attempt` is the one of the task that is under way.
    pub(crate) fn is_current_attempt(&self, task: TaskId, attempt: u32) -> bool {
        matches!(
            self.tasks.get(task.0).map(|task| &task.kind),
            Some(TaskKind::Activity { attempt: current, .. }) if *current == attempt
        )
    }

    /// Gives an event to the oldest wait for it, which is returned, or buffers it.
    pub(crate) fn receive_event(&mut self, name: String, value: Json) -> Option<TaskId> {
        self.actions.history.push(Event::EventRaised { name: name.clone(), value: value.clone() });
        self.hand_over(name, value)
    }

    fn hand_over(&mut self, name: String, value: Json) -> Option<TaskId> {
        let waiting = self.tasks.iter().find_map(|(number, task)| match &task.kind {
            TaskKind::Event { name: awaited } if task.outcome.is_none() && *awaited == name => {
                Some(number)
            }
            _ => None,
        });
        match waiting {
            Some(number) => {
                if let Some(task) = self.tasks.get_mut(number) {
                    task.outcome = Some(Ok(value));
                }
                Some(TaskId(number))
            }
            None => {
                self.buffer(name, value);
                None
            }
        }
    }

    fn buffer(&mut self, name: String, value: Json) {
        // An accepted event is never lost, so there is no limit here: the shelf spills into rows.
        self.events.insert(self.next_event, BufferedEvent { name, value });
        self.next_event += 1;
    }

    /// A new owner starts the activities again that were under way: the attempt that was lost
    /// counts. Returns the tasks that have used up `limit` attempts and failed.
    pub(crate) fn recover(&mut self, limit: u32) -> Vec<TaskId> {
        let pending: Vec<i64> = self
            .tasks
            .iter()
            .filter(|(_, t)| t.is_running_activity())
            .map(|(number, _)| number)
            .collect();
        let mut failed = Vec::new();
        for number in pending {
            let task = TaskId(number);
            let Some(Task { kind: TaskKind::Activity { name, input, attempt }, .. }) =
                self.tasks.get_mut(number)
            else {
                continue;
            };
            if *attempt >= limit {
                let failure = Failure::new(
                    "WorkerLost",
                    format!("{limit} attempts of it were under way when their worker went away"),
                );
                if self.complete(task, Err(TaskFailure::new(TaskErrorKind::WorkerLost, failure))) {
                    failed.push(task);
                }
                continue;
            }
            *attempt += 1;
            let start =
                ActivityStart { task, attempt: *attempt, name: name.clone(), input: input.clone() };
            self.actions.history.push(Event::ActivityRestarted { task, attempt: start.attempt });
            self.actions.start.push(start);
        }
        failed
    }

    /// Nobody wants the results of the activities under way: they are told so, and forgotten.
    pub(crate) fn cancel_activities(&mut self) {
        let running: Vec<i64> = self
            .tasks
            .iter()
            .filter(|(_, t)| t.is_running_activity())
            .map(|(number, _)| number)
            .collect();
        for number in running {
            self.tasks.remove(number);
            self.actions.cancel.push(TaskId(number));
        }
        self.running_activities = 0;
    }

    /// The instance has ended: its timers and waits are cancelled, what runs elsewhere is left
    /// to run, and forgotten when it is done.
    pub(crate) fn abandon_all(&mut self) {
        let tasks: Vec<i64> = self.tasks.iter().map(|(number, _)| number).collect();
        for number in tasks {
            self.abandon(TaskId(number));
        }
        let events: Vec<i64> = self.events.iter().map(|(number, _)| number).collect();
        for number in events {
            self.events.remove(number);
        }
    }

    /// How far the instance is before the program runs.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            next_task: self.next_task,
            send: self.actions.send.len(),
            history: self.actions.history.len(),
            custom_status: self.actions.custom_status.clone(),
        }
    }

    /// Takes back what the program did since the mark: what it began never was. What came from
    /// others, and what they are owed, stays.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        let begun: Vec<i64> =
            self.tasks.iter().map(|(number, _)| number).filter(|n| *n >= mark.next_task).collect();
        for number in begun {
            let task = self.tasks.remove(number);
            if task.is_some_and(|t| t.is_running_activity()) {
                self.running_activities = self.running_activities.saturating_sub(1);
            }
        }
        let actions = &mut self.actions;
        actions.start.retain(|start| start.task.0 < mark.next_task);
        actions.schedule.retain(|(task, _)| task.0 < mark.next_task);
        actions.send.truncate(mark.send);
        actions.history.truncate(mark.history);
        actions.custom_status = mark.custom_status;
    }

    /// Whether this turn emitted more than is allowed.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.actions.len() > MAX_ACTIONS_PER_TURN
    }
}

/// The id of a sub-orchestration that was not given one: the parent's id, the counter of its number,
/// and the task's number. The portable SDKs of the original do without the counter; it keeps the
/// children apart of instances that have the same id one after the other.
fn derived_id(parent: &Identity, task: TaskId) -> String {
    let counter = parent.no.0 & ((1 << InstanceNo::COUNTER_BITS) - 1);
    let id = format!("{}:{counter:x}:{:04x}", parent.id, task.0);
    if id.len() <= durable_store::limits::MAX_INSTANCE_ID_BYTES {
        return id;
    }
    // Deep nesting would outgrow the limit; a hash of the whole path is as unique.
    Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).to_string()
}

/// The name and the key of an entity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EntityAddress {
    /// The registered name.
    pub name: String,
    /// The key among the entities of that name.
    pub key: String,
}

impl EntityAddress {
    /// The id under which the entity is stored.
    pub fn instance_id(&self) -> String {
        crate::message::entity_id(&self.name, &self.key)
    }
}
