//! How much of the history of an instance is stored. The history is for people: no turn reads it.

use durable_store::InstanceChange;

/// How much of its history each instance keeps. What is over is deleted with the next turn of the
/// instance, in the commit of that turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HistoryRetention {
    /// Everything, until the instance is purged.
    #[default]
    All,
    /// The last so many turns, so that an endless loop takes no endless room. At least 1.
    LastTurns(u32),
    /// Nothing.
    None,
}

impl HistoryRetention {
    /// Leaves in a change what is to be stored. `is_first` says that it is the first one since the
    /// instance was loaded: rows of before the worker had this option may be there.
    pub(super) fn apply(self, change: &mut InstanceChange, is_first: bool) {
        let Some((turn, _)) = change.history.last() else { return };
        let turn = *turn;
        let forgotten = change.forget_history_before;
        match self {
            Self::All => {}
            Self::LastTurns(count) => {
                let first_kept = turn - i64::from(count) + 1;
                // Turns are counted from 1: at first there is nothing to forget.
                change.forget_history_before =
                    forgotten.max((first_kept > 1).then_some(first_kept));
            }
            Self::None => {
                change.history.clear();
                change.forget_history_before = forgotten.max(is_first.then_some(turn));
            }
        }
    }
}
