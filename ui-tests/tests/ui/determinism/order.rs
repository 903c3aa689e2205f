use std::collections::{HashMap, HashSet};

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration(
    ctx: &OrchestrationContext,
    counts: HashMap<String, u64>,
) -> Result<u64, TaskError> {
    for (name, count) in &counts {
        ctx.send_event(name, "count", count);
    }
    let distinct = counts.values().copied().collect::<HashSet<_>>();
    join_all(distinct.into_iter().map(work)).await;
    let mut sum = 0;
    for (_, count) in counts {
        sum += work(count).await?;
    }
    Ok(sum)
}

fn main() {
    let _ = (orchestration(HashMap::new()), work(1));
}
