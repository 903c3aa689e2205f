use std::thread;
use std::time::Duration;

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration() -> u64 {
    thread::sleep(Duration::from_secs(1));
    std::thread::sleep(Duration::from_secs(1));
    std::hint::spin_loop();
    work(1).await.unwrap_or(0)
}

fn main() {
    let _ = (orchestration(), work(1));
}
