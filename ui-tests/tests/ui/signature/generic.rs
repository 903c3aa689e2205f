use durable::prelude::*;

#[orchestrator]
async fn orchestration<T>(n: u64) -> u64 {
    n
}

#[activity]
async fn work() -> &'static str {
    "borrowed"
}

fn main() {}
