//! Most instances are created together with their first turn, and a history row of its own costs a
//! database as much as the instance does. So it can be kept in the row of the instance.

use crate::model::{InstanceChange, Payload};

/// A turn, and what happened in it.
pub(crate) type HistoryRow = (i64, Payload);

/// The history row that can be kept in the row of the instance that `change` creates, and those
/// that cannot.
pub(crate) fn first_history(change: &InstanceChange) -> (Option<&HistoryRow>, &[HistoryRow]) {
    let Some((first, others)) = change.history.split_first() else {
        return (None, &[]);
    };
    // Where all rows are, a turn that comes twice is refused.
    let in_order = change.history.is_sorted_by(|a, b| a.0 < b.0);
    let forgotten = change.forget_history_before.is_some_and(|kept| first.0 < kept);
    if change.create.is_some() && in_order && !forgotten {
        (Some(first), others)
    } else {
        (None, &change.history)
    }
}

/// The first turn of which `change` adds a history row.
pub(crate) fn lowest_turn(change: &InstanceChange) -> Option<i64> {
    change.history.iter().map(|(turn, _)| *turn).min()
}

/// The page that these rows make, which are the first ones but in no order.
pub(crate) fn page_of_history(mut rows: Vec<HistoryRow>, limit: usize) -> Vec<HistoryRow> {
    rows.sort_by_key(|(turn, _)| *turn);
    rows.truncate(limit);
    rows
}
