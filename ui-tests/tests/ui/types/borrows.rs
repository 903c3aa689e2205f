use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration(names: Vec<String>) -> Result<usize, TaskError> {
    let first = &names[0];
    work(1).await?;
    Ok(first.len())
}

fn main() {
    let _ = (orchestration(Vec::new()), work(1));
}
