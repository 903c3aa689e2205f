use std::collections::HashMap;

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

fn items() -> HashMap<u64, u64> {
    HashMap::from([(1, 2)])
}

#[orchestrator]
async fn orchestration() -> Result<u64, TaskError> {
    let mut sum = 0;
    for (key, value) in items() {
        sum += work(key).await? + value;
    }
    Ok(sum)
}

fn main() {
    let _ = (orchestration(), work(1));
}
