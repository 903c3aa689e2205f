//! Running a named statement on the writer's connection. Each is prepared once, and the connection
//! keeps it; one that runs for many rows is looked up once for all of them.

use rusqlite::{Connection, Params, Result};

/// Runs a statement that returns no rows; returns how many it changed.
pub(super) fn run(
    connection: &Connection,
    statement: &'static str,
    parameters: impl Params,
) -> Result<usize> {
    connection.prepare_cached(statement)?.execute(parameters)
}

/// Runs a statement for each of `rows`; returns how many were changed in all.
pub(super) fn run_each<P: Params>(
    connection: &Connection,
    statement: &'static str,
    rows: impl IntoIterator<Item = P>,
) -> Result<usize> {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return Ok(0);
    }
    let mut statement = connection.prepare_cached(statement)?;
    rows.map(|row| statement.execute(row)).sum()
}

/// Whether a query returns a row.
pub(super) fn exists(
    connection: &Connection,
    query: &'static str,
    parameters: impl Params,
) -> Result<bool> {
    connection.prepare_cached(query)?.exists(parameters)
}

/// The number that a query of one row returns.
pub(super) fn number(
    connection: &Connection,
    query: &'static str,
    parameters: impl Params,
) -> Result<i64> {
    connection.prepare_cached(query)?.query_row(parameters, |row| row.get(0))
}
