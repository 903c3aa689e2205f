//! The programs under test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use durable::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("declined: {reason}")]
pub struct Declined {
    pub reason: String,
}

/// Reaches the world outside, which a test does not have.
#[activity]
pub async fn charge(order: u64, cents: u64) -> Result<String, Declined> {
    Err(Declined { reason: format!("no card reader for {order} and {cents}") })
}

#[activity(name = "send-mail")]
pub async fn mail(to: String) -> anyhow::Result<()> {
    anyhow::bail!("no mail server for {to}")
}

/// Real work, which a test can do.
#[activity]
pub async fn add_tax(cents: u64) -> u64 {
    cents + cents / 5
}

pub struct Warehouse {
    pub shelves: u64,
}

#[activity]
impl Warehouse {
    pub async fn reserve(&self, order: u64) -> Result<u64, Declined> {
        Ok(order % self.shelves)
    }

    pub async fn ship(&self, ctx: &ActivityContext, shelf: u64) -> anyhow::Result<String> {
        anyhow::bail!("no truck for shelf {shelf} of {}", ctx.instance_id())
    }
}

#[orchestrator]
pub async fn checkout(order: u64, cents: u64) -> Result<String, TaskError> {
    let total = add_tax(cents).await?;
    charge(order, total).await
}

#[orchestrator]
pub async fn delivery(order: u64) -> Result<String, TaskError> {
    let shelf = Warehouse::reserve(order).await?;
    Warehouse::ship(shelf).await
}

/// Tries a few times.
#[orchestrator]
pub async fn patient(order: u64) -> Result<String, TaskError> {
    let mut declined = 0;
    loop {
        match charge(order, 100).await {
            Err(_) if declined < 5 => declined += 1,
            outcome => return outcome,
        }
    }
}

#[orchestrator]
pub async fn approval(ctx: &OrchestrationContext, to: String) -> Result<String, TaskError> {
    mail(to).await?;
    let answer = ctx.wait_for_event::<String>("answer").timeout(Duration::from_hours(72)).await?;
    Ok(answer.unwrap_or_else(|| "nobody".to_owned()))
}

#[orchestrator]
pub async fn limited(order: u64) -> Result<String, TaskError> {
    match charge(order, 1).timeout(Duration::from_hours(1)).await {
        Err(error) if error.is_timeout() => Ok("too late".to_owned()),
        outcome => outcome,
    }
}

#[orchestrator]
pub async fn naps(ctx: &OrchestrationContext, days: u64, times: u64) -> u64 {
    let mut slept = 0;
    while slept < times {
        ctx.sleep(Duration::from_hours(24 * days)).await;
        slept += 1;
    }
    slept
}

/// What the world outside has seen.
#[derive(Debug, Clone, Default)]
pub struct World(Arc<Mutex<Vec<String>>>);

impl World {
    pub fn see(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Counter {
    value: i64,
}

#[entity]
impl Counter {
    pub fn add(&mut self, amount: i64) -> i64 {
        self.value += amount;
        self.value
    }
}

/// Everything at once: activities, a child, an entity, a timer, an event.
#[orchestrator]
pub async fn busy(ctx: &OrchestrationContext, order: u64) -> Result<String, TaskError> {
    let counter = ctx.entity::<Counter>("orders");
    counter.add(10).signal();
    let parts = try_join_all((1..=3).map(|cents| checkout(order, cents * 100))).await?;
    ctx.sleep(Duration::from_hours(24 * 30)).await;
    let answer = ctx.wait_for_event::<String>("answer").await?;
    Ok(format!("{} {answer} {}", parts.join(" "), counter.add(1).await?))
}

/// The message of the panic that a future ends with.
pub async fn panic_of<T>(future: impl Future<Output = T>) -> String {
    let mut future = std::pin::pin!(future);
    let panic = std::future::poll_fn(|context| {
        let poll = std::panic::AssertUnwindSafe(|| future.as_mut().poll(context));
        match std::panic::catch_unwind(poll) {
            Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
            Ok(std::task::Poll::Ready(_)) => panic!("it does not panic"),
            Err(panic) => std::task::Poll::Ready(panic),
        }
    })
    .await;
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
    }
}
