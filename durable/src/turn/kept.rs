//! Where a program stood before its last step, in its saved form: what an orchestration that failed
//! goes back to when it is rewound.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::program::{Incompatible, Machine, Program, SavedMachine, SavedPosition};
use crate::task::Waiting;

/// What is saved of programs within one turn beside the state itself, in bytes, so that each step
/// can be gone back from. A turn that has more keeps nothing of its later steps.
pub(super) const MAX_KEPT_BYTES_PER_TURN: usize = 8 * 1024 * 1024;

/// A program as it was saved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    state: String,
    locals: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    awaiting: Option<Waiting>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    branches: Vec<Option<SavedPosition>>,
    /// It had not begun.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unbegun: bool,
}

impl Kept {
    /// A program that has not begun.
    pub(super) fn unbegun() -> Self {
        Self {
            state: String::new(),
            locals: RawValue::NULL.to_owned(),
            awaiting: None,
            branches: Vec::new(),
            unbegun: true,
        }
    }

    /// `machine`, whose variables were saved as `locals`.
    pub(super) fn of(machine: &dyn Machine, locals: String) -> Option<Self> {
        Some(Self {
            state: machine.state().to_owned(),
            locals: RawValue::from_string(locals).ok()?,
            awaiting: machine.awaiting().cloned(),
            branches: machine.branches(),
            unbegun: false,
        })
    }

    /// A program that is not in memory, as it was saved.
    pub(super) fn saved(position: SavedPosition, locals: Box<RawValue>) -> Self {
        let SavedPosition { state, awaiting, branches } = position;
        Self { state, locals, awaiting, branches, unbegun: false }
    }

    pub(super) fn is_unbegun(&self) -> bool {
        self.unbegun
    }

    /// The variables, as a JSON object.
    pub(super) fn locals(&self) -> &str {
        self.locals.get()
    }

    /// The program as it was.
    pub(super) fn load(&self, program: &dyn Program) -> Result<Box<dyn Machine>, Incompatible> {
        let position = SavedPosition {
            state: self.state.clone(),
            awaiting: self.awaiting.clone(),
            branches: self.branches.clone(),
        };
        program.load(&SavedMachine { position, locals: &self.locals })
    }
}
