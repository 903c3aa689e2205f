use durable::prelude::*;

#[orchestrator]
fn orchestration(n: u64) -> u64 {
    n
}

#[activity]
fn work(n: u64) -> u64 {
    n
}

fn main() {
    // The items exist all the same, so there is one message each.
    let _ = (orchestration(1), work(1));
}
