use durable::prelude::*;

#[orchestrator(color = "red")]
async fn orchestration() {}

#[activity(version = "1")]
async fn work() {}

#[activity(name = "")]
async fn unnamed() {}

fn main() {}
