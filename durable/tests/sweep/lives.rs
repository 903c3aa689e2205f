//! Instances that begin anew, change their version, or are managed from outside: suspended,
//! rewound, terminated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use durable::Status;
use durable::prelude::*;
use durable::testing::TestHub;

use crate::programs::*;

#[orchestrator]
async fn sums(ctx: &OrchestrationContext, left: u32, sum: u32) -> Result<u32, TaskError> {
    ctx.entity::<Ledger>("runs").note(left.to_string()).signal();
    let sum = sum + ctx.wait_for_event::<u32>("number").await?;
    if left > 1 {
        ctx.continue_as_new(sums(left - 1, sum)).await
    }
    Ok(sum)
}

#[tokio::test]
async fn runs_that_follow_each_other() {
    sweep(
        || TestHub::builder().orchestrator(sums).entity::<Ledger>(),
        "60 after 3 2 1",
        async |hub| {
            let handle = hub.client().start(sums(3, 0)).await.unwrap();
            for number in [10_u32, 20, 30] {
                handle.raise_event("number", number).await.unwrap();
            }
            let sum = hub.run(handle.result()).await.unwrap();
            format!("{sum} after {}", noted(hub, "runs").await)
        },
    )
    .await;
}

#[orchestrator(name = "handover", version = "1")]
async fn handover_one(ctx: &OrchestrationContext, text: String) -> Result<String, TaskError> {
    let text = echo(format!("{text} {}", ctx.version())).await?;
    ctx.continue_as_new(handover_two(text)).await
}

#[orchestrator(name = "handover", version = "2")]
async fn handover_two(ctx: &OrchestrationContext, text: String) -> Result<String, TaskError> {
    let go = ctx.wait_for_event::<String>("go").await?;
    echo(format!("{text} {} {go}", ctx.version())).await
}

#[tokio::test]
async fn a_version_that_hands_over_to_the_next() {
    sweep(
        || {
            let builder = TestHub::builder().orchestrator(handover_one);
            builder.orchestrator(handover_two).activity(echo)
        },
        "2: \"on 1 2 go\"; 1 calls, 1 done, 1 events, 1 in the hub",
        async |hub| {
            let call = handover_one("on".to_owned()).instance_id("a");
            let handle = hub.client().start(call).await.unwrap();
            hub.settle().await;
            handle.raise_event("go", "go").await.unwrap();
            let outcome = outcome(hub, &handle).await;
            format!("{}: {outcome}", handle.status().await.unwrap().version)
        },
    )
    .await;
}

#[orchestrator]
async fn collects(ctx: &OrchestrationContext, count: usize) -> Result<Vec<u32>, TaskError> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        numbers.push(ctx.wait_for_event::<u32>("number").await?);
    }
    Ok(numbers)
}

#[tokio::test]
async fn one_that_is_suspended_and_resumed() {
    sweep(
        || TestHub::builder().orchestrator(collects),
        "[1, 2, 3]; 3 events, 1 in the hub",
        async |hub| {
            let handle = hub.client().start(collects(3)).await.unwrap();
            handle.raise_event("number", 1_u32).await.unwrap();
            handle.suspend("look at it").await.unwrap();
            assert_eq!(settled(hub, &handle).await.status, Status::Suspended);
            for number in [2_u32, 3] {
                handle.raise_event("number", number).await.unwrap();
            }
            assert_eq!(settled(hub, &handle).await.status, Status::Suspended);
            handle.resume("looked at").await.unwrap();
            outcome(hub, &handle).await
        },
    )
    .await;
}

#[orchestrator]
async fn breaks(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    ctx.entity::<Ledger>("steps").note("before".to_owned()).await?;
    let done = outside("repaired".to_owned()).await?;
    ctx.entity::<Ledger>("steps").note("after".to_owned()).await?;
    Ok(done)
}

#[orchestrator]
async fn breaks_below() -> Result<String, TaskError> {
    breaks().instance_id("below").await
}

#[tokio::test]
async fn one_that_failed_and_is_rewound() {
    let broken = Arc::new(AtomicBool::new(true));
    sweep(
        || {
            broken.store(true, Ordering::Relaxed);
            let broken = Arc::clone(&broken);
            let builder = TestHub::builder().orchestrator(breaks).orchestrator(breaks_below);
            builder.entity::<Ledger>().mock(outside, move |text: String| {
                if broken.load(Ordering::Relaxed) { Err("broken") } else { Ok(text) }
            })
        },
        "\"repaired\"; 1 children, 3 in the hub, before after",
        async |hub| {
            let handle = hub.client().start(breaks_below()).await.unwrap();
            assert!(hub.run(handle.result()).await.is_err());
            broken.store(false, Ordering::Relaxed);
            handle.rewind("repaired").await.unwrap();
            let outcome = outcome(hub, &handle).await;
            format!("{outcome}, {}", noted(hub, "steps").await)
        },
    )
    .await;
}

#[orchestrator]
async fn level(depth: u32) -> Result<Vec<u32>, TaskError> {
    if depth == 0 {
        return collects(1).instance_id("leaf").await;
    }
    level(depth - 1).instance_id(format!("level-{}", depth - 1)).await
}

#[tokio::test]
async fn a_family_that_is_terminated() {
    sweep(
        || TestHub::builder().orchestrator(level).orchestrator(collects),
        "level-1: enough, level-0: enough, leaf: enough, 3 in the hub",
        async |hub| {
            let client = hub.client();
            let root = client.start(level(1).instance_id("level-1")).await.unwrap();
            hub.settle().await;
            root.terminate("enough").recursive().await.unwrap();
            hub.settle().await;
            let mut text = String::new();
            for id in ["level-1", "level-0", "leaf"] {
                let status = client.orchestration::<()>(id).status().await.unwrap();
                assert_eq!(status.status, Status::Terminated, "{id}");
                let failure = status.failure.unwrap();
                text.push_str(&format!("{id}: {}, ", failure.failure().message));
            }
            let facts = facts(hub, &client.orchestration::<()>("leaf")).await;
            format!("{text}{facts}")
        },
    )
    .await;
}

#[orchestrator]
async fn report(ctx: &OrchestrationContext) -> Result<usize, TaskError> {
    ctx.entity::<Ledger>("reports").note("one".to_owned()).await
}

#[tokio::test]
async fn one_that_is_scheduled_and_run_again() {
    sweep(
        || TestHub::builder().orchestrator(report).entity::<Ledger>(),
        "1; 1 operations, 2 in the hub | 2; 1 operations, 2 in the hub | one one",
        async |hub| {
            let at = hub.now() + Duration::from_hours(24);
            let call = report().instance_id("report").start_at(at);
            let handle = hub.client().start(call).await.unwrap();
            let first = outcome(hub, &handle).await;
            assert!(handle.status().await.unwrap().finished_at.unwrap() >= at);
            let again = handle.restart().await.unwrap();
            let second = outcome(hub, &again).await;
            format!("{first} | {second} | {}", noted(hub, "reports").await)
        },
    )
    .await;
}
