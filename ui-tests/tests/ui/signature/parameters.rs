use durable::prelude::*;

#[orchestrator]
async fn orchestration(ctx: &OrchestrationContext, name: &str, items: &[u64]) -> u64 {
    1
}

#[activity]
async fn work(order: impl Into<String>) -> u64 {
    1
}

#[activity]
async fn method(&self) -> u64 {
    1
}

fn main() {}
