use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn not_a_result() -> u64 {
    let (first, _) = join!(
        async {
            let n = 5_u64?;
            work(n).await
        },
        work(2),
    );
    first.unwrap_or(0)
}

#[orchestrator]
async fn another_error() -> u64 {
    let (first, _) = join!(
        async {
            let n = work(1).await?;
            Ok::<u64, String>(n)
        },
        work(2),
    );
    first.unwrap_or(0)
}

#[orchestrator]
async fn plain_value() -> u64 {
    let (first, _) = join!(
        async {
            let n = work(1).await?;
            n + 1
        },
        work(2),
    );
    first
}

fn main() {
    let _ = (not_a_result(), another_error(), plain_value(), work(1));
}
