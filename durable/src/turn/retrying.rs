//! Attempts of calls: how the first one begins and, where there is a retry policy, the next. The
//! policy is part of the task, and its timers are timers of the task. Knows nothing of the program
//! but its retry rules.

use durable_store::{Tags, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::actions::{ActivityStart, NewChild};
use super::core::{Core, Task, TaskKind};
use crate::error::{Failure, TaskError, TaskErrorKind, TaskFailure};
use crate::history::Event;
use crate::json::Json;
use crate::message::{Body, TaskId, TimerKey};
use crate::retry::{FailedAttempt, RetryPolicy, RetryRule};

/// What is kept of a call with a retry policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Retry {
    policy: RetryPolicy,
    /// When the first attempt began.
    began: Timestamp,
    /// The attempt under way, or the last that ended, from 1. Lost ones are not counted.
    attempt: u32,
    /// The timer that is set, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timer: Option<RetryTimer>,
    /// The sub-orchestration has had its time, and is being terminated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    overdue: bool,
    /// How the sub-orchestration is started, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    child: Option<Box<ChildCall>>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct RetryTimer {
    due: Timestamp,
    /// It ends the wait before the next attempt; otherwise it limits the one under way.
    waits: bool,
}

/// A call of a sub-orchestration, to be made again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ChildCall {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) input: Json,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(super) tags: Tags,
    /// Whether an instance with its id that has ended makes room.
    pub(super) replaces: bool,
    /// Whether its id was derived: then each attempt has its own.
    pub(super) derived: bool,
    /// How often it was started.
    pub(super) starts: u32,
}

impl Retry {
    fn new(policy: RetryPolicy, began: Timestamp) -> Self {
        Self { policy, began, attempt: 1, timer: None, overdue: false, child: None }
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = &str> {
        self.policy.rules()
    }
}

impl Task {
    /// Whether the next attempt of the call has not begun yet.
    pub(super) fn waits_for_attempt(&self) -> bool {
        self.retry.as_ref().and_then(|retry| retry.timer).is_some_and(|timer| timer.waits)
    }

    /// Which start of the call is under way: an outcome of an earlier one is not wanted. 0 for calls
    /// that are made only once.
    pub(super) fn call_number(&self) -> u32 {
        let child = self.retry.as_ref().and_then(|retry| retry.child.as_ref());
        match (&self.kind, child) {
            (TaskKind::Activity { attempt, .. }, _) => *attempt,
            (_, Some(child)) => child.starts,
            _ => 0,
        }
    }

    /// The timer that is set for the task, and when it is due.
    pub(super) fn open_timer(&self, id: TaskId) -> Option<(TimerKey, Timestamp)> {
        if self.outcome.is_some() {
            return None;
        }
        match (&self.kind, self.retry.as_ref().and_then(|retry| retry.timer)) {
            (TaskKind::Timer { due }, _) => Some((TimerKey::of(id), *due)),
            (_, Some(timer)) => {
                // Two for each attempt, and none is 0, which is a timer of the program.
                let round = self.call_number() * 2 + u32::from(timer.waits);
                Some((TimerKey { task: id, round }, timer.due))
            }
            _ => None,
        }
    }
}

impl Core {
    /// Schedules an activity.
    pub(crate) fn begin_activity(
        &mut self,
        name: &str,
        input: Json,
        retry: Option<RetryPolicy>,
    ) -> TaskId {
        let (name, attempt) = (name.to_owned(), 1);
        let kind =
            TaskKind::Activity { name: name.clone(), input: input.clone(), attempt, lost: 0 };
        let retry = retry.map(|policy| Box::new(Retry::new(policy, self.now)));
        let task = self.add_task(kind, None, retry);
        self.actions.history.push(Event::ActivityScheduled { task, name, input });
        self.start_activity(task);
        task
    }

    /// Starts the attempt of an activity that its task names.
    pub(super) fn start_activity(&mut self, id: TaskId) {
        let Some(TaskKind::Activity { name, input, attempt, .. }) =
            self.tasks.get(id.0).map(|task| &task.kind)
        else {
            return;
        };
        let (name, input) = (name.clone(), input.clone());
        let attempt = *attempt;
        let start = ActivityStart { task: id, attempt, name, input, entity: None };
        self.actions.start.push(start);
        self.running_activities += 1;
        self.limit_attempt(id);
    }

    /// Starts a sub-orchestration with a retry policy.
    pub(super) fn begin_child_attempts(
        &mut self,
        id: String,
        child: ChildCall,
        policy: RetryPolicy,
        first: NewChild,
    ) -> TaskId {
        let mut retry = Retry::new(policy, self.now);
        retry.child = Some(Box::new(child));
        let kind = TaskKind::Child { id };
        let task = self.add_task(kind, None, Some(Box::new(retry)));
        self.start_child(task, first);
        task
    }

