use durable::prelude::*;

macro_rules! skip {
    () => {
        continue
    };
}

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration(items: Vec<u64>) -> Result<(), TaskError> {
    for item in items {
        if work(item).await? > 3 {
            skip!();
        }
        work(item).await?;
    }
    Ok(())
}

fn main() {
    let _ = (orchestration(vec![]), work(1));
}
