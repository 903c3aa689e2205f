use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration() -> u64 {
    use std::collections::hash_map::RandomState;
    let _ = RandomState::new();
    let _ = rand::random::<u64>();
    let _ = Uuid::new_v4();
    work(1).await.unwrap_or(0)
}

fn main() {
    let _ = (orchestration(), work(1));
}
