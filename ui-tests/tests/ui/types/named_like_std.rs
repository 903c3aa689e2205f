use durable::prelude::*;
use serde::{Deserialize, Serialize};

mod mine {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub struct Result(u64);

    #[derive(Serialize, Deserialize)]
    pub struct Option(u64);
}

#[activity]
async fn work() -> mine::Result {
    unimplemented!()
}

#[orchestrator]
async fn orchestration() -> mine::Option {
    unimplemented!()
}

fn main() {
    let _ = (orchestration(), work());
}
