//! Several statements that travel to the database in one call. Each call is two hops between
//! threads, so this is what keeps a small commit cheap. It knows no table.

use std::pin::pin;

use serde::Serialize;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Either, Encode, Executor, Sqlite, SqliteConnection, Type};

use crate::error::{StoreError, StoreErrorKind};
use crate::store::Result;

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
            self.text.push_str(";\n");
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
            StoreError::new(
                StoreErrorKind::Other,
                "bind",
                "a parameter cannot be encoded",
            )
            .with_source(cause)
        })
    }

    /// Adds a list of rows as the next parameter.
    pub(super) fn bind_rows<T: Serialize>(&mut self, rows: &[T]) -> Result<()> {
        let json = serde_json::to_string(rows).map_err(|cause| {
            StoreError::new(
                StoreErrorKind::Other,
                "bind",
                "rows cannot be written as JSON",
            )
            .with_source(cause)
        })?;
        self.bytes += json.len();
        self.bind(json)
    }

    /// The size of its lists, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Runs all statements; stops at the first that fails and returns its error with the outcomes
    /// of those before it.
    pub(super) async fn run(
        &self,
        connection: &mut SqliteConnection,
    ) -> (Vec<Outcome>, std::result::Result<(), sqlx::Error>) {
        use futures_core::Stream;
        let query = sqlx::query_with(AssertSqlSafe(self.text.clone()), self.arguments.clone());
        let mut outcomes = Vec::with_capacity(self.statements);
        let mut current = Outcome::default();
        let mut results = pin!(connection.fetch_many(query));
        loop {
            match std::future::poll_fn(|context| results.as_mut().poll_next(context)).await {
                None => return (outcomes, Ok(())),
                Some(Err(error)) => return (outcomes, Err(error)),
                Some(Ok(Either::Right(row))) => current.rows.push(row),
                Some(Ok(Either::Left(done))) => {
                    current.changes = done.rows_affected();
                    outcomes.push(std::mem::take(&mut current));
                }
            }
        }
    }

    /// The same where no part of the outcome is wanted after a failure.
    pub(super) async fn run_all(
        &self,
        connection: &mut SqliteConnection,
    ) -> std::result::Result<Vec<Outcome>, sqlx::Error> {
        let (outcomes, result) = self.run(connection).await;
        result.map(|()| outcomes)
    }
}
