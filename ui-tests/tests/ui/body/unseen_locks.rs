//! A lock that is asked for where the compiler does not see it would end at once.

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

fn request(ctx: &OrchestrationContext) -> durable::LockRequest {
    ctx.lock(ctx.entity::<Counter>("c").id())
}

#[orchestrator]
async fn by_helper(ctx: &OrchestrationContext) -> Result<(), TaskError> {
    let _guard = request(ctx).await;
    ctx.entity::<Counter>("c").add(1).await
}

#[orchestrator]
async fn by_path(ctx: &OrchestrationContext) -> Result<(), TaskError> {
    let counter = ctx.entity::<Counter>("c");
    let _guard = OrchestrationContext::lock(ctx, counter.id()).await;
    counter.add(1).await
}

#[orchestrator]
async fn by_parentheses(ctx: &OrchestrationContext) -> Result<(), TaskError> {
    let counter = ctx.entity::<Counter>("c");
    let _guard = (ctx).lock(counter.id()).await;
    counter.add(1).await
}

fn main() {}
