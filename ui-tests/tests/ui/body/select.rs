use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn no_arrow() -> Result<u64, TaskError> {
    select! {
        value = work(1), value?
    }
}

#[orchestrator]
async fn not_last() -> Result<u64, TaskError> {
    select! {
        else => Ok(1),
        value = work(1) => value,
    }
}

#[orchestrator]
async fn not_durable() -> u64 {
    select! {
        value = work(1) => value.unwrap_or(0),
        value = std::future::ready(2) => value,
    }
}

fn main() {
    let _ = (no_arrow(), not_last(), not_durable(), work(1));
}
