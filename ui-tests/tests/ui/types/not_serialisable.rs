use durable::prelude::*;

struct Plain(u64);

#[activity]
async fn work(n: Plain) -> u64 {
    n.0
}

fn main() {
    let _ = work(Plain(1));
}
