use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration(n: Option<u64>) -> Result<u64, TaskError> {
    match n {
        Some(n) if work(n).await? > 3 => {}
        _ => {}
    }
    if let Some(n) = n
        && work(n).await? > 3
    {
        return Ok(1);
    }
    let (a, b) = join!(work(work(1).await?), work(2));
    Ok(a? + b?)
}

fn main() {
    let _ = (orchestration(None), work(1));
}
