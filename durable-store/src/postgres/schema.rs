//! Brings the schema of a hub to that of this version, or says why it cannot. Safe against others
//! that open the same hub at the same moment: one migrates, the others wait and find it done.

use sqlx::postgres::PgRow;
use sqlx::{Executor, PgConnection, Row};

use crate::error::{StoreError, StoreErrorKind};
use crate::store::Result;

use super::errors::{Failure, Place, classify, read_only};
use super::sql;
use super::statement::{Names, Statement, Value};

/// The migrations in order: the first brings a schema to version 1. Append only.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/postgres/0001_init.sql")];

type Fetched<T> = std::result::Result<T, sqlx::Error>;

/// Prepares the hub behind `connection`, with `partitions` if it is new; returns the number of
/// partitions that it has.
pub(super) async fn prepare(
    connection: &mut PgConnection,
    names: &Names,
    place: &Place,
    partitions: u16,
) -> Result<u16> {
    let failed = |error| classify("open", place, Failure::before(error));
    let (is_read_only, exists) = read_marks(connection, names).await.map_err(failed)?;
    let version = if exists { read_version(connection, names).await.map_err(failed)? } else { 0 };
    check_version(version, place)?;
    if is_read_only {
        return Err(StoreError::new(StoreErrorKind::ReadOnly, "open", read_only(place)));
    }
    if version < newest() {
        let migrated = migrate(connection, names, place, partitions).await;
        let end = if migrated.is_ok() { sql::COMMIT } else { sql::ROLLBACK };
        let ended = connection.execute(end).await.map_err(failed);
        migrated?;
        ended?;
    }
    let rows = run(connection, Statement::of(names, sql::READ_HUB, vec![])).await;
    let number = rows.and_then(|rows| first(&rows)?.try_get::<i32, _>(0)).map_err(failed)?;
    u16::try_from(number).map_err(|_| {
        let detail = format!("{place} has {number} partitions, which cannot be");
        StoreError::new(StoreErrorKind::Corrupt, "open", detail)
    })
}

fn newest() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

fn check_version(version: i32, place: &Place) -> Result<()> {
    if version <= newest() {
        return Ok(());
    }
    let detail = format!(
        "{place} has schema version {version}, this library knows versions up to {}: update the \
         program that opens it",
        newest()
    );
    Err(StoreError::new(StoreErrorKind::SchemaTooNew, "open", detail))
}

async fn run(connection: &mut PgConnection, statement: Statement) -> Fetched<Vec<PgRow>> {
    connection.fetch_all(statement.query()?).await
}

fn first(rows: &[PgRow]) -> Fetched<&PgRow> {
    rows.first().ok_or(sqlx::Error::RowNotFound)
}

/// Whether the server only answers, and whether the hub has a schema.
async fn read_marks(connection: &mut PgConnection, names: &Names) -> Fetched<(bool, bool)> {
    let versions = format!("{}.durable_schema", names.quoted());
    let statement = Statement::of(names, sql::READ_MARKS, vec![Value::Text(&versions)]);
    let rows = run(connection, statement).await?;
    let row = first(&rows)?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

async fn read_version(connection: &mut PgConnection, names: &Names) -> Fetched<i32> {
    let rows = run(connection, Statement::of(names, sql::READ_VERSION, vec![])).await?;
    first(&rows)?.try_get(0)
}

/// Begins a transaction and applies what is missing in it.
async fn migrate(
    connection: &mut PgConnection,
    names: &Names,
    place: &Place,
    partitions: u16,
) -> Result<()> {
    let failed = |error| classify("open", place, Failure::before(error));
    let applied = lock(connection, names).await.map_err(failed)?;
    check_version(applied, place)?;
    apply(connection, names, applied, partitions).await.map_err(failed)
}

/// Begins a transaction that has the schema for itself, and reads its version: somebody else may
/// have been faster.
async fn lock(connection: &mut PgConnection, names: &Names) -> Fetched<i32> {
    connection.execute(sql::BEGIN).await?;
    let lock = Statement::of(names, sql::LOCK_SCHEMA, vec![Value::Text(names.schema())]);
    run(connection, lock).await?;
    let quoted = names.quoted();
    let exists = Statement::of(names, sql::READ_SCHEMA, vec![Value::Text(&quoted)]);
    if !first(&run(connection, exists).await?)?.try_get::<bool, _>(0)? {
        // The right to create schemas is not needed for one that is there.
        let create = format!("{} {quoted}", sql::CREATE_SCHEMA);
        connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(create))).await?;
    }
    run(connection, Statement::of(names, sql::CREATE_VERSIONS, vec![])).await?;
    read_version(connection, names).await
}

async fn apply(
    connection: &mut PgConnection,
    names: &Names,
    applied: i32,
    partitions: u16,
) -> Fetched<()> {
    let quoted = names.quoted();
    run(connection, Statement::of(names, sql::SET_PATH, vec![Value::Text(&quoted)])).await?;
    for (version, migration) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > applied) {
        connection.execute(sqlx::raw_sql(migration)).await?;
        let insert =
            Statement::of(names, sql::INSERT_VERSION, vec![Value::Number(i64::from(version))]);
        run(connection, insert).await?;
    }
    if applied == 0 {
        for text in [sql::CREATE_HUB, sql::CREATE_PARTS] {
            let values = vec![Value::Number(i64::from(partitions))];
            run(connection, Statement::of(names, text, values)).await?;
        }
    }
    Ok(())
}
