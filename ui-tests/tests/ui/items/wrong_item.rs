use durable::prelude::*;

#[orchestrator]
struct Thing;

#[activity]
enum Other {}

#[entity]
fn operation() {}

fn main() {}
