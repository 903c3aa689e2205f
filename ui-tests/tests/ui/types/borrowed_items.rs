use durable::prelude::*;

#[activity]
async fn work(n: String) -> usize {
    n.len()
}

#[orchestrator]
async fn orchestration() -> Result<usize, TaskError> {
    let mut sum = 0;
    for name in ["a", "b"] {
        sum += work(name.to_owned()).await?;
    }
    Ok(sum)
}

fn main() {
    let _ = (orchestration(), work(String::new()));
}
