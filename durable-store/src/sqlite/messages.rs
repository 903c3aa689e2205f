//! Storing messages: the order of their arrival, and where each belongs.

use rusqlite::{Connection, Result};

use crate::model::{Message, PartitionId};

use super::sql;
use super::statement::number;

/// The partition stands above these bits of `inbox.seq`.
const SEQ_BITS: u32 = 48;

/// The part of `inbox.seq` that belongs to a partition: from the first, before the second.
pub(super) fn seq_range(partition: PartitionId) -> (i64, i64) {
    (i64::from(partition.0) << SEQ_BITS, (i64::from(partition.0) + 1) << SEQ_BITS)
}

/// Stores messages, each unless its id is stored already: those with a due time in the schedule,
/// the others in the inbox, in their order.
pub(super) fn add<'a>(
    connection: &Connection,
    messages: impl Iterator<Item = &'a Message> + Clone,
) -> Result<()> {
    let count = messages.clone().count();
    if count == 0 {
        return Ok(());
    }
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let first = number(connection, sql::RESERVE_PLACES, (count,))?;
    let mut inbox = connection.prepare_cached(sql::INSERT_INBOX)?;
    let mut scheduled = connection.prepare_cached(sql::INSERT_SCHEDULED)?;
    for (place, message) in (first..).zip(messages) {
        let Message { id, partition, target, due_at, body } = message;
        match due_at {
            None => inbox.execute((seq_range(*partition).0 + place, &**id, &**target, &**body))?,
            Some(due_at) => {
                let due_at = due_at.as_micros();
                scheduled.execute((partition.0, due_at, place, &**id, &**target, &**body))?
            }
        };
    }
    Ok(())
}
