//! What a suspended program waits for, prepared so that each arriving outcome costs constant time.

use std::collections::HashSet;

use super::core::Core;
use crate::message::TaskId;
use crate::program::Machine;
use crate::task::Waiting;

/// Decides in constant time whether an outcome lets the program go on.
pub(super) enum Watch {
    Nothing,
    One(TaskId),
    /// A flat join: what is open, and whether a failure decides it.
    All {
        open: HashSet<TaskId>,
        first_failure: bool,
    },
    /// The first of several.
    Any(HashSet<TaskId>),
    /// Anything nested is looked at as a whole.
    Nested(Waiting),
    /// Concurrent branches, each of which waits for itself.
    Branches(Vec<Watch>),
}

impl Watch {
    pub(super) fn of(machine: &dyn Machine, core: &Core) -> Self {
        let mut waits = Vec::new();
        machine.for_each_wait(&mut |waiting| waits.push(Self::wait(waiting, core)));
        match waits.len() {
            0 => Self::Nothing,
            1 => waits.remove(0),
            _ => Self::Branches(waits),
        }
    }

    fn wait(waiting: &Waiting, core: &Core) -> Self {
        let parts = match waiting {
            Waiting::Task(task) | Waiting::Held { held: task } => return Self::One(*task),
            Waiting::All { all: parts }
            | Waiting::AllOk { all_ok: parts }
            | Waiting::Any { any: parts } => parts,
        };
        let tasks: Option<HashSet<TaskId>> = parts.iter().map(Waiting::as_task).collect();
        let Some(mut open) = tasks else { return Self::Nested(waiting.clone()) };
        if matches!(waiting, Waiting::Any { .. }) {
            return Self::Any(open);
        }
        open.retain(|task| core.outcome(*task).is_none());
        Self::All { open, first_failure: matches!(waiting, Waiting::AllOk { .. }) }
    }

    pub(super) fn is_over(&mut self, task: TaskId, failed: bool, core: &Core) -> bool {
        match self {
            Self::Nothing => false,
            Self::One(awaited) => *awaited == task,
            Self::All { open, first_failure } => {
                open.remove(&task) && (open.is_empty() || (failed && *first_failure))
            }
            Self::Any(tasks) => tasks.contains(&task),
            Self::Nested(waiting) => waiting.is_ready(core),
            Self::Branches(branches) => {
                let mut over = false;
                for branch in branches {
                    // Every one of them must take note.
                    over |= branch.is_over(task, failed, core);
                }
                over
            }
        }
    }
}
