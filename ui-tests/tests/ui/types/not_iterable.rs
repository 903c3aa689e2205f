use std::collections::HashMap;

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration(items: HashMap<u64, u64>) -> Result<u64, TaskError> {
    let mut sum = 0;
    for (key, value) in items {
        sum += work(key).await? + value;
    }
    Ok(sum)
}

fn main() {
    let _ = (orchestration(HashMap::new()), work(1));
}
