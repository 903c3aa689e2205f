use std::thread;

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration() -> u64 {
    let _ = thread::spawn(|| 1).join();
    let _ = std::thread::current();
    let _ = pool.spawn(|| 1);
    let _ = handle.blocking_recv();
    work(1).await.unwrap_or(0)
}

fn main() {
    let _ = (orchestration(), work(1));
}
