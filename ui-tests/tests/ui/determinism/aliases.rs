use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn orchestration() -> u64 {
    use std::env::var;
    use std::fs as files;
    use std::process::*;
    use std::time::Instant as Clock;
    type Wall = std::time::SystemTime;
    let _ = Clock::now();
    let _ = Wall::now();
    let _ = var("HOME");
    let _ = files::read("file");
    fn helper() {
        let _ = Clock::now();
    }
    helper();
    work(1).await.unwrap_or(0)
}

fn main() {
    let _ = (orchestration(), work(1));
}
