//! What the engine's part of an instance does when the instance is managed from outside: its tasks
//! are kept when it fails, those that failed are done again when it is rewound, and its children
//! end with it. Knows nothing of the program.

use durable_store::Timestamp;

use super::core::{BufferedEvent, Core, Task, TaskKind};
use super::shelf::{Journal, Shelf, Weigh};
use crate::history::Event;
use crate::message::{Body, TaskId, TimerKey};

/// What a step of the program touched of the engine's part, as it was before.
#[derive(Debug)]
pub(super) struct Undo {
    tasks: Journal<Task>,
    events: Journal<BufferedEvent>,
}

impl Core {
    /// Begins to note what the program touches.
    pub(super) fn begin_undo(&mut self) {
        self.touched_section = self.section.is_some();
        self.tasks.begin_journal();
        self.events.begin_journal();
    }

    /// What the program touched since.
    pub(super) fn end_undo(&mut self) -> Undo {
        Undo { tasks: self.tasks.end_journal(), events: self.events.end_journal() }
    }

    /// Nobody will ask for the tasks begun from this number on.
    pub(super) fn abandon_from(&mut self, first: i64) {
        let begun = self.tasks.iter().map(|(number, _)| number).filter(|number| *number >= first);
        for number in begun.collect::<Vec<_>>() {
            self.abandon(TaskId(number));
        }
    }

    /// Puts back what the program touched, but for what it began.
    pub(super) fn undo(&mut self, undo: Undo) {
        put_back(&mut self.tasks, undo.tasks, |task, now| {
            // What arrived since is not taken back.
            task.outcome = task.outcome.take().or(now.outcome);
        });
        put_back(&mut self.events, undo.events, |_, _| {});
        let running = self.tasks.iter().filter(|(_, task)| task.is_running_activity());
        self.running_activities = running.count();
    }

    /// The instance has failed, and may be rewound: its timers are stopped, all else stays as it is.
    pub(super) fn stop_timers(&mut self) {
        for (key, _) in self.open_timers() {
            self.remove_timer(key);
        }
    }

    /// The instance goes on: its timers are set again as they were.
    pub(super) fn set_timers_again(&mut self) {
        let open = self.open_timers();
        self.actions.schedule.extend(open);
    }

    fn open_timers(&self) -> Vec<(TimerKey, Timestamp)> {
        self.tasks.iter().filter_map(|(number, task)| task.open_timer(TaskId(number))).collect()
    }

    /// Does a task again that has failed. One that nobody can do again stays as it is.
    pub(super) fn do_again(&mut self, id: TaskId, reason: &str) {
        let reply = self.reply_to(id);
        let failed = self.tasks.get(id.0).is_some_and(|task| matches!(task.outcome, Some(Err(_))));
        if !failed {
            return;
        }
        self.renew_policy(id);
        let Some(task) = self.tasks.get_mut(id.0) else { return };
        match &mut task.kind {
            TaskKind::Activity { attempt, lost, .. } => {
                // The number of attempts goes on, so that a late result of an old one is known.
                (*attempt, *lost) = (*attempt + 1, 0);
                let attempt = *attempt;
                task.outcome = None;
                self.actions.history.push(Event::ActivityRestarted { task: id, attempt });
                self.start_activity(id);
            }
            TaskKind::Child { id: child } => {
                let child = child.clone();
                task.outcome = None;
                let (reason, reply) = (reason.to_owned(), Some(reply));
                self.send(child, Body::Rewind { reason, reply });
                self.limit_attempt(id);
            }
            TaskKind::Operation { to, name, args, .. } => {
                let (to, name, args) = (to.clone(), name.clone(), args.clone());
                task.outcome = None;
                self.send_call(id, &to, &name, args);
            }
            TaskKind::Timer { .. } | TaskKind::Event { .. } | TaskKind::Lock { .. } => {}
        }
    }

    /// Ends the sub-orchestrations that are under way, and theirs.
    pub(super) fn terminate_children(&mut self, reason: &str) {
        let children = self.tasks.iter().filter_map(|(_, task)| match &task.kind {
            TaskKind::Child { id } if task.outcome.is_none() => Some(id.clone()),
            _ => None,
        });
        for child in children.collect::<Vec<_>>() {
            let parent = Some(self.identity.id.clone());
            let reason = reason.to_owned();
            self.send(child, Body::Terminate { reason, recursive: true, parent });
        }
    }
}

fn put_back<T: Clone + Weigh>(shelf: &mut Shelf<T>, journal: Journal<T>, keep: impl Fn(&mut T, T)) {
    for (number, before) in journal {
        let now = shelf.remove(number);
        if let Some(mut item) = before {
            if let Some(now) = now {
                keep(&mut item, now);
            }
            shelf.insert(number, item);
        }
    }
}
