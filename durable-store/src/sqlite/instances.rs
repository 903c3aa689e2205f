//! Rows of instances, as batches and messages from outside create and remove them.

use rusqlite::{Connection, Result};

use crate::Timestamp;
use crate::codes::{kind_code, tags_text};
use crate::model::NewInstance;

use super::sql;
use super::statement::{run, run_each};

/// Creates an instance but for its progress, with one of the statements that insert an instance.
/// `first_events` are the history of the turn that comes with it. Whether it did.
pub(super) fn create(
    connection: &Connection,
    statement: &'static str,
    new: &NewInstance,
    first_events: Option<&str>,
) -> Result<bool> {
    let row = (
        new.no.0,
        &*new.id,
        kind_code(new.kind),
        &*new.name,
        &*new.version,
        new.parent.as_deref(),
        &*new.request,
        new.created_at.as_micros(),
        &*new.input,
        new.starts_at.map(Timestamp::as_micros),
        tags_text(new),
        first_events,
    );
    if run(connection, statement, row)? == 0 {
        return Ok(false);
    }
    let tags = new.tags.iter().map(|(key, value)| (new.no.0, &**key, &**value));
    run_each(connection, sql::INSERT_TAG, tags)?;
    Ok(true)
}

/// Creates an instance whose first message comes with it, in the same way.
pub(super) fn create_pending(
    connection: &Connection,
    statement: &'static str,
    new: &NewInstance,
) -> Result<()> {
    if create(connection, statement, new, None)? {
        run(connection, sql::INSERT_PENDING, (new.no.0, new.created_at.as_micros()))?;
    }
    Ok(())
}

/// Deletes an instance if it has ended, but for its side rows and history. Whether it did.
pub(super) fn purge(connection: &Connection, no: i64) -> Result<bool> {
    if run(connection, sql::MARK, (no,))? == 0 {
        return Ok(false);
    }
    for statement in sql::DELETE_MARKED {
        run(connection, statement, (no,))?;
    }
    Ok(true)
}
