//! The application patterns of the original that are written in plain Rust here: a monitor, a
//! question to a person, a saga.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use durable::prelude::*;
use durable::{HistoryEvent, Status, Worker};

use crate::world::*;

const HOUR: Duration = Duration::from_hours(1);

/// Looks again and again until it works, at growing distances, but not for ever.
#[orchestrator]
async fn monitor(ctx: &OrchestrationContext, name: String) -> Result<Option<u32>, TaskError> {
    let expiry = ctx.now() + HOUR * 24;
    let mut interval = HOUR;
    let mut looks = 0;
    while ctx.now() < expiry {
        looks += 1;
        if work(name.clone()).await.is_ok() {
            return Ok(Some(looks));
        }
        ctx.set_custom_status(looks);
        ctx.sleep(interval).await;
        interval = (interval * 2).min(HOUR * 6);
    }
    Ok(None)
}

/// Asks a person, and somebody else if there is no answer.
#[orchestrator]
async fn approval(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    work("question".to_owned()).await?;
    ctx.set_custom_status("asked");
    select! {
        approved = ctx.wait_for_event::<bool>("Approval") => Ok(format!("approved: {}", approved?)),
        _ = ctx.sleep(HOUR * 72) => work("escalation".to_owned()).await,
    }
}

/// Does several things, and takes back what it did if one of them fails.
#[orchestrator]
async fn saga(names: Vec<String>) -> Result<Vec<String>, TaskError> {
    let mut done: Vec<String> = Vec::new();
    for name in names {
        if work(name.clone()).await.is_err() {
            while let Some(name) = done.pop() {
                work(format!("undo {name}")).await?;
            }
            break;
        }
        done.push(name);
    }
    Ok(done)
}

/// Writes a line to the log in each turn.
#[orchestrator]
async fn logs(steps: u32) -> Result<u32, TaskError> {
    for step in 0..steps {
        tracing::info!(target: "program", step, "a step");
        work("step".to_owned()).await?;
    }
    Ok(steps)
}

async fn worker(world: &World) -> Worker {
    world
        .builder()
        .orchestrator(monitor)
        .orchestrator(approval)
        .orchestrator(saga)
        .orchestrator(logs)
        .check_determinism(true)
        .start()
        .await
        .unwrap()
}

/// Counts what orchestrators log.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<AtomicUsize>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "program"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

on_every_store! {
    async fn a_monitor_looks_until_it_works_or_its_time_is_over(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        for name in ["soon", "never"] {
            world.machines.break_down(name);
        }
        let soon = client.start(monitor("soon".to_owned())).await.unwrap();
        let never = client.start(monitor("never".to_owned())).await.unwrap();
        for look in 1..=3 {
            world.until_says(&soon, &look.to_string()).await;
            world.until_says(&never, &look.to_string()).await;
            if look == 3 {
                world.machines.repair("soon");
            }
            world.clock.advance(HOUR * 6);
        }
        assert_eq!(world.drive(soon.result()).await.unwrap(), Some(4));
        world.until_says(&never, "4").await;
        world.clock.advance(HOUR * 6);
        assert_eq!(world.drive(never.result()).await.unwrap(), None);
    }

    async fn a_person_is_asked_and_then_another(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let answered = client.start(approval()).await.unwrap();
        let silent = client.start(approval()).await.unwrap();
        for handle in [&answered, &silent] {
            world.until_says(handle, "\"asked\"").await;
        }
        world.clock.advance(HOUR * 71);
        answered.raise_event("Approval", true).await.unwrap();
        assert_eq!(world.drive(answered.result()).await.unwrap(), "approved: true");
        assert_eq!(silent.status().await.unwrap().status, Status::Running);
        world.clock.advance(HOUR);
        assert_eq!(world.drive(silent.result()).await.unwrap(), "escalation");
        // The timer of the one that was answered is gone.
        let events = world.events(&answered).await;
        assert!(events.iter().any(|event| matches!(event, HistoryEvent::TimerCancelled { .. })));
        worker.shutdown().await;
        assert!(world.scheduled().await.is_empty());
    }

    async fn a_saga_takes_back_what_it_did(world: World) {
        let worker = worker(&world).await;
        world.machines.break_down("car");
        let names = named(&["flight", "hotel", "car", "boat"]);
        let handle = worker.client().start(saga(names)).await.unwrap();
        assert!(world.drive(handle.result()).await.unwrap().is_empty());
        let tries = ["undo flight", "undo hotel", "undo car", "boat"];
        assert_eq!(tries.map(|name| world.machines.tries(name)), [1, 1, 0, 0]);
    }

    async fn a_log_line_is_written_once(world: World) {
        let lines = Lines::default();
        let guard = tracing::subscriber::set_default(lines.clone());
        let worker = worker(&world).await;
        let handle = worker.client().start(logs(5)).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), 5);
        drop(guard);
        // Nothing is replayed, and the second run of the check of determinism is silent.
        assert_eq!(lines.0.load(Ordering::Relaxed), 5);
    }
}
