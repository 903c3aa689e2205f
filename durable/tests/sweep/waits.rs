//! Events and timers: before and after a time limit, buffered, sent by others, and while the
//! instance says how far it is.

use std::time::Duration;

use durable::prelude::*;
use durable::testing::TestHub;

use crate::programs::*;

const DAY: Duration = Duration::from_hours(24);

#[orchestrator]
async fn approval(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    let answer = ctx.wait_for_event::<String>("answer").timeout(DAY).await?;
    match answer {
        Some(answer) => echo(answer).await,
        None => {
            ctx.set_custom_status("escalated");
            let late = ctx.wait_for_event::<String>("answer").await?;
            echo(format!("{late}, but late")).await
        }
    }
}

#[tokio::test]
async fn an_event_before_its_time_is_over() {
    sweep(
        || TestHub::builder().orchestrator(approval).activity(echo),
        "\"yes\"; 1 calls, 1 done, 1 events, 1 in the hub",
        async |hub| {
            let handle = hub.client().start(approval()).await.unwrap();
            hub.advance(DAY / 2).await;
            handle.raise_event("answer", "yes").await.unwrap();
            outcome(hub, &handle).await
        },
    )
    .await;
}

#[tokio::test]
async fn an_event_after_its_time_is_over() {
    sweep(
        || TestHub::builder().orchestrator(approval).activity(echo),
        "\"yes, but late\"; 1 calls, 1 done, 1 events, 1 fired, 1 in the hub",
        async |hub| {
            let handle = hub.client().start(approval()).await.unwrap();
            hub.advance(DAY + DAY / 2).await;
            let said = handle.status().await.unwrap().custom_status.unwrap();
            assert_eq!(said.as_str(), "\"escalated\"");
            handle.raise_event("answer", "yes").await.unwrap();
            outcome(hub, &handle).await
        },
    )
    .await;
}

#[orchestrator]
async fn collects(ctx: &OrchestrationContext, count: usize) -> Result<Vec<u32>, TaskError> {
    ctx.sleep(DAY).await;
    let mut numbers = Vec::new();
    while numbers.len() < count {
        numbers.push(ctx.wait_for_event::<u32>("number").await?);
        ctx.set_custom_status(&numbers);
    }
    Ok(numbers)
}

#[tokio::test]
async fn events_that_come_too_early_and_what_is_said_of_them() {
    sweep(
        || TestHub::builder().orchestrator(collects),
        "\"[1,2,3]\" [1, 2, 3]; 3 events, 1 fired, 1 in the hub",
        async |hub| {
            let handle = hub.client().start(collects(3)).await.unwrap();
            for number in [1_u32, 2, 3] {
                handle.raise_event("number", number).await.unwrap();
            }
            let outcome = outcome(hub, &handle).await;
            let said = handle.status().await.unwrap().custom_status.unwrap();
            format!("{:?} {outcome}", said.as_str())
        },
    )
    .await;
}

/// Sends numbers to another one, and lets go of a third.
#[orchestrator]
async fn sends(ctx: &OrchestrationContext, to: String) -> Result<String, TaskError> {
    ctx.send_event(&to, "number", 1_u32);
    let first = echo("sent".to_owned()).await?;
    ctx.send_event(&to, "number", 2_u32);
    let id = ctx.start(collects(1).instance_id("let go"));
    ctx.send_event(&id, "number", 3_u32);
    Ok(first)
}

#[tokio::test]
async fn events_between_orchestrations_and_one_that_is_let_go() {
    sweep(
        || TestHub::builder().orchestrator(sends).orchestrator(collects).activity(echo),
        "\"sent\"; 1 calls, 1 done, 3 in the hub | [1, 2]; 2 events, 1 fired, 3 in the hub | \
         [3]; 1 events, 1 fired, 3 in the hub",
        async |hub| {
            let client = hub.client();
            let to = client.start(collects(2).instance_id("to")).await.unwrap();
            hub.settle().await;
            let sender = client.start(sends("to".to_owned())).await.unwrap();
            let sent = outcome(hub, &sender).await;
            let got = outcome(hub, &to).await;
            let let_go = client.orchestration::<Vec<u32>>("let go");
            format!("{sent} | {got} | {}", outcome(hub, &let_go).await)
        },
    )
    .await;
}
