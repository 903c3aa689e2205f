//! Brings a database file to the schema of this version, or says why it cannot. Safe against
//! another process that opens the same file at the same moment.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Executor, Row, SqliteConnection};

use crate::error::{StoreError, StoreErrorKind};
use crate::store::Result;

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

/// Prepares the file behind `connection`, with `partitions` if it is new; returns the number of
/// partitions that it has.
pub(super) async fn prepare(
    connection: &mut SqliteConnection,
    path: &Path,
    partitions: u16,
    busy_timeout: Duration,
) -> Result<u16> {
    let failed = |error: sqlx::Error| classify("open", path, &Arc::new(error));
    let marks = read_marks(connection).await.map_err(failed)?;
    check_marks(&marks, path)?;
    set_journal_mode(connection, busy_timeout).await.map_err(failed)?;
    if marks.version < newest() {
        connection.execute(sql::BEGIN).await.map_err(failed)?;
        // Read again: another process may have been faster.
        let marks = read_marks(connection).await.map_err(failed)?;
        let migrated = match check_marks(&marks, path) {
            Ok(()) => migrate(connection, &marks, partitions).await.map_err(failed),
            Err(refused) => Err(refused),
        };
        let end = if migrated.is_ok() { sql::COMMIT } else { sql::ROLLBACK };
        connection.execute(end).await.map_err(failed)?;
        migrated?;
    }
    let row = connection.fetch_one(sql::READ_HUB).await.map_err(failed)?;
    row.try_get::<u16, _>(0).map_err(failed)
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

async fn read_marks(connection: &mut SqliteConnection) -> std::result::Result<Marks, sqlx::Error> {
    let row = connection.fetch_one(sql::READ_MARKS).await?;
    Ok(Marks { application_id: row.try_get(0)?, version: row.try_get(1)?, tables: row.try_get(2)? })
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
async fn set_journal_mode(
    connection: &mut SqliteConnection,
    busy_timeout: Duration,
) -> std::result::Result<(), sqlx::Error> {
    let row = connection.fetch_one(sql::READ_JOURNAL_MODE).await?;
    if row.try_get::<String, _>(0)? == "wal" {
        return Ok(());
    }
    let mut attempts = busy_timeout.as_millis() / RETRY_INTERVAL.as_millis();
    let mut interval = tokio::time::interval(RETRY_INTERVAL);
    loop {
        interval.tick().await;
        match connection.execute(sql::SET_JOURNAL_MODE).await {
            Ok(_) => return Ok(()),
            Err(error) if is_busy(&error) && attempts > 0 => attempts -= 1,
            Err(error) => return Err(error),
        }
    }
}

async fn migrate(
    connection: &mut SqliteConnection,
    marks: &Marks,
    partitions: u16,
) -> std::result::Result<(), sqlx::Error> {
    let applied = usize::try_from(marks.version).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(applied) {
        connection.execute(sqlx::raw_sql(*migration)).await?;
    }
    if applied == 0 {
        let partitions = i64::from(partitions);
        sqlx::query(sql::CREATE_HUB).bind(partitions).execute(&mut *connection).await?;
        sqlx::query(sql::CREATE_PARTS).bind(partitions).execute(&mut *connection).await?;
    }
    // A pragma takes no parameters; both values are numbers of ours.
    let marks =
        format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {}", newest());
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(marks))).await?;
    Ok(())
}