    /// Starts the sub-orchestration that a task names.
    fn start_child(&mut self, id: TaskId, child: NewChild) {
        let reply = self.reply_to(id);
        let Some(TaskKind::Child { id: target }) = self.tasks.get(id.0).map(|task| &task.kind)
        else {
            return;
        };
        let target = target.clone();
        self.actions.history.push(Event::ChildStarted {
            task: id,
            id: target.clone(),
            name: child.name.clone(),
        });
        self.send_start(target, child, Some(reply));
        self.limit_attempt(id);
    }

    /// Sets the timer that ends an attempt which takes too long.
    pub(super) fn limit_attempt(&mut self, id: TaskId) {
        let now = self.now;
        let set = |retry: &mut Retry| {
            let limit = retry.policy.attempt_limit()?;
            retry.timer = Some(RetryTimer { due: now + limit, waits: false });
            Some(())
        };
        let has_policy = self.tasks.get(id.0).is_some_and(|task| task.retry.is_some());
        if has_policy && self.retry_mut(id).and_then(set).is_some() {
            self.set_timer(id);
        }
    }

    fn retry_mut(&mut self, id: TaskId) -> Option<&mut Retry> {
        self.tasks.get_mut(id.0)?.retry.as_deref_mut()
    }

    fn set_timer(&mut self, id: TaskId) {
        if let Some(timer) = self.tasks.get(id.0).and_then(|task| task.open_timer(id)) {
            self.actions.schedule.push(timer);
        }
    }

    /// Removes the timer of a call with a policy, if one is set.
    pub(super) fn cancel_retry_timer(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get(id.0).filter(|task| task.retry.is_some()) else { return };
        let Some((key, _)) = task.open_timer(id) else { return };
        if let Some(retry) = self.retry_mut(id) {
            retry.timer = None;
        }
        self.remove_timer(key);
    }

    /// A timer must not fire any more.
    pub(super) fn remove_timer(&mut self, key: TimerKey) {
        match self.actions.schedule.iter().rposition(|(set, _)| *set == key) {
            Some(index) => {
                self.actions.schedule.remove(index);
            }
            None if self.actions.unschedule.contains(&key) => {}
            None => self.actions.unschedule.push(key),
        }
    }

    /// A call has failed. `None` if it is made again, or else the failure that counts.
    pub(super) fn retry(
        &mut self,
        id: TaskId,
        failure: TaskFailure,
        rules: &[RetryRule],
    ) -> Option<TaskFailure> {
        let is_open =
            self.tasks.get(id.0).is_some_and(|t| t.outcome.is_none() && t.retry.is_some());
        if !is_open {
            return Some(failure);
        }
        self.cancel_retry_timer(id);
        let random = self.random_of(id);
        let Some(task) = self.tasks.get_mut(id.0) else { return Some(failure) };
        let name = super::core::task_name(&task.kind);
        let Some(retry) = task.retry.as_deref_mut() else { return Some(failure) };
        let failure = if std::mem::take(&mut retry.overdue) { too_late() } else { failure };
        let failed = FailedAttempt {
            attempt: retry.attempt,
            error: TaskError::of_task(failure.clone(), &name),
            elapsed: self.now.saturating_since(retry.began),
        };
        let delay = match retry.policy.next_delay(&failed, rules, random) {
            Ok(Some(delay)) => delay,
            Ok(None) => return Some(failure),
            Err(broken_rule) => return Some(broken_rule),
        };
        if let Some(child) = &mut retry.child {
            // What was there before the first attempt is not replaced, the attempt itself is.
            child.replaces |= !child.derived && failure.kind != TaskErrorKind::Refused;
        }
        let due = self.now + delay;
        retry.timer = Some(RetryTimer { due, waits: true });
        if matches!(task.kind, TaskKind::Activity { .. }) {
            self.running_activities = self.running_activities.saturating_sub(1);
        }
        self.actions.history.push(Event::AttemptFailed {
            task: id,
            attempt: failed.attempt,
            failure: failure.failure,
            retry_at: due,
        });
        if delay.is_zero() {
            self.next_attempt(id);
        } else {
            self.set_timer(id);
        }
        None
    }

    /// From 0 to 1, and the same whenever the turn runs again.
    fn random_of(&self, id: TaskId) -> f64 {
        let identity = &self.identity;
        let attempt = self.tasks.get(id.0).map_or(0, Task::call_number);
        let name = format!("{}_{}_{}_{attempt}", identity.id, identity.request, id.0);
        let bits = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).as_u128();
        <f64 as crate::context::Random>::from_bits(bits)
    }

