use std::future::ready;

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn value() -> u64 {
    let n = 1_u64;
    n.await
}

#[orchestrator]
async fn future() -> u64 {
    ready(1).await
}

#[orchestrator]
async fn joined() -> Result<u64, TaskError> {
    let (a, _) = join!(work(1), ready(1));
    a
}

#[orchestrator]
async fn spawned(ctx: &OrchestrationContext) -> Result<u64, TaskError> {
    ctx.spawn(join_all(vec![work(1)])).await
}

fn main() {
    let _ = (value(), future(), joined(), spawned(), work(1));
}
