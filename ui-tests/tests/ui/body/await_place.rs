use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

fn place(sums: &mut [u64]) -> &mut u64 {
    &mut sums[0]
}

#[orchestrator]
async fn compound(mut sums: Vec<u64>) -> Result<u64, TaskError> {
    *place(&mut sums) += work(1).await?;
    Ok(sums[0])
}

#[orchestrator]
async fn nothing_to_join() -> u64 {
    join!();
    1
}

#[orchestrator]
async fn constant() -> Result<u64, TaskError> {
    Ok(unsafe { work(1).await? })
}

fn main() {
    let _ = (compound(Vec::new()), nothing_to_join(), constant(), work(1));
}
