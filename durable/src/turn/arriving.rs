//! What the engine's part of an instance takes in: outcomes of tasks, events, and the news that a new
//! owner has to start again what was under way.

use super::core::{BufferedEvent, Core, Task, TaskKind};
use crate::error::{Failure, Outcome, TaskErrorKind, TaskFailure};
use crate::history::Event;
use crate::json::Json;
use crate::message::TaskId;

impl Core {
    /// Notes how a task ended. Returns it if the task was waiting for that: a late or repeated
    /// outcome is dropped.
    pub(crate) fn complete(&mut self, task: TaskId, outcome: Outcome) -> bool {
        let Some(entry) = self.tasks.get(task.0) else { return false };
        if entry.outcome.is_some() {
            return false;
        }
        if entry.is_running_activity() {
            self.running_activities = self.running_activities.saturating_sub(1);
        }
        let detached = entry.detached;
        self.actions.history.push(Event::ended(task, &entry.kind, &outcome));
        self.cancel_retry_timer(task);
        if detached {
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
            if outcome.is_ok() {
                entry.retry = None;
            }
            entry.outcome = Some(outcome);
        }
        true
    }

    /// Whether `call` is the attempt of the task that is under way.
    pub(crate) fn is_current_call(&self, task: TaskId, call: u32) -> bool {
        let task = self.tasks.get(task.0);
        task.is_some_and(|task| task.call_number() == call && !task.waits_for_attempt())
    }

    /// Gives an event to the oldest wait for it, which is returned, or buffers it.
    pub(crate) fn receive_event(&mut self, name: String, value: Json) -> Option<TaskId> {
        self.actions.history.push(Event::EventRaised { name: name.clone(), value: value.clone() });
        let number = self.next_event;
        self.next_event += 1;
        self.hand_over(number, BufferedEvent { name, value })
    }

    pub(super) fn hand_over(&mut self, number: i64, event: BufferedEvent) -> Option<TaskId> {
        let waits = |task: &Task| {
            matches!(&task.kind, TaskKind::Event { name, .. } if *name == event.name)
                && task.outcome.is_none()
        };
        let waiting = self.tasks.iter().find(|(_, task)| waits(task)).map(|(number, _)| number);
        let Some(task) = waiting.and_then(|waiting| self.tasks.get_mut(waiting)) else {
            // An accepted event is never lost, so there is no limit here: the shelf spills into rows.
            self.events.insert(number, event);
            return None;
        };
        task.kind = TaskKind::Event { name: event.name, number };
        task.outcome = Some(Ok(event.value));
        waiting.map(TaskId)
    }

    fn running(&self) -> Vec<TaskId> {
        let running = self.tasks.iter().filter(|(_, task)| task.is_running_activity());
        running.map(|(number, _)| TaskId(number)).collect()
    }

    /// A new owner starts the activities again that were under way. Returns the tasks that have used
    /// up `limit` attempts and failed.
    pub(crate) fn recover(&mut self, limit: u32) -> Vec<TaskId> {
        let running = self.running().into_iter();
        running.filter(|task| self.lose_attempt(*task, limit)).collect()
    }

    /// The attempt of an activity that is under way was lost with its worker, which counts: the next
    /// one is started, or the task has used up `limit` of them and failed. Whether it did.
    pub(crate) fn lose_attempt(&mut self, task: TaskId, limit: u32) -> bool {
        if !self.tasks.get(task.0).is_some_and(Task::is_running_activity) {
            return false;
        }
        self.cancel_retry_timer(task);
        let Some(Task { kind: TaskKind::Activity { attempt, lost, .. }, .. }) =
            self.tasks.get_mut(task.0)
        else {
            return false;
        };
        *lost += 1;
        if *lost >= limit {
            let failure = Failure::final_one(
                "WorkerLost",
                format!("{limit} attempts of it were under way when their worker went away"),
            );
            return self.complete(task, Err(TaskFailure::new(TaskErrorKind::WorkerLost, failure)));
        }
        *attempt += 1;
        let attempt = *attempt;
        self.actions.history.push(Event::ActivityRestarted { task, attempt });
        self.running_activities = self.running_activities.saturating_sub(1);
        self.start_activity(task);
        false
    }

    /// Nobody wants the results of the activities under way: they are told so, and forgotten.
    pub(crate) fn cancel_activities(&mut self) {
        for task in self.running() {
            self.cancel_retry_timer(task);
            if let Some(entry) = self.tasks.remove(task.0) {
                self.actions.cancel.push((task, entry.call_number()));
            }
        }
        self.running_activities = 0;
    }
}
