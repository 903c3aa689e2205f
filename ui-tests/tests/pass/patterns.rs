//! The shapes of the programming model that exist today.

#![deny(warnings, clippy::all, clippy::pedantic)]
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::Duration;

use durable::prelude::*;
use serde::{Deserialize, Serialize};

/// Documented.
#[activity]
pub async fn list_work(unit: ()) -> Vec<u64> {
    let () = unit;
    vec![1, 2, 3]
}

#[activity]
async fn copy_one(n: u64) -> anyhow::Result<u64> {
    Ok(n)
}

/// The body changes a variable only after an await, and in another branch.
#[orchestrator]
pub async fn fan(ctx: &OrchestrationContext, (low, high): (u64, u64)) -> Result<u64, TaskError> {
    const STEP: u64 = 1;
    let mut total = low;
    let parts = list_work(()).await?;
    let sizes: Vec<u64> = try_join_all(parts.into_iter().map(copy_one)).await?;
    for (index, size) in sizes.into_iter().enumerate() {
        if index > 1 {
            total += copy_one(size).await? + STEP;
        }
    }
    let expiry = ctx.now() + Duration::from_secs(high);
    while ctx.now() < expiry {
        if copy_one(total).await? == 0 {
            break;
        }
        ctx.sleep(Duration::from_secs(1)).await;
    }
    Ok(total)
}

#[orchestrator(name = "lookup", version = "2")]
async fn borrows(map: BTreeMap<String, String>, key: String) -> Option<usize> {
    let Some(found) = map.get(&key) else {
        let _ = copy_one(1).await;
        return None;
    };
    Some(found.len())
}

#[orchestrator]
async fn raw(r#type: u64) -> u64 {
    copy_one(r#type).await.map_or(r#type, |n| n + r#type)
}

#[derive(Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

#[entity]
impl Counter {
    fn add(&mut self, amount: i64) -> i64 {
        self.value += amount;
        self.value
    }
}

struct Payments;

#[activity]
impl Payments {
    async fn refund(&self, receipt: String) -> Result<(), std::num::ParseIntError> {
        receipt.parse::<u64>().map(drop)
    }
}

#[orchestrator]
async fn all(ctx: &OrchestrationContext) -> Result<i64, TaskError> {
    Payments::refund("1".to_owned()).await?;
    let counter = ctx.entity::<Counter>("x");
    counter.add(1).signal();
    let total = counter.add(2).await?;
    let _ = counter.state().await?;
    Ok(total)
}

fn main() {
    let _ = (fan((1, 2)), borrows(BTreeMap::new(), String::new()), raw(1), all());
    assert_eq!(fan::state_machine().states.len(), 6);
}
