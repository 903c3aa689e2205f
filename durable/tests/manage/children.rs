//! Orchestrations that start others: whose child is whose, which ids they may have, and how failures
//! come up.

use std::collections::BTreeSet;
use std::time::Duration;

use durable::prelude::*;
use durable::{ClientError, InstanceQuery, Status, TaskErrorKind, Worker};
use serde::{Deserialize, Serialize};

use crate::world::*;

/// Its id, and that of who waits for it.
#[orchestrator]
async fn kin(ctx: &OrchestrationContext) -> (String, Option<String>) {
    (ctx.instance_id(), ctx.parent())
}

#[orchestrator]
async fn two_children() -> Result<Vec<(String, Option<String>)>, TaskError> {
    let (a, b) = try_join!(kin(), kin())?;
    Ok(vec![a, b, kin().instance_id("given").await?])
}

/// Starts a child that must not have this id, at this depth.
#[orchestrator]
async fn wants_id(depth: u32, id: String) -> Result<String, TaskError> {
    if depth > 0 {
        return wants_id(depth - 1, id).await;
    }
    match kin().instance_id(id).await {
        Ok((id, _)) => Ok(id),
        Err(error) => Ok(format!("{:?} {} {error}", error.kind(), error.is_non_retryable())),
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("the {0} is empty")]
pub struct Empty(String);

#[activity]
async fn pours(from: String) -> Result<(), Empty> {
    Err(Empty(from))
}

/// Fails so many levels down.
#[orchestrator]
async fn deep(depth: u32) -> Result<(), TaskError> {
    if depth == 0 { pours("tank".to_owned()).await } else { deep(depth - 1).await }
}

/// Starts others and does not wait for them.
#[orchestrator]
async fn lets_go(ctx: &OrchestrationContext) -> Vec<String> {
    let given = collect(1).instance_id("free").tag("kind", "free");
    vec![ctx.start(given), ctx.start(kin()), ctx.start(kin().instance_id("taken"))]
}

/// Starts one that begins later, and tells it something before.
#[orchestrator]
async fn lets_go_later(ctx: &OrchestrationContext, at: Timestamp) -> String {
    let id = ctx.start(collect(1).instance_id("later").start_at(at));
    ctx.send_event(&id, "number", 7_u32);
    id
}

/// Starts what cannot be started.
#[orchestrator]
async fn lets_go_wrongly(ctx: &OrchestrationContext, id: String) -> Result<String, TaskError> {
    let id = ctx.start(kin().instance_id(id));
    ctx.wait_for_event::<()>("end").await?;
    Ok(id)
}

/// The lengths of the ids of so many levels, each a child of the one above.
#[orchestrator]
async fn levels(ctx: &OrchestrationContext, depth: u32) -> Result<Vec<usize>, TaskError> {
    let mut lengths = vec![ctx.instance_id().len()];
    if depth > 0 {
        lengths.extend(levels(depth - 1).await?);
    }
    Ok(lengths)
}

/// Waits for a child no longer than a minute.
#[orchestrator]
async fn impatient() -> Result<bool, TaskError> {
    match collect(1).instance_id("slow").timeout(Duration::from_mins(1)).await {
        Err(error) => Ok(error.is_timeout()),
        Ok(_) => Ok(false),
    }
}

/// The worker of these tests has it not.
#[orchestrator]
async fn stranger() -> u32 {
    1
}

#[orchestrator]
async fn asks_a_stranger() -> Result<u32, TaskError> {
    stranger().instance_id("stranger").await
}

fn builder(world: &World) -> durable::WorkerBuilder {
    world
        .builder()
        .orchestrator(kin)
        .orchestrator(two_children)
        .orchestrator(wants_id)
        .orchestrator(deep)
        .orchestrator(lets_go)
        .orchestrator(lets_go_later)
        .orchestrator(lets_go_wrongly)
        .orchestrator(levels)
        .orchestrator(impatient)
        .orchestrator(asks_a_stranger)
        .activity(pours)
}

async fn worker(world: &World) -> Worker {
    builder(world).start().await.unwrap()
}

on_every_store! {
    async fn children_have_ids_of_their_own_and_know_their_parent(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let handle = client.start(two_children().instance_id("p")).await.unwrap();
        let children = world.drive(handle.result()).await.unwrap();
        let ids: BTreeSet<&str> = children.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids.len(), 3, "{ids:?}");
        assert!(children.iter().all(|(_, parent)| parent.as_deref() == Some("p")));
        assert!(children[0].0.starts_with("p:") && children[1].0.starts_with("p:"), "{children:?}");
        let query = InstanceQuery { parent: Some("p".to_owned()), ..InstanceQuery::default() };
        assert_eq!(client.count(&query).await.unwrap(), 3);
        // Nobody waits for what a client starts.
        let handle = client.start(kin()).await.unwrap();
        let (id, parent) = world.drive(handle.result()).await.unwrap();
        assert_eq!((id.as_str(), parent), (handle.id(), None));
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }

    async fn a_child_cannot_have_the_id_of_one_that_waits_for_it(world: World) {
        let worker = worker(&world).await;
        for depth in 0..3 {
            let call = wants_id(depth, "same".to_owned()).instance_id("same");
            let handle = worker.client().start(call).await.unwrap();
            let told = world.drive(handle.result()).await.unwrap();
            assert!(told.starts_with("Refused ") && told.contains("exists already"), "{told}");
        }
    }

    async fn an_id_that_cannot_be_used_fails_the_call_alone(world: World) {
        let worker = worker(&world).await;
        for (id, rule) in [
            ("@purse@p".to_owned(), "must not begin with `@`"),
            (String::new(), "must not be empty"),
            ("a/b".to_owned(), "must not contain `/`"),
            ("x".repeat(257), "257 bytes, the limit is 256"),
        ] {
            let handle = worker.client().start(wants_id(0, id)).await.unwrap();
            let told = world.drive(handle.result()).await.unwrap();
            assert!(told.starts_with("Refused true ") && told.contains(rule), "{told}");
        }
    }

    async fn a_failure_comes_up_through_every_level(world: World) {
        let worker = worker(&world).await;
        let handle = worker.client().start(deep(4)).await.unwrap();
        let Err(ClientError::Task(error)) = world.drive(handle.result()).await else {
            panic!("it did not fail");
        };
        let (mut depth, mut next) = (0, Some(&error));
        while let Some(cause) = next {
            assert_eq!(cause.kind(), TaskErrorKind::Failed);
            (depth, next) = (depth + 1, cause.cause());
        }
        // Five orchestrations and the activity.
        assert_eq!((depth, error.root_cause().task()), (6, "pours"));
        assert_eq!(error.find(), Some(Empty("tank".to_owned())));
        assert!(error.root_cause().to_string().contains("the tank is empty"), "{error}");
    }

    async fn what_is_let_go_goes_on_by_itself(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let taken = client.start(collect(1).instance_id("taken")).await.unwrap();
        world.until(&taken, Status::Running).await;
        let parent = client.start(lets_go()).await.unwrap();
        let ids = world.drive(parent.result()).await.unwrap();
        let free = client.orchestration::<Vec<u32>>(&ids[0]);
        world.drive(async { while free.status().await.is_err() { settle().await; } }).await;
        free.raise_event("number", 7_u32).await.unwrap();
        assert_eq!(world.drive(free.result()).await.unwrap(), [7]);
        let status = free.status().await.unwrap();
        assert_eq!((status.parent, status.tags["kind"].as_str()), (None, "free"));
        let generated = client.orchestration::<(String, Option<String>)>(&ids[1]);
        world.drive(async { while generated.status().await.is_err() { settle().await; } }).await;
        assert_eq!(world.drive(generated.result()).await.unwrap(), (ids[1].clone(), None));
        // One that runs under the id is left alone.
        taken.raise_event("number", 8_u32).await.unwrap();
        assert_eq!(world.drive(taken.result()).await.unwrap(), [8]);
    }

    async fn a_child_that_is_not_waited_for_any_more_goes_on(world: World) {
        let worker = worker(&world).await;
        let client = worker.client();
        let handle = client.start(impatient()).await.unwrap();
        let slow = client.orchestration::<Vec<u32>>("slow");
        world.drive(async { while slow.status().await.is_err() { settle().await; } }).await;
        world.clock.advance(Duration::from_mins(1));
        assert!(world.drive(handle.result()).await.unwrap());
        slow.raise_event("number", 7_u32).await.unwrap();
        assert_eq!(world.drive(slow.result()).await.unwrap(), [7]);
    }

    async fn a_child_that_no_worker_knows_waits_for_one_that_does(world: World) {
        let client = world.client();
        let first = worker(&world).await;
        let handle = client.start(asks_a_stranger()).await.unwrap();
        let child = client.orchestration::<u32>("stranger");
        world.drive(async { while child.status().await.is_err() { settle().await; } }).await;
        let reason = world.blocked(&child).await;
        assert_eq!(reason, "no worker has registered the orchestrator `stranger`");
        first.shutdown().await;
        let _worker = builder(&world).orchestrator(stranger).start().await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), 1);
    }

    async fn what_is_let_go_may_begin_later(world: World) {
        let worker = worker(&world).await;
        let at = world.now() + FAR;
        let handle = worker.client().start(lets_go_later(at)).await.unwrap();
        let id = world.drive(handle.result()).await.unwrap();
        let later = worker.client().orchestration::<Vec<u32>>(id);
        world.drive(async { while later.status().await.is_err() { settle().await; } }).await;
        let status = later.status().await.unwrap();
        assert_eq!((status.status, status.starts_at), (Status::Pending, Some(at)));
        world.clock.advance_to(at);
        assert_eq!(world.drive(later.result()).await.unwrap(), [7]);
    }

    async fn what_cannot_be_let_go_fails_who_tried(world: World) {
        let worker = worker(&world).await;
        for id in ["@purse@p", "", "a/b"] {
            let handle = worker.client().start(lets_go_wrongly(id.to_owned())).await.unwrap();
            let failure = world.failure(&handle).await;
            assert!(failure.contains("cannot be used"), "{failure}");
        }
        // Its own id is a valid one, and taken.
        let call = lets_go_wrongly("own".to_owned()).instance_id("own");
        let handle = worker.client().start(call).await.unwrap();
        world.until(&handle, Status::Running).await;
        settle().await;
        handle.raise_event("end", ()).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "own");
        assert_eq!(handle.status().await.unwrap().name, "lets_go_wrongly");
    }

    async fn derived_ids_stay_within_the_limit(world: World) {
        let worker = worker(&world).await;
        let call = levels(50).instance_id("x".repeat(200));
        let handle = worker.client().start(call).await.unwrap();
        let lengths = world.drive(handle.result()).await.unwrap();
        assert_eq!(lengths.len(), 51);
        assert!(lengths.iter().all(|length| *length <= 256), "{lengths:?}");
    }
}
