use std::time::{Instant, SystemTime};

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration() -> u64 {
    let begin = Instant::now();
    let _ = begin.elapsed();
    let _ = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let _ = [1, 2].map(|_| Instant::now());
    let _ = format!("{:?}", ::std::time::Instant::now());
    work(1).await.unwrap_or(0)
}

fn main() {
    let _ = (orchestration(), work(1));
}
