use durable::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Half(u64);

#[activity]
async fn work(n: u64) -> Half {
    Half(n)
}

#[orchestrator]
async fn orchestration() -> Result<Half, TaskError> {
    Ok(Half(1))
}

#[orchestrator]
async fn optional() -> Option<Half> {
    None
}

#[derive(Default, Serialize, Deserialize)]
struct Account(u64);

#[entity]
impl Account {
    fn half(&self) -> Half {
        Half(self.0 / 2)
    }
}

fn main() {
    let _ = (orchestration(), optional(), work(1));
}
