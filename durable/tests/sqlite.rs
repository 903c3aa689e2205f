//! The worker on a `SQLite` file, with the real clock: restarts find everything, and the death of
//! another process is seen.
#![allow(unreachable_pub, missing_docs)] // The programs are written as users write them.
#![allow(clippy::unwrap_used)] // Everything here is a test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use durable::prelude::*;
use durable::store::{SqliteStore, Store};
use durable::{Client, Clock, SystemClock, Timestamp, Worker};

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

const HUB: &str = "DURABLE_TEST_HUB";
/// Longer than any test.
const LONG_LEASE: Duration = Duration::from_hours(1);

async fn patient_worker(path: &Path, id: &str) -> (SqliteStore, Worker) {
    let store = SqliteStore::open(path).await.unwrap();
    let builder = Worker::builder(store.clone()).worker_id(id).lease_length(LONG_LEASE);
    let worker = builder.orchestrator(chain).activity(add_one).start().await.unwrap();
    (store, worker)
}

/// Not a test of its own: the process that is killed.
#[tokio::test]
#[ignore = "run by a_worker_that_waits_sees_the_death_of_another_process"]
async fn worker_process() {
    let Some(path) = std::env::var_os(HUB) else { return };
    let _worker = patient_worker(Path::new(&path), "first").await;
    println!("\nready");
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_waits_sees_the_death_of_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    let mut first = Command::new(std::env::current_exe().unwrap())
        .args(["worker_process", "--exact", "--ignored", "--nocapture"])
        .env(HUB, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"));
    let (store, second) = patient_worker(&path, "second").await;
    let handle = Client::new(store.clone()).start(chain(5)).await.unwrap();
    let alive = async || {
        let peers = store.check_in("observer", SystemClock.now(), Timestamp::MIN).await.unwrap();
        peers.into_iter().map(|peer| (peer.worker, peer.partitions)).collect::<Vec<_>>()
    };
    assert_eq!(alive().await, [("first".to_owned(), 4), ("second".to_owned(), 0)]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(alive().await, [("second".to_owned(), 0)]);
    let result = tokio::time::timeout(Duration::from_mins(1), handle.result()).await;
    assert_eq!(result.unwrap().unwrap(), 5);
    second.shutdown().await;
}
