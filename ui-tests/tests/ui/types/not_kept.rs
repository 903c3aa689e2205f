use durable::prelude::*;

struct Handle(u64);

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration() -> Result<u64, TaskError> {
    let handle = Handle(1);
    work(1).await?;
    Ok(handle.0)
}

fn main() {
    let _ = (orchestration(), work(1));
}
