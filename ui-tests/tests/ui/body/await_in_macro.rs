use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

macro_rules! twice {
    ($value:expr) => {
        $value + $value
    };
}

#[orchestrator]
async fn own_macro() -> Result<u64, TaskError> {
    Ok(twice!(work(1).await?))
}

#[orchestrator]
async fn message(n: u64) -> Result<u64, TaskError> {
    assert!(n > 0, "the answer is {}", work(n).await?);
    Ok(n)
}

fn main() {
    let _ = (own_macro(), message(1), work(1));
}
