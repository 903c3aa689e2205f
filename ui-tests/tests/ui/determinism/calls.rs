use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration() -> u64 {
    let begin = std::time::Instant::now();
    let _ = begin.elapsed();
    std::thread::sleep(std::time::Duration::from_secs(1));
    let _ = std::env::var("HOME");
    let _ = std::fs::read("file");
    println!("done");
    work(1).await.unwrap_or(0)
}

fn main() {
    let _ = (orchestration(), work(1));
}
