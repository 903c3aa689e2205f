//! What is too large or cannot be saved: it fails where it belongs, and says the limit.

use durable::prelude::*;
use durable::{Failure, HistoryEvent, MAX_CUSTOM_STATUS_BYTES, Status, Worker};
use serde::{Deserialize, Serialize};

use crate::world::*;

/// Over the limit of 16 MiB.
const TOO_LARGE: usize = 17 * 1024 * 1024;

/// Says these things about itself, each in a turn of its own.
#[orchestrator]
async fn says(ctx: &OrchestrationContext) -> Result<(), TaskError> {
    ctx.set_custom_status("never seen");
    ctx.set_custom_status("first");
    ctx.wait_for_event::<()>("go").await?;
    ctx.set_custom_status(());
    ctx.wait_for_event::<()>("go").await?;
    // With its two quotes it has exactly the most bytes.
    ctx.set_custom_status("x".repeat(MAX_CUSTOM_STATUS_BYTES - 2));
    ctx.wait_for_event::<()>("go").await?;
    ctx.set_custom_status("x".repeat(MAX_CUSTOM_STATUS_BYTES - 1));
    Ok(())
}

/// What refuses to be written.
#[derive(Debug, Deserialize)]
pub struct Unsayable;

impl Serialize for Unsayable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it has no words"))
    }
}

#[activity]
async fn finds_unsayable() -> Unsayable {
    Unsayable
}

#[activity]
async fn finds_much(size: usize) -> String {
    "x".repeat(size)
}

#[orchestrator]
async fn returns_unsayable() -> Unsayable {
    Unsayable
}

#[orchestrator]
async fn returns_much(size: usize) -> String {
    "x".repeat(size)
}

/// The outcomes of calls that cannot be made, or give what cannot be kept.
#[orchestrator]
async fn tries(size: usize) -> Result<Vec<String>, TaskError> {
    let mut told = Vec::new();
    if let Err(error) = finds_unsayable().await {
        told.push(format!("{:?} {error}", error.kind()));
    }
    if let Err(error) = finds_much(size).await {
        told.push(format!("{:?} {error}", error.kind()));
    }
    if let Err(error) = work("x".repeat(size)).await {
        told.push(format!("{:?} {error}", error.kind()));
    }
    if let Err(error) = returns_much(size).await {
        told.push(format!("{:?} {error}", error.kind()));
    }
    Ok(told)
}

/// Does too much at once.
#[orchestrator]
async fn floods(ctx: &OrchestrationContext, count: usize) -> Result<(), TaskError> {
    ctx.set_custom_status("flooding");
    ctx.wait_for_event::<()>("go").await?;
    ctx.set_custom_status("never seen");
    let mut sent = 0;
    while sent < count {
        ctx.send_event("nobody", "drop", sent);
        sent += 1;
    }
    Ok(())
}

async fn worker(world: &World) -> Worker {
    world
        .builder()
        .orchestrator(says)
        .orchestrator(returns_unsayable)
        .orchestrator(returns_much)
        .orchestrator(tries)
        .orchestrator(floods)
        .activity(finds_unsayable)
        .activity(finds_much)
        .start()
        .await
        .unwrap()
}

on_every_store! {
    async fn the_last_custom_status_of_a_turn_is_seen_and_has_a_limit(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(says()).await.unwrap();
        world.until_says(&handle, "\"first\"").await;
        // It is cleared with nothing.
        handle.raise_event("go", ()).await.unwrap();
        world.until_says(&handle, "null").await;
        handle.raise_event("go", ()).await.unwrap();
        let longest = format!("\"{}\"", "x".repeat(MAX_CUSTOM_STATUS_BYTES - 2));
        world.until_says(&handle, &longest).await;
        handle.raise_event("go", ()).await.unwrap();
        let failure = world.failure(&handle).await;
        assert!(failure.contains("16385 bytes, the limit is 16384"), "{failure}");
        // What was said before it failed stays.
        let status = handle.status().await.unwrap();
        assert_eq!(status.custom_status.unwrap().as_str(), longest);
    }

    async fn a_result_that_cannot_be_written_fails_the_instance(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(returns_unsayable()).await.unwrap();
        assert!(world.failure(&handle).await.contains("it has no words"));
        assert_eq!(handle.status().await.unwrap().status, Status::Failed);
    }

    async fn what_is_too_large_fails_where_it_belongs(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(tries(TOO_LARGE)).await.unwrap();
        let told = world.drive(handle.result()).await.unwrap();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].starts_with("Payload `finds_unsayable`"), "{}", told[0]);
        for (told, name) in told[1..].iter().zip(["finds_much", "work", ""]) {
            assert!(told.starts_with("Payload ") && told.contains(name), "{told}");
            assert!(told.contains("the limit is 16777216"), "{told}");
        }
        let handle = worker.client().start(returns_much(TOO_LARGE)).await.unwrap();
        assert!(world.failure(&handle).await.contains("the limit is 16777216"));
        let status = handle.status().await.unwrap();
        let failure: &Failure = status.failure.as_ref().unwrap().failure();
        assert_eq!((status.status, failure.error_type.as_str()), (Status::Failed, "PayloadTooLarge"));
    }

    async fn a_turn_does_so_many_things_and_no_more(world: World) {
        let worker = worker(&world).await;
        let call = floods(durable::MAX_ACTIONS_PER_TURN + 1);
        let handle = worker.client().start(call).await.unwrap();
        handle.raise_event("go", ()).await.unwrap();
        let failure = world.failure(&handle).await;
        assert!(failure.contains("more than 100000 calls, timers and messages"), "{failure}");
        // Nothing of that turn has happened.
        let status = handle.status().await.unwrap();
        assert_eq!(status.custom_status.unwrap().as_str(), "\"flooding\"");
        let events = world.events(&handle).await;
        assert!(!events.iter().any(|event| matches!(event, HistoryEvent::EventSent { .. })));
    }
}
