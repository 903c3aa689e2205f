use durable::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Counter(i64);

#[entity]
impl Counter {
    fn state(&self) -> i64 {
        self.0
    }

    fn id(&self) -> i64 {
        self.0
    }

    fn eat(self) {}
}

fn main() {}
