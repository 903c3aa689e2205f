//! Every feature of the macros, in code without a warning under strict lints. What the macros make
//! of it must have none either.

#![forbid(unsafe_code)]
#![deny(
    warnings,
    clippy::all,
    clippy::pedantic,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub
)]

use std::collections::BTreeMap;
use std::time::Duration;

use durable::Event;
use durable::prelude::*;
use serde::{Deserialize, Serialize};

/// An approval.
pub const APPROVAL: Event<bool> = Event::new("approval");

/// What is ordered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// Its number.
    pub id: u64,
    /// What is in it.
    pub items: Vec<String>,
}

/// An error of this program.
#[derive(Debug)]
pub struct OutOfStock;

impl std::fmt::Display for OutOfStock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("out of stock")
    }
}

impl std::error::Error for OutOfStock {}

/// The price of an item.
#[activity]
pub async fn price(item: String) -> u64 {
    item.len() as u64
}

/// Reserves an item.
///
/// # Errors
/// If there is none left.
#[activity(name = "reserve-item")]
pub async fn reserve(ctx: &ActivityContext, item: String, count: u32) -> Result<u64, OutOfStock> {
    if item.is_empty() || ctx.attempt() > 3 {
        return Err(OutOfStock);
    }
    Ok(u64::from(count))
}

#[activity]
async fn log_line() {}

#[activity]
pub(crate) async fn maybe(n: u64) -> Option<u64> {
    (n > 1).then_some(n)
}

/// Sends mail.
#[derive(Debug)]
pub struct Mailer {
    sender: String,
}

#[activity]
impl Mailer {
    /// A mailer.
    #[must_use]
    pub fn new(sender: String) -> Self {
        Self { sender }
    }

    /// Sends one mail.
    pub async fn send(&self, to: String, text: String) -> usize {
        self.sender.len() + to.len() + text.len()
    }

    #[activity(name = "ping-mailer")]
    async fn ping(&self, ctx: &ActivityContext) -> Result<String, OutOfStock> {
        Ok(ctx.name().to_owned())
    }
}

/// Counts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Counter {
    count: i64,
}

#[entity]
impl Counter {
    /// Adds to the count.
    pub fn add(&mut self, n: i64) {
        self.count += n;
    }

    /// The count.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.count
    }

    /// Takes from the count.
    ///
    /// # Errors
    /// If it would be below zero.
    pub fn take(&mut self, ctx: &EntityContext, n: i64) -> Result<i64, OutOfStock> {
        if self.count < n || ctx.key().is_empty() {
            return Err(OutOfStock);
        }
        self.count -= n;
        Ok(self.count)
    }
}

/// Joined calls, loops, matches and early exits.
///
/// # Errors
/// If a call fails.
#[orchestrator(name = "order", version = "2")]
pub async fn process(ctx: &OrchestrationContext, order: Order) -> Result<u64, TaskError> {
    let mut total = 0;
    for item in order.items.clone() {
        if item.is_empty() {
            continue;
        }
        let amount = price(item.clone()).await?;
        let reserved = match reserve(item, 2).await {
            Ok(reserved) => reserved,
            Err(error) if total > 100 => return Err(error),
            Err(_) => {
                log_line().await?;
                0
            }
        };
        total += amount * reserved;
    }
    let (a, b) = join!(price("a".to_owned()), price("b".to_owned()));
    let (c, d) = try_join!(price("c".to_owned()), reserve("d".to_owned(), 1))?;
    total += a.unwrap_or_default() + b.unwrap_or_default() + c + d;
    let all = try_join_all(order.items.into_iter().map(price)).await?;
    total += all.iter().sum::<u64>();
    let mut tries = 0;
    let approved = loop {
        tries += 1;
        if ctx.wait_for_event(APPROVAL).await? || tries > 3 {
            break tries;
        }
        ctx.sleep(Duration::from_mins(1)).await;
    };
    let counter = ctx.entity::<Counter>("orders");
    counter.add(1).signal();
    let Some(found) = maybe(total).await? else {
        return Ok(approved);
    };
    while total > found {
        total -= 1;
        log_line().await?;
    }
    if let Ok(left) = counter.take(1).await {
        total += left.unsigned_abs();
    }
    ctx.set_custom_status(total);
    let task = ctx.spawn(child(total, (1, 2)));
    let result = task.await?;
    Ok(result.unwrap_or(total))
}

/// A child with a pattern for a parameter.
#[orchestrator]
pub async fn child(mut n: u64, (a, b): (u64, u64)) -> Option<u64> {
    n += price("child".to_owned()).await.ok()?;
    Some(n + a + b)
}

/// Gives nothing.
#[orchestrator]
pub async fn nothing() {}

/// Scopes, shadowing, blocks and values of every kind.
///
/// # Errors
/// If a call fails.
#[orchestrator]
async fn scopes(n: u64) -> Result<BTreeMap<u64, String>, TaskError> {
    let mut found = BTreeMap::new();
    'outer: for i in 0..n {
        let text = {
            let text = i.to_string();
            let length = price(text.clone()).await?;
            format!("{text}{length}")
        };
        for (j, letter) in text.chars().collect::<Vec<_>>().into_iter().enumerate() {
            let value = price(letter.to_string()).await? + j as u64;
            match value {
                0 => continue 'outer,
                1..=5 => {
                    found.insert(value, text.clone());
                }
                _ => break 'outer,
            }
        }
    }
    Ok(found)
}

/// A fee.
#[deterministic]
#[must_use]
pub fn fee(total: u64) -> u64 {
    total / 100
}

/// Keeps the private items in use.
#[must_use]
pub fn used() -> impl std::fmt::Debug {
    (scopes(1), log_line(), maybe(1), Mailer::ping(), process::state_machine())
}
