//! What the benchmark runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use durable::prelude::*;
use serde::{Deserialize, Serialize};

/// Does nothing.
#[activity]
async fn nothing(n: u64) -> u64 {
    n
}

/// So many activities, one after the other.
#[orchestrator]
pub(crate) async fn chain(steps: u64) -> Result<u64, TaskError> {
    let mut sum = 0;
    for n in 0..steps {
        sum += nothing(n).await?;
    }
    Ok(sum)
}

/// So many activities at once.
#[orchestrator]
pub(crate) async fn fan_out(width: u64) -> Result<u64, TaskError> {
    let all = try_join_all((0..width).map(nothing)).await?;
    Ok(all.into_iter().sum())
}

/// Takes so many milliseconds.
#[activity]
async fn pause(n: u64, millis: u64) -> u64 {
    #[allow(clippy::disallowed_methods)] // An activity may wait as it likes.
    tokio::time::sleep(Duration::from_millis(millis)).await;
    n
}

/// So many activities at once that each take a while.
#[orchestrator]
pub(crate) async fn slow_fan_out(width: u64, millis: u64) -> Result<u64, TaskError> {
    let all = try_join_all((0..width).map(|n| pause(n, millis))).await?;
    Ok(all.into_iter().sum())
}

/// Lets the last step of [`deep`] pass, or holds it until its worker is gone.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub(crate) is_open: bool,
    /// How many have come to it.
    pub(crate) waiting: Arc<AtomicU64>,
}

#[activity]
async fn gate(ctx: &ActivityContext) -> anyhow::Result<()> {
    let gate = ctx.data::<Gate>()?;
    gate.waiting.fetch_add(1, Ordering::Relaxed);
    if !gate.is_open {
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// So many steps, one more that may be held, and as many again.
#[orchestrator]
pub(crate) async fn deep(steps: u64) -> Result<u64, TaskError> {
    let mut sum = 0;
    for n in 0..steps {
        sum += nothing(n).await?;
    }
    gate().await?;
    for n in 0..steps {
        sum += nothing(n).await?;
    }
    Ok(sum)
}

/// Sleeps for a second.
#[orchestrator]
pub(crate) async fn nap(ctx: &OrchestrationContext) {
    ctx.sleep(Duration::from_secs(1)).await;
}

/// Waits for an event.
#[orchestrator]
pub(crate) async fn parked(ctx: &OrchestrationContext) -> Result<u64, TaskError> {
    ctx.wait_for_event::<u64>("go").await
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counter {
    value: u64,
}

#[entity]
impl Counter {
    pub(crate) fn add(&mut self, amount: u64) -> u64 {
        self.value += amount;
        self.value
    }
}

/// Everything that a worker of the benchmark runs.
pub(crate) fn register(builder: durable::WorkerBuilder) -> durable::WorkerBuilder {
    builder
        .orchestrator(chain)
        .orchestrator(fan_out)
        .orchestrator(slow_fan_out)
        .orchestrator(nap)
        .orchestrator(deep)
        .orchestrator(parked)
        .activity(nothing)
        .activity(pause)
        .activity(gate)
        .entity::<Counter>()
}
