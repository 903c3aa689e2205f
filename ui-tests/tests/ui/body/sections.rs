//! A critical section lasts as long as the variable that holds it, so that variable stays where it is.


use durable::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Counter(i64);

#[entity]
impl Counter {
    fn add(&mut self, amount: i64) {
        self.0 += amount;
    }
}

#[orchestrator]
async fn moved(ctx: &OrchestrationContext) -> Result<(), TaskError> {
    let counter = ctx.entity::<Counter>("c");
    let guard = ctx.lock(counter.id()).await;
    let other = guard;
    counter.add(1).await
}

#[orchestrator]
async fn hidden(ctx: &OrchestrationContext) -> Result<(), TaskError> {
    let counter = ctx.entity::<Counter>("c");
    let guard = Some(ctx.lock(counter.id()).await);
    counter.add(1).await
}

#[orchestrator]
async fn taken_apart(ctx: &OrchestrationContext) -> Result<(), TaskError> {
    let counter = ctx.entity::<Counter>("c");
    let limit = std::time::Duration::from_secs(1);
    if let Ok(_guard) = ctx.lock(counter.id()).timeout(limit).await {
        counter.add(1).await?;
    }
    Ok(())
}

#[orchestrator]
async fn in_branches(ctx: &OrchestrationContext) -> Result<(), TaskError> {
    let counter = ctx.entity::<Counter>("c");
    join!(
        async {
            let _guard = ctx.lock(counter.id()).await;
        },
        async {}
    );
    Ok(())
}

#[orchestrator]
async fn shadowed(ctx: &OrchestrationContext) -> Result<(), TaskError> {
    let counter = ctx.entity::<Counter>("c");
    let guard = ctx.lock(counter.id()).await;
    counter.add(1).await?;
    let guard = 5;
    counter.add(guard).await
}

#[orchestrator]
async fn not_entities(ctx: &OrchestrationContext) -> Result<(), TaskError> {
    let _guard = ctx.lock("counter").await;
    Ok(())
}

fn main() {}