    /// Begins the attempt that a task waits for.
    fn next_attempt(&mut self, id: TaskId) {
        let number = derived_number(self.tasks.get(id.0));
        let path = number.map(|starts| super::beginning::derived_id(&self.identity, id, starts));
        let Some(task) = self.tasks.get_mut(id.0) else { return };
        let Some(retry) = task.retry.as_deref_mut() else { return };
        (retry.timer, retry.attempt) = (None, retry.attempt + 1);
        match (&mut task.kind, &mut retry.child) {
            (TaskKind::Activity { attempt, lost, .. }, _) => {
                // It is one attempt that must not take down worker after worker.
                (*attempt, *lost) = (*attempt + 1, 0);
                let attempt = *attempt;
                self.actions.history.push(Event::ActivityRestarted { task: id, attempt });
                self.start_activity(id);
            }
            (TaskKind::Child { id: target }, Some(child)) => {
                child.starts += 1;
                if let Some(path) = path {
                    *target = path;
                }
                let again = NewChild {
                    name: child.name.clone(),
                    version: child.version.clone(),
                    input: child.input.clone(),
                    parent: Some(self.identity.id.clone()),
                    tags: child.tags.clone(),
                    starts_at: None,
                    replaces: child.replaces,
                };
                self.start_child(id, again);
            }
            _ => {}
        }
    }

    /// The timer of a call with a policy has fired: the next attempt begins, if it may, or the one
    /// under way has failed, of which the failure is returned.
    pub(super) fn retry_timer(
        &mut self,
        key: TimerKey,
        may_begin: bool,
        reason: &str,
    ) -> Option<TaskFailure> {
        let task = self.tasks.get(key.task.0)?;
        if task.open_timer(key.task).is_none_or(|(open, _)| open != key) {
            return None;
        }
        if task.waits_for_attempt() {
            if may_begin {
                self.next_attempt(key.task);
            }
            return None;
        }
        let call = task.call_number();
        let retry = self.retry_mut(key.task)?;
        retry.timer = None;
        if retry.child.is_none() {
            self.actions.cancel_activity(key.task, call);
            return Some(too_late());
        }
        // The next attempt begins when this one has ended.
        retry.overdue = true;
        let TaskKind::Child { id } = &self.tasks.get(key.task.0)?.kind else { return None };
        let (target, parent) = (id.clone(), Some(self.identity.id.clone()));
        let reason = reason.to_owned();
        self.send(target, Body::Terminate { reason, recursive: true, parent });
        None
    }

    /// Begins the attempts whose time came while none could begin.
    pub(super) fn begin_due_attempts(&mut self) {
        let now = self.now;
        let is_due = |id: i64, task: &Task| {
            task.waits_for_attempt()
                && task.open_timer(TaskId(id)).is_some_and(|(_, due)| due <= now)
        };
        let due = self.tasks.iter().filter(|(id, task)| is_due(*id, task)).map(|(id, _)| id);
        for id in due.collect::<Vec<_>>() {
            self.next_attempt(TaskId(id));
        }
    }

    /// The policy of a call that is made again by hand begins anew.
    pub(super) fn renew_policy(&mut self, id: TaskId) {
        let now = self.now;
        if self.tasks.get(id.0).is_some_and(|task| task.retry.is_some())
            && let Some(retry) = self.retry_mut(id)
        {
            (retry.began, retry.attempt, retry.overdue) = (now, 1, false);
            retry.timer = None;
        }
    }

    /// Nobody wants the outcome of a call any more: no attempt of it follows. Whether one is under
    /// way.
    pub(super) fn stop_attempts(&mut self, id: TaskId) -> bool {
        let Some(task) = self.tasks.get(id.0).filter(|task| task.retry.is_some()) else {
            return true;
        };
        let is_under_way = !task.waits_for_attempt();
        self.cancel_retry_timer(id);
        if let Some(task) = self.tasks.get_mut(id.0) {
            task.retry = None;
        }
        is_under_way
    }
}

/// Of a sub-orchestration whose attempts have ids of their own: the number of the next one.
fn derived_number(task: Option<&Task>) -> Option<u32> {
    let child = task?.retry.as_ref()?.child.as_ref()?;
    child.derived.then_some(child.starts + 1)
}

fn too_late() -> TaskFailure {
    let failure = Failure::new("TimedOut", "the time allowed for the attempt is over");
    TaskFailure::new(TaskErrorKind::TimedOut, failure)
}
