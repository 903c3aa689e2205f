//! The item exists in spite of an error in its body: callers get no errors of their own.

use durable::Worker;
use durable::prelude::*;
use durable::store::MemoryStore;

#[orchestrator]
async fn orchestration(n: u64) -> Result<u64, TaskError> {
    Ok(n + rand::random::<u64>())
}

#[orchestrator]
async fn caller(ctx: &OrchestrationContext) -> Result<u64, TaskError> {
    let task = ctx.spawn(orchestration(1));
    Ok(orchestration(2).await? + task.await?)
}

fn main() {
    let _ = Worker::builder(MemoryStore::new()).orchestrator(orchestration).orchestrator(caller);
}
