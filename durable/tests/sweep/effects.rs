//! Effects that must happen once: entity operations, called and signalled, and a saga that takes
//! back what it did.

use durable::prelude::*;
use durable::testing::TestHub;

use crate::programs::*;

#[orchestrator]
async fn notes(ctx: &OrchestrationContext) -> Result<usize, TaskError> {
    let ledger = ctx.entity::<Ledger>("a");
    ledger.note("1".to_owned()).signal();
    ledger.note("2".to_owned()).await?;
    ledger.note("3".to_owned()).signal();
    ctx.entity::<Ledger>("b").note("other".to_owned()).signal();
    ledger.note("4".to_owned()).await
}

#[tokio::test]
async fn operations_that_are_called_and_signalled() {
    sweep(
        || TestHub::builder().orchestrator(notes).entity::<Ledger>(),
        "4; 2 operations, 3 in the hub, 1 2 3 4 and other, then 5",
        async |hub| {
            let handle = hub.client().start(notes()).await.unwrap();
            let outcome = outcome(hub, &handle).await;
            let (a, b) = (noted(hub, "a").await, noted(hub, "b").await);
            let ledger = hub.client().entity::<Ledger>("a");
            let next = ledger.note("5".to_owned()).await.unwrap();
            format!("{outcome}, {a} and {b}, then {next}")
        },
    )
    .await;
}

/// Books one thing after the other, and when one cannot be had, gives back those before it.
#[orchestrator]
async fn trip(ctx: &OrchestrationContext, wanted: Vec<String>) -> Result<String, TaskError> {
    let ledger = ctx.entity::<Ledger>("bookings");
    let mut booked = Vec::new();
    let mut failed = None;
    for thing in wanted {
        match outside(thing.clone()).await {
            Ok(_) => {
                ledger.note(format!("+{thing}")).await?;
                booked.push(thing);
            }
            Err(error) => {
                failed = Some(error.failure().message.clone());
                break;
            }
        }
    }
    let Some(reason) = failed else { return Ok("booked".to_owned()) };
    while let Some(thing) = booked.pop() {
        ledger.note(format!("-{thing}")).await?;
    }
    Ok(reason)
}

#[tokio::test]
async fn a_saga_that_takes_back_what_it_did() {
    sweep(
        || {
            let builder = TestHub::builder().orchestrator(trip).entity::<Ledger>();
            builder.mock(
                outside,
                |thing: String| {
                    if thing == "car" { Err("no car") } else { Ok(thing) }
                },
            )
        },
        "\"no car\"; 3 calls, 2 done, 1 failed, 4 operations, 2 in the hub, \
         +flight +hotel -hotel -flight",
        async |hub| {
            let wanted = ["flight", "hotel", "car", "boat"].map(str::to_owned).to_vec();
            let handle = hub.client().start(trip(wanted)).await.unwrap();
            let outcome = outcome(hub, &handle).await;
            format!("{outcome}, {}", noted(hub, "bookings").await)
        },
    )
    .await;
}
