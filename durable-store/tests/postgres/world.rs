//! The server that the tests use, and a schema of its own for each.

use std::sync::atomic::{AtomicU32, Ordering};

use durable_store::conformance::Fixture;
use durable_store::{PostgresOptions, PostgresStore};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row};

const URL: &str = "DURABLE_TEST_POSTGRES_URL";

/// The database of the tests, where they may create what they like.
pub(crate) fn url() -> String {
    std::env::var(URL).unwrap_or_else(|_| {
        panic!(
            "these tests need a PostgreSQL server: run `scripts/postgres --fast cargo test \
             --all-features`, or set {URL} to the URL of a database that can be spoilt"
        )
    })
}

/// A schema that no other test has.
pub(crate) fn new_schema() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    // A process that had the same number before may have left schemas in a server that is kept.
    let started = std::fs::metadata("/proc/self").and_then(|process| process.modified()).ok();
    let started = started.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let started = started.map_or(0, |time| time.as_millis());
    format!("test_{started}_{}_{next}", std::process::id())
}

pub(crate) fn options(schema: &str) -> PostgresOptions {
    PostgresStore::options(url()).schema(schema).max_connections(8)
}

pub(crate) async fn store(schema: &str) -> PostgresStore {
    options(schema).open().await.unwrap()
}

pub(crate) async fn open(schema: String) -> Fixture {
    Fixture::from(store(&schema).await)
}

/// A connection of somebody else.
pub(crate) async fn other() -> PgConnection {
    url().parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
}

/// Runs a statement of a test. `@` stands for the schema.
pub(crate) async fn run(connection: &mut PgConnection, schema: &str, text: &str) -> u64 {
    let text = text.replace('@', &format!("\"{schema}\"."));
    sqlx::query(AssertSqlSafe(text)).execute(connection).await.unwrap().rows_affected()
}

/// The number that a statement of a test returns.
pub(crate) async fn number(connection: &mut PgConnection, schema: &str, text: &str) -> i64 {
    let text = text.replace('@', &format!("\"{schema}\"."));
    sqlx::query(AssertSqlSafe(text)).fetch_one(connection).await.unwrap().get(0)
}

/// Asks again and again until there is an answer, and fails after a while.
pub(crate) async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(5));
    for _ in 0..4_000 {
        ticks.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
    }
    panic!("it does not happen")
}
