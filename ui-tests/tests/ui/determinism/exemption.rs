use std::time::Instant;

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
#[allow_nondeterminism("everything here")]
async fn whole() -> u64 {
    1
}

#[orchestrator]
async fn orchestration() -> u64 {
    #[allow_nondeterminism]
    let _ = Instant::now();
    #[allow_nondeterminism("")]
    let _ = Instant::now();
    #[allow_nondeterminism("it is only dropped")]
    let _ = Instant::now();
    let _ = Instant::now();
    work(1).await.unwrap_or(0)
}

fn main() {
    let _ = (orchestration(), whole(), work(1));
}
