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
    /// Anything nested is looked at as a whole.
    Other,
}

impl Watch {
    pub(super) fn of(waiting: Option<&Waiting>, core: &Core) -> Self {
        let (parts, first_failure) = match waiting {
            None => return Self::Nothing,
            Some(Waiting::Task(task)) => return Self::One(*task),
            Some(Waiting::All { all }) => (all, false),
            Some(Waiting::AllOk { all_ok }) => (all_ok, true),
        };
        let mut open = HashSet::new();
        for part in parts {
            let Waiting::Task(task) = part else { return Self::Other };
            if core.outcome(*task).is_none() {
                open.insert(*task);
            }
        }
        Self::All { open, first_failure }
    }

    pub(super) fn is_over(
        &mut self,
        task: TaskId,
        failed: bool,
        machine: Option<&dyn Machine>,
        core: &Core,
    ) -> bool {
        match self {
            Self::Nothing => false,
            Self::One(awaited) => *awaited == task,
            Self::All { open, first_failure } => {
                open.remove(&task) && (open.is_empty() || (failed && *first_failure))
            }
            Self::Other => {
                machine.and_then(Machine::awaiting).is_some_and(|waiting| waiting.is_ready(core))
            }
        }
    }
}
