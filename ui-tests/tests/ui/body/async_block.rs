use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration() -> u64 {
    let later = async { 1 };
    drop(later);
    let closure = async || 2;
    drop(closure);
    1
}

fn main() {
    let _ = (orchestration(), work(1));
}
