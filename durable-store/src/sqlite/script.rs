//! Several statements that travel to the database in one call. Each call is two hops between
//! threads, so this is what keeps a small commit cheap. It knows no table.

use std::future::poll_fn;
use std::pin::pin;

use futures_core::Stream;
use serde::Serialize;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Either, Encode, Executor, Sqlite, SqliteConnection, Type};

use crate::error::{StoreError, StoreErrorKind};
use crate::store::Result;

use super::sql;

/// Statements and their parameters. The text is made of constants only; whatever comes from
/// outside is a parameter. Equal texts share one prepared statement per connection.
#[derive(Default)]
pub(super) struct Script {
    text: String,
    arguments: SqliteArguments,
    statements: usize,
    bytes: usize,
}

/// What one statement of a script did.
#[derive(Default)]
pub(super) struct Outcome {
    /// The rows that it returned.
    pub(super) rows: Vec<SqliteRow>,
    /// The rows that it inserted, updated or deleted.
    pub(super) changes: u64,
}

/// Where a script stopped, and why.
pub(super) struct Stopped {
    pub(super) at: Place,
    pub(super) error: sqlx::Error,
}

/// A place in a script that is part of a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Where the transaction begins.
    Begin,
    /// The statement after so many others.
    Statement(usize),
    /// Where it is committed.
    Commit,
}

/// Stands between statements.
const SEPARATOR: &str = ";\n";

impl Script {
    /// A script of one statement.
    pub(super) fn of(statement: &'static str) -> Self {
        let mut script = Self::default();
        script.push(statement);
        script
    }

    /// Adds a statement and returns its place among the outcomes.
    pub(super) fn push(&mut self, statement: &'static str) -> usize {
        if self.statements > 0 {
            self.text.push_str(SEPARATOR);
        }
        self.text.push_str(statement);
        self.statements += 1;
        self.statements - 1
    }

    /// Adds to the last statement.
    pub(super) fn extend(&mut self, part: &'static str) {
        self.text.push_str(part);
    }

    /// Adds the next parameter.
    pub(super) fn bind<'q, T>(&mut self, value: T) -> Result<()>
    where
        T: Encode<'q, Sqlite> + Type<Sqlite>,
    {
        self.arguments.add(value).map_err(|cause| {
            StoreError::new(StoreErrorKind::Other, "bind", "a parameter cannot be encoded")
                .with_source(cause)
        })
    }

    /// Adds a list of rows as the next parameter.
    pub(super) fn bind_rows<T: Serialize>(&mut self, rows: &[T]) -> Result<()> {
        let json = serde_json::to_string(rows).map_err(|cause| {
            StoreError::new(StoreErrorKind::Other, "bind", "rows cannot be written as JSON")
                .with_source(cause)
        })?;
        self.bytes += json.len();
        self.bind(json)
    }

    /// The same script, asking how it would be run.
    #[cfg(test)]
    pub(super) fn explained(mut self) -> Self {
        self.text.insert_str(0, "EXPLAIN QUERY PLAN ");
        self
    }

    /// The size of its lists, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Runs all statements and returns what each did.
    pub(super) async fn run_all(
        &self,
        connection: &mut SqliteConnection,
    ) -> std::result::Result<Vec<Outcome>, sqlx::Error> {
        let mut outcomes = Vec::with_capacity(self.statements);
        self.run(self.text.clone(), connection, &mut outcomes).await?;
        Ok(outcomes)
    }

    /// Runs all statements, and if wanted the beginning and the end of a transaction around them
    /// in the same call. Stops at the first statement that fails.
    pub(super) async fn run_as_part(
        &self,
        connection: &mut SqliteConnection,
        begins: bool,
        ends: bool,
    ) -> std::result::Result<(), Stopped> {
        let mut text = String::with_capacity(self.text.len() + 32);
        if begins {
            text.push_str(sql::BEGIN);
            text.push_str(SEPARATOR);
        }
        text.push_str(&self.text);
        if ends {
            text.push_str(SEPARATOR);
            text.push_str(sql::COMMIT);
        }
        let mut outcomes = Vec::with_capacity(self.statements + 2);
        self.run(text, connection, &mut outcomes).await.map_err(|error| {
            let at = match outcomes.len().checked_sub(usize::from(begins)) {
                None => Place::Begin,
                Some(done) if done < self.statements => Place::Statement(done),
                Some(_) => Place::Commit,
            };
            Stopped { at, error }
        })
    }

    async fn run(
        &self,
        text: String,
        connection: &mut SqliteConnection,
        outcomes: &mut Vec<Outcome>,
    ) -> std::result::Result<(), sqlx::Error> {
        let query = sqlx::query_with(AssertSqlSafe(text), self.arguments.clone());
        let mut current = Outcome::default();
        let mut results = pin!(connection.fetch_many(query));
        while let Some(result) = poll_fn(|context| results.as_mut().poll_next(context)).await {
            match result? {
                Either::Right(row) => current.rows.push(row),
                Either::Left(done) => {
                    current.changes = done.rows_affected();
                    outcomes.push(std::mem::take(&mut current));
                }
            }
        }
        Ok(())
    }
}
