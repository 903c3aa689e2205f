use std::env;

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration() -> u64 {
    let _ = env::var("HOME");
    for name in std::env::args() {
        work(name.len() as u64).await.unwrap_or(0);
    }
    work(1).await.unwrap_or(0)
}

fn main() {
    let _ = (orchestration(), work(1));
}
