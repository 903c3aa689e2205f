use durable::prelude::*;

async fn plain(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration() -> u64 {
    plain(1).await
}

fn main() {
    let _ = orchestration();
}
