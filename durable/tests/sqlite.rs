//! The worker on a `SQLite` file, with the real clock: restarts find everything.
#![allow(unreachable_pub, missing_docs)] // The programs are written as users write them.
#![allow(clippy::unwrap_used)] // Everything here is a test.

use durable::prelude::*;
use durable::store::SqliteStore;
use durable::{Client, Worker};

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
async fn two_names(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    let first = ctx.wait_for_event::<String>("name").await?;
    let second = ctx.wait_for_event::<String>("name").await?;
    Ok(format!("{first} {second}"))
}

async fn worker(store: &std::sync::Arc<SqliteStore>) -> Worker {
    Worker::builder(store.clone())
        .worker_id("only")
        .orchestrator(chain)
        .orchestrator(two_names)
        .activity(add_one)
        .start()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_outlive_the_worker_and_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    {
        let store = std::sync::Arc::new(SqliteStore::open(&path).await.unwrap());
        let worker = worker(&store).await;
        let client = worker.client();
        let waiting = client.start(two_names().instance_id("a")).await.unwrap();
        waiting.raise_event("name", "Ann".to_owned()).await.unwrap();
        let mut chains = Vec::new();
        for _ in 0..20 {
            chains.push(client.start(chain(10)).await.unwrap());
        }
        for chain in chains {
            assert_eq!(chain.result().await.unwrap(), 10);
        }
        worker.shutdown().await;
    }
    let store = std::sync::Arc::new(SqliteStore::open(&path).await.unwrap());
    let worker = worker(&store).await;
    let stranger = Client::new(store.clone());
    let waiting = stranger.orchestration::<String>("a");
    waiting.raise_event("name", "Bob".to_owned()).await.unwrap();
    assert_eq!(waiting.result().await.unwrap(), "Ann Bob");
    worker.shutdown().await;
}
