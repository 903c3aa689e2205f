//! Brings a database file to the schema of this version, or says why it cannot. Safe against
//! another process that opens the same file at the same moment.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::{StoreError, StoreErrorKind};
use crate::store::Result;

use super::SqliteOptions;
use super::errors::{classify, is_busy};
use super::sql;

/// The migrations in order: the first brings a file to version 1. Append only.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/sqlite/0001_init.sql")];

/// `PRAGMA application_id` of our files, "dura" in ASCII.
const APPLICATION_ID: i64 = 0x6475_7261;

/// How long to wait between attempts to switch the journal mode.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

struct Marks {
    application_id: i64,
    version: i64,
    tables: i64,
}

/// Prepares the file behind `connection` as `options` want it if it is new; returns the number of
/// partitions that it has.
pub(super) fn prepare(connection: &Connection, options: &SqliteOptions) -> Result<u16> {
    let SqliteOptions { path, partitions, busy_timeout, .. } = options;
    let failed = |error: rusqlite::Error| classify("open", path, &Arc::new(error));
    let marks = read_marks(connection).map_err(failed)?;
    check_marks(&marks, path)?;
    set_journal_mode(connection, *busy_timeout).map_err(failed)?;
    if marks.version < newest() {
        let immediate = TransactionBehavior::Immediate;
        let transaction = Transaction::new_unchecked(connection, immediate).map_err(failed)?;
        // Read again: another process may have been faster.
        let marks = read_marks(&transaction).map_err(failed)?;
        check_marks(&marks, path)?;
        migrate(&transaction, &marks, *partitions).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    connection.query_row(sql::READ_HUB, (), |row| row.get(0)).map_err(failed)
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn read_marks(connection: &Connection) -> rusqlite::Result<Marks> {
    connection.query_row(sql::READ_MARKS, (), |row| {
        Ok(Marks { application_id: row.get(0)?, version: row.get(1)?, tables: row.get(2)? })
    })
}

fn check_marks(marks: &Marks, path: &Path) -> Result<()> {
    let path = path.display();
    let is_new = marks.application_id == 0 && marks.version == 0 && marks.tables == 0;
    if !is_new && marks.application_id != APPLICATION_ID {
        return Err(StoreError::new(
            StoreErrorKind::Corrupt,
            "open",
            format!(
                "`{path}` is a SQLite database of another application: \
                 give a path of its own, the file is left as it is"
            ),
        ));
    }
    if marks.version > newest() {
        return Err(StoreError::new(
            StoreErrorKind::SchemaTooNew,
            "open",
            format!(
                "`{path}` has schema version {}, this library knows versions up to {}: \
                 update the program that opens it",
                marks.version,
                newest()
            ),
        ));
    }
    Ok(())
}

/// Switching to WAL takes a lock that the busy timeout does not wait for, so it is tried again.
fn set_journal_mode(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    let mode: String = connection.query_row(sql::READ_JOURNAL_MODE, (), |row| row.get(0))?;
    if mode == "wal" {
        return Ok(());
    }
    let mut attempts = busy_timeout.as_millis() / RETRY_INTERVAL.as_millis();
    loop {
        match connection.execute_batch(sql::SET_JOURNAL_MODE) {
            Err(error) if is_busy(&error) && attempts > 0 => attempts -= 1,
            result => return result,
        }
        std::thread::sleep(RETRY_INTERVAL);
    }
}

fn migrate(connection: &Connection, marks: &Marks, partitions: u16) -> rusqlite::Result<()> {
    let applied = usize::try_from(marks.version).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(applied) {
        connection.execute_batch(migration)?;
    }
    if applied == 0 {
        connection.execute(sql::CREATE_HUB, (partitions,))?;
        connection.execute(sql::CREATE_PARTS, (partitions,))?;
    }
    // A pragma takes no parameters; both values are numbers of ours.
    let marks =
        format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {}", newest());
    connection.execute_batch(&marks)
}
