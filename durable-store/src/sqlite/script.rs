//! Several queries of the reader that travel to the database in one call, because each call is two
//! hops between threads. It knows no table.

use std::future::poll_fn;
use std::pin::pin;

use futures_core::Stream;
use serde::Serialize;
use sqlx::sqlite::{SqliteArguments, SqliteQueryResult, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Either, Encode, Executor, Sqlite, SqliteConnection, Type};

use crate::error::{StoreError, StoreErrorKind};
use crate::store::Result;

/// Statements and their parameters. The text is made of constants only; whatever comes from
/// outside is a parameter. Equal texts share one prepared statement per connection.
#[derive(Default)]
pub(super) struct Script {
    text: String,
    arguments: SqliteArguments,
}

/// What one statement of a script returned.
pub(super) type Rows = Vec<SqliteRow>;

/// What comes of asking.
pub(super) type Fetched<T> = std::result::Result<T, sqlx::Error>;

/// Stands between statements.
const SEPARATOR: &str = ";\n";

impl Script {
    /// A script of one statement.
    pub(super) fn of(statement: &'static str) -> Self {
        let mut script = Self::default();
        script.push(statement);
        script
    }

    /// Adds a statement.
    pub(super) fn push(&mut self, statement: &'static str) {
        if !self.text.is_empty() {
            self.text.push_str(SEPARATOR);
        }
        self.text.push_str(statement);
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
        self.bind(json)
    }

    /// The same script, asking how it would be run.
    #[cfg(test)]
    pub(super) fn explained(mut self) -> Self {
        self.text.insert_str(0, "EXPLAIN QUERY PLAN ");
        self
    }

    /// Runs all statements and returns the rows of each.
    pub(super) async fn run_all(&self, connection: &mut SqliteConnection) -> Fetched<Vec<Rows>> {
        let (mut outcomes, mut current) = (Vec::new(), Rows::new());
        self.run(connection, |result| {
            match result {
                Either::Right(row) => current.push(row),
                Either::Left(_) => outcomes.push(std::mem::take(&mut current)),
            }
            Ok(())
        })
        .await?;
        Ok(outcomes)
    }

    /// Runs the script and decodes each row as it comes: rows take much more memory than what is in
    /// them.
    pub(super) async fn decode_each<T>(
        &self,
        connection: &mut SqliteConnection,
        decode: impl Fn(&SqliteRow) -> Fetched<T>,
    ) -> Fetched<Vec<T>> {
        let mut all = Vec::new();
        self.run(connection, |result| {
            if let Either::Right(row) = result {
                all.push(decode(&row)?);
            }
            Ok(())
        })
        .await?;
        Ok(all)
    }

    async fn run(
        &self,
        connection: &mut SqliteConnection,
        mut take: impl FnMut(Either<SqliteQueryResult, SqliteRow>) -> Fetched<()>,
    ) -> Fetched<()> {
        let query = sqlx::query_with(AssertSqlSafe(self.text.clone()), self.arguments.clone());
        let mut results = pin!(connection.fetch_many(query));
        while let Some(result) = poll_fn(|context| results.as_mut().poll_next(context)).await {
            take(result?)?;
        }
        Ok(())
    }
}
