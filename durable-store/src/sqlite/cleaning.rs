//! Deleting what is not needed any more, so much at a time that no commit waits long for it.

use rusqlite::{Connection, Result};

use crate::Timestamp;

use super::sql;
use super::statement::run;

/// Rows of one table that one operation deletes.
const CLEAN_ROWS: u32 = 5_000;

/// Forgets old receipts and replies. Whether there may be more.
pub(super) fn clean(
    connection: &Connection,
    receipts_before: Timestamp,
    replies_before: Timestamp,
) -> Result<bool> {
    let receipts = (receipts_before.as_micros(), CLEAN_ROWS);
    let receipts = run(connection, sql::CLEAN_RECEIPTS, receipts)?;
    let replies = run(connection, sql::CLEAN_REPLIES, (replies_before.as_micros(), CLEAN_ROWS))?;
    Ok(receipts.max(replies) >= CLEAN_ROWS as usize)
}

/// Deletes side rows and history of instances that were purged. Whether there may be more.
pub(super) fn sweep(connection: &Connection) -> Result<bool> {
    let mut more = false;
    for statement in [sql::SWEEP_SIDE, sql::SWEEP_HISTORY, sql::SWEEP_NUMBERS] {
        more |= run(connection, statement, (CLEAN_ROWS,))? >= CLEAN_ROWS as usize;
    }
    Ok(more)
}
