//! The engine's part of an instance: its tasks, its buffered events, its counters, and what the
//! turn under way wants done. Knows nothing of user types, stores or clocks.

use std::sync::Arc;

use durable_store::{InstanceNo, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::actions::{Actions, Answer, Outgoing};
use super::retrying::Retry;
use super::sections::Section;
use super::shelf::{Shelf, Weigh};
use crate::error::Outcome;
use crate::history::Event;
use crate::json::Json;
use crate::message::{Body, ReplyTo, TaskId, TimerKey};

/// Most actions (calls, timers, messages) that one turn may emit. The original's limit.
pub const MAX_ACTIONS_PER_TURN: usize = 100_000;

/// Who an instance is. Does not change during its life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Identity {
    pub(crate) no: InstanceNo,
    pub(crate) id: String,
    pub(crate) name: String,
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
    /// How the call is made again if it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry: Option<Box<Retry>>,
}

impl Task {
    /// Whether it is an activity of which an attempt is under way.
    pub(crate) fn is_running_activity(&self) -> bool {
        self.outcome.is_none()
            && matches!(self.kind, TaskKind::Activity { .. })
            && !self.waits_for_attempt()
    }

    /// The number of the event that it was given, if it is a wait for one.
    pub(super) fn event_number(&self) -> Option<i64> {
        match self.kind {
            TaskKind::Event { number, .. } => Some(number),
            _ => None,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks so.
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks so.
fn is_unnumbered(number: &i64) -> bool {
    *number == 0
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
        /// How many attempts were lost with their worker.
        #[serde(default, skip_serializing_if = "is_zero")]
        lost: u32,
    },
    Timer {
        due: Timestamp,
    },
    Event {
        name: String,
        /// The place among all events of the one that was taken, which it gets back if it is not
        /// looked at; 0 before.
        #[serde(default, skip_serializing_if = "is_unnumbered")]
        number: i64,
    },
    Child {
        id: String,
    },
    /// Locks on entities, in the order in which they are taken.
    Lock {
        entities: Vec<EntityAddress>,
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

impl Weigh for Task {
    /// What it was given is no larger than a variable, and the program would keep that there as well.
    fn weight(&self) -> usize {
        0
    }
}

impl Weigh for BufferedEvent {
    fn weight(&self) -> usize {
        self.value.as_str().len()
    }
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
    section: Option<Section>,
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
    /// The critical section that the program is in.
    pub(crate) section: Option<Section>,
    /// Whether a section began, ended or was asked for since this was reset.
    pub(crate) touched_section: bool,
    /// The operation under way wants its entity deleted.
    pub(crate) deletes_self: bool,
    /// What the program wants to begin anew with.
    pub(crate) next_run: Option<NextRun>,
    /// The version of what is started here without one: that of the worker, empty for none.
    pub(crate) default_version: Arc<str>,
}

/// The arguments of the next run of an orchestration under its id.
#[derive(Debug)]
pub(crate) struct NextRun {
    pub(crate) version: String,
    pub(crate) input: Json,
    /// Whether events that nobody has waited for yet are dropped.
    pub(crate) discards_events: bool,
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
            section: None,
            touched_section: false,
            deletes_self: false,
            next_run: None,
            default_version: Arc::default(),
        }
    }

    /// Moves the instance out, to where the program's calls find it, and leaves nobody in its place.
    pub(super) fn take_out(&mut self) -> Self {
        std::mem::replace(self, Self::new(Identity::default()))
    }

    pub(super) fn add_task(
        &mut self,
        kind: TaskKind,
        outcome: Option<Outcome>,
        retry: Option<Box<Retry>>,
    ) -> TaskId {
        let id = self.next_task;
        self.next_task += 1;
        self.tasks.insert(id, Task { kind, detached: false, outcome, retry });
        TaskId(id)
    }

    /// Sends a message, and gives it to be completed.
    pub(super) fn send(&mut self, target: String, body: Body) -> &mut Outgoing {
        let id = self.next_message_id();
        let (due, creates, reopens) = (None, None, matches!(body, Body::Rewind { .. }));
        self.actions.send.push_mut(Outgoing { id, target, due, body, creates, reopens })
    }

    /// Unique in the hub, and the same whenever the turn runs again.
    pub(super) fn next_message_id(&mut self) -> String {
        self.sent += 1;
        format!("{}-{}", self.identity.no.0, self.sent)
    }

    /// Sends a result to whoever wants it.
    pub(crate) fn reply(&mut self, to: ReplyTo, outcome: Outcome) {
        match to {
            ReplyTo::Task { instance, number, task, call } => {
                self.send(instance, Body::Done { number, task, call, outcome });
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
    /// result is not wanted, and a call is not made again.
    pub(crate) fn cancel(&mut self, task: TaskId) {
        let Some(entry) = self.tasks.get(task.0) else { return };
        if entry.outcome.is_some() {
            return self.abandon(task);
        }
        let attempt = entry.is_running_activity().then(|| entry.call_number());
        let is_activity = matches!(entry.kind, TaskKind::Activity { .. });
        let is_under_way = self.stop_attempts(task);
        if !is_activity && is_under_way {
            return self.abandon(task);
        }
        self.tasks.remove(task.0);
        if is_activity {
            self.actions.history.push(Event::ActivityCancelled { task });
        }
        if let Some(attempt) = attempt {
            self.running_activities = self.running_activities.saturating_sub(1);
            self.actions.cancel_activity(task, attempt);
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
            TaskKind::Lock { .. } => self.give_up_lock(task),
            TaskKind::Event { .. } => {
                let entry = self.tasks.remove(task.0);
                if let Some(Task {
                    kind: TaskKind::Event { name, number },
                    outcome: Some(Ok(value)),
                    ..
                }) = entry
                {
                    // It was delivered to a wait that never looked: it belongs to the next one.
                    self.hand_over(number, BufferedEvent { name, value });
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
        self.remove_timer(TimerKey::of(task));
    }

    /// The instance has ended: its timers and waits are cancelled, what runs elsewhere is left
    /// to run, and forgotten when it is done.
    pub(crate) fn abandon_all(&mut self) {
        self.abandon_tasks();
        self.discard_events();
    }

    /// The same for a run that another one follows, which gets the events.
    pub(crate) fn abandon_tasks(&mut self) {
        self.leave_any_section();
        let tasks: Vec<i64> = self.tasks.iter().map(|(number, _)| number).collect();
        for number in tasks {
            if self.stop_attempts(TaskId(number)) {
                self.abandon(TaskId(number));
            } else {
                self.tasks.remove(number);
            }
        }
    }

    /// Drops the events that nobody has waited for.
    pub(crate) fn discard_events(&mut self) {
        let events: Vec<i64> = self.events.iter().map(|(number, _)| number).collect();
        for number in events {
            self.events.remove(number);
        }
    }

    /// Sends the message that begins the next run. It is a turn of its own, so that a program which
    /// does nothing else does not keep others from theirs.
    pub(crate) fn send_next_start(&mut self) {
        let request = self.identity.request.clone();
        self.send(self.identity.id.clone(), Body::Start { request, reply: None });
    }

    /// How far the instance is before the program runs.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            next_task: self.next_task,
            send: self.actions.send.len(),
            history: self.actions.history.len(),
            custom_status: self.actions.custom_status.clone(),
            section: self.section.clone(),
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
        actions.schedule.retain(|(timer, _)| timer.task.0 < mark.next_task);
        actions.send.truncate(mark.send);
        actions.history.truncate(mark.history);
        actions.custom_status = mark.custom_status;
        // The locks that it gave back are held again: their release was taken back too.
        self.section = mark.section;
    }

    /// Whether this turn emitted more than is allowed.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.actions.len() > MAX_ACTIONS_PER_TURN
    }
}

/// What a task is called in errors.
pub(crate) fn task_name(kind: &TaskKind) -> String {
    match kind {
        TaskKind::Activity { name, .. } | TaskKind::Event { name, .. } => name.clone(),
        TaskKind::Timer { .. } => "timer".to_owned(),
        TaskKind::Child { id } => id.clone(),
        TaskKind::Lock { .. } => "lock".to_owned(),
        TaskKind::Operation { entity, name, .. } => format!("{entity}.{name}"),
    }
}

/// The name and the key of an entity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
