//! Entities never wait for each other: they signal, and let orchestrations call.

use durable::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Counter(i64);

#[entity]
impl Counter {
    fn get(&self) -> i64 {
        self.0
    }

    async fn copy(&mut self, ctx: &EntityContext, from: String) {
        self.0 = ctx.entity::<Counter>(from).get().await;
    }

    async fn allowed(&mut self, ctx: &EntityContext, from: String) {
        ctx.entity::<Counter>(from).copy("x".to_owned()).signal();
    }
}

fn main() {}
