//! What a step costs: one orchestration that awaits activities in a loop, at several lengths, on
//! memory and on `SQLite`. The price of a step does not depend on how many came before.

use std::sync::Arc;

use anyhow::ensure;
use clap::Parser;
use durable::Worker;
use durable::prelude::*;
use durable::store::{MemoryStore, SqliteStore, Store};

/// Prints milliseconds per step of one orchestration's loop.
#[derive(Parser)]
struct Options {
    /// The lengths of the loop.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000])]
    steps: Vec<u64>,
    /// How often each is measured; the median is printed.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

#[activity]
async fn step(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn steps(count: u64) -> Result<u64, TaskError> {
    let mut sum = 0;
    for n in 0..count {
        sum += step(n).await?;
    }
    Ok(sum)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    examples::show_warnings();
    println!("store   steps   ms/step (median of {})", options.runs);
    for &count in &options.steps {
        let mut times = Vec::new();
        for _ in 0..options.runs {
            times.push(measure(Arc::new(MemoryStore::new()), count).await?);
        }
        print("memory", count, &mut times);
    }
    for &count in &options.steps {
        let mut times = Vec::new();
        for _ in 0..options.runs {
            let folder = tempfile::tempdir()?;
            let store = SqliteStore::open(folder.path().join("steps.db")).await?;
            times.push(measure(Arc::new(store), count).await?);
        }
        print("sqlite", count, &mut times);
    }
    Ok(())
}

fn print(store: &str, count: u64, times: &mut [f64]) {
    times.sort_by(f64::total_cmp);
    println!("{store:7} {count:6}  {:.4}", times[times.len() / 2]);
}

/// Milliseconds per step of one orchestration, its start and end included.
#[allow(clippy::disallowed_methods, clippy::cast_precision_loss)] // It measures real time.
async fn measure(store: Arc<dyn Store>, count: u64) -> anyhow::Result<f64> {
    let worker = Worker::builder(store).orchestrator(steps).activity(step).start().await?;
    let begin = std::time::Instant::now();
    let sum = worker.client().start(steps(count)).await?.result().await?;
    let elapsed = begin.elapsed();
    ensure!(sum == count * count.saturating_sub(1) / 2, "the sum is wrong: {sum}");
    worker.shutdown().await;
    Ok(elapsed.as_secs_f64() * 1000.0 / count as f64)
}
