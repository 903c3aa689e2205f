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

#[cfg(test)]
mod tests {
    use super::super::sql;
    use super::*;

    #[test]
    fn what_runs_for_each_row_goes_through_no_table() {
        let connection = Connection::open_in_memory().unwrap();
        let schema = include_str!("../../migrations/sqlite/0001_init.sql");
        connection.execute_batch(schema).unwrap();
        let statements = [
            sql::FENCE,
            sql::UPDATE_PROGRESS,
            sql::RENEW_INSTANCE,
            sql::CLEAR_SIDE,
            sql::DELETE_SIDE,
            sql::FORGET_HISTORY,
            sql::FORGET_FIRST_TURN,
            sql::FORGET_FIRST_EVENTS,
            sql::CONSUME,
            sql::UNSCHEDULE,
            sql::INSERT_RECEIPT,
            sql::MARK,
            sql::FIND_NUMBER,
            sql::REOPEN,
            sql::INSERT_INBOX,
            sql::INSERT_SCHEDULED,
            sql::IS_SEEN,
            sql::READ_TARGET,
            sql::CLEAN_RECEIPTS,
            sql::CLEAN_REPLIES,
            sql::POLL,
            sql::WITHDRAW_OFFER,
            sql::WITHDRAW_OFFERS,
            sql::LOST_OFFERS,
            sql::RENEW_CLAIM,
            sql::RELEASE_CLAIM,
        ];
        for statement in statements.into_iter().chain(sql::DELETE_MARKED) {
            let mut query = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
            let plan = query.raw_query().mapped(|row| row.get::<_, String>("detail"));
            for step in plan {
                let step = step.unwrap();
                // Rows of a subquery or a constant are few.
                let fine = !step.starts_with("SCAN")
                    || step.starts_with("SCAN (")
                    || step.starts_with("SCAN CONSTANT");
                assert!(fine, "{statement}: {step}");
            }
        }
    }
}
