use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

static TOTAL: AtomicU64 = AtomicU64::new(0);
static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    TOTAL.fetch_add(1, Ordering::Relaxed);
    NAMES.lock().unwrap().clear();
    let (_, _) = std::sync::mpsc::channel::<u64>();
    work(1).await.unwrap_or(0)
}

fn main() {
    let _ = (orchestration(), work(1));
}
