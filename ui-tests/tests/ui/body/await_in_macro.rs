use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration() -> Result<String, TaskError> {
    Ok(format!("{}", work(1).await?))
}

fn main() {
    let _ = (orchestration(), work(1));
}
