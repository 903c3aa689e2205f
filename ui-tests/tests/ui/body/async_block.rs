use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

macro_rules! bail {
    ($message:expr) => {
        return Err($message)
    };
}

#[orchestrator]
async fn orchestration() -> u64 {
    let later = async { 1 };
    let closure = async |n: u64| n;
    let _ = (later, closure);
    1
}

#[orchestrator]
async fn many(ns: Vec<u64>) -> Vec<u64> {
    join_all(ns.into_iter().map(|n| async move { n })).await
}

#[orchestrator]
async fn hidden_return() -> u64 {
    let (first, _) = join!(
        async {
            if work(1).await.is_err() {
                bail!(2);
            }
            Ok::<u64, u64>(1)
        },
        work(2),
    );
    first.unwrap_or(0)
}

fn main() {
    let _ = (orchestration(), many(Vec::new()), hidden_return(), work(1));
}
