//! Aggregator: an entity counts clicks that several tasks signal at the same time. The sum is
//! exact, because operations of one entity run one at a time and each exactly once in its effect.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;
use durable::Worker;
use durable::prelude::*;
use durable::store::SqliteStore;
use examples::Progress;
use serde::{Deserialize, Serialize};

/// Feeds a counter from several tasks at once.
#[derive(Parser)]
struct Options {
    /// The database; it is created if it does not exist.
    #[arg(long, default_value = "counter.db")]
    db: PathBuf,
    /// How many tasks send signals.
    #[arg(long, default_value_t = 8)]
    tasks: i64,
    /// How many signals each task sends.
    #[arg(long, default_value_t = 250)]
    signals: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

#[entity]
impl Counter {
    fn add(&mut self, amount: i64) -> i64 {
        self.value += amount;
        self.value
    }

    fn get(&self) -> i64 {
        self.value
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    examples::show_warnings();
    let store = SqliteStore::open(&options.db)
        .await
        .with_context(|| format!("opening {}", options.db.display()))?;
    let worker = Worker::builder(store).entity::<Counter>().start().await?;
    let client = worker.client();
    let clicks = client.entity::<Counter>("clicks");
    // A call, because it stands behind the signals that an earlier run has left.
    let before = clicks.get().await?;
    println!("clicks before: {before}");

    let total = options.tasks * options.signals;
    let (sent, mut received) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = Vec::new();
    for task in 0..options.tasks {
        let (clicks, sent) = (client.entity::<Counter>("clicks"), sent.clone());
        tasks.push(tokio::spawn(async move {
            for n in 0..options.signals {
                clicks.add(1 + (task + n) % 3).signal().await?;
                // Nobody listens any more only if the program is ending.
                let _ = sent.send(1 + (task + n) % 3);
            }
            anyhow::Ok(())
        }));
    }
    drop(sent);
    let progress = Progress::new("signals", u64::try_from(total)?, 0);
    let (mut count, mut sum) = (0, 0);
    while let Some(amount) = received.recv().await {
        count += 1;
        sum += amount;
        progress.set(count);
    }
    progress.finish();
    for task in tasks {
        task.await??;
    }

    // The call stands behind every signal in the entity's inbox, so it sees all of them.
    let after = clicks.get().await?;
    println!("clicks after:  {after}, {sum} more in {total} signals");
    ensure!(after - before == sum, "expected {} clicks, found {after}", before + sum);
    worker.shutdown().await;
    Ok(())
}
