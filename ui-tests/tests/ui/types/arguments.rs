use durable::prelude::*;
use serde::{Deserialize, Serialize};

struct Plain(u64);

#[activity]
async fn work(n: Plain) -> u64 {
    n.0
}

#[orchestrator]
async fn orchestration(n: u64, list: Vec<Plain>) -> Result<u64, TaskError> {
    Ok(n + list.len() as u64)
}

struct Host;

#[activity]
impl Host {
    async fn method(&self, n: Plain) -> u64 {
        n.0
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Account(u64);

#[entity]
impl Account {
    fn add(&mut self, n: Plain) {
        self.0 += n.0;
    }
}

fn main() {
    let _ = (orchestration(1, Vec::new()), work(Plain(1)), Host::method(Plain(1)));
}
