use durable::prelude::*;
use serde::{Deserialize, Serialize};

type Outcome<T> = Result<T, String>;

#[activity]
async fn work(n: u64) -> Outcome<u64> {
    Ok(n)
}

#[orchestrator]
async fn orchestration() -> Outcome<u64> {
    Ok(1)
}

#[derive(Default, Serialize, Deserialize)]
struct Account(i64);

#[entity]
impl Account {
    fn take(&mut self, n: i64) -> Outcome<i64> {
        self.0 -= n;
        Ok(self.0)
    }
}

fn main() {
    let _ = (orchestration(), work(1));
}
