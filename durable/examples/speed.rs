//! Measures the engine: one long chain, many short ones at once, and one wide fan-out, on the
//! memory store and on a `SQLite` file. `cargo run --release -p durable --example speed`
#![allow(missing_docs)] // A program, not a library.

use std::sync::Arc;
use std::time::Duration;

use durable::prelude::*;
use durable::store::{MemoryStore, SqliteStore, Store};
use durable::{Client, Clock as _, SystemClock, Worker};

/// Steps of the long chain.
const STEPS: u64 = 1_000;
/// Chains at once, and the steps of each.
const CHAINS: u64 = 1_000;
const SHORT: u64 = 10;
/// Activities of the fan-out.
const WIDTH: u64 = 10_000;

#[activity]
async fn add_one(n: u64) -> u64 {
    n + 1
}

#[orchestrator]
async fn chain(steps: u64) -> Result<u64, TaskError> {
    let mut n = 0;
    while n < steps {
        n = add_one(n).await?;
    }
    Ok(n)
}

#[orchestrator]
async fn fan_out(width: u64) -> Result<u64, TaskError> {
    let ones = try_join_all((0..width).map(add_one)).await?;
    Ok(ones.into_iter().sum())
}

type Error = Box<dyn std::error::Error>;

async fn timed<T>(work: impl Future<Output = Result<T, Error>>) -> Result<Duration, Error> {
    let start = SystemClock.now();
    work.await?;
    Ok(SystemClock.now().saturating_since(start))
}

async fn many_chains(client: &Client) -> Result<(), Error> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CHAINS {
        let client = client.clone();
        tasks.spawn(async move { client.start(chain(SHORT)).await?.result().await });
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // Small numbers.
fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

async fn measure(name: &str, store: Arc<dyn Store>) -> Result<(), Error> {
    let worker = Worker::builder(store)
        .orchestrator(chain)
        .orchestrator(fan_out)
        .activity(add_one)
        .start()
        .await?;
    let client = worker.client();
    let time = timed(async { Ok(client.start(chain(STEPS)).await?.result().await?) }).await?;
    println!("{name}: a chain of {STEPS}: {time:?}, {:.0} steps/s", rate(STEPS, time));
    let time = timed(many_chains(&client)).await?;
    let steps = CHAINS * SHORT;
    println!("{name}: {CHAINS} chains of {SHORT}: {time:?}, {:.0} steps/s", rate(steps, time));
    let time = timed(async { Ok(client.start(fan_out(WIDTH)).await?.result().await?) }).await?;
    println!("{name}: a fan-out of {WIDTH}: {time:?}, {:.0} activities/s", rate(WIDTH, time));
    worker.shutdown().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    measure("memory", Arc::new(MemoryStore::new())).await?;
    let directory = tempfile::tempdir()?;
    let store = SqliteStore::open(directory.path().join("speed.db")).await?;
    measure("sqlite", Arc::new(store)).await
}
