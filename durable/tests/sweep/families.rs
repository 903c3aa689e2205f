//! Sub-orchestrations: with ids of their own and with derived ones, again when they fail, and how
//! their failures come up.

use std::time::Duration;

use durable::prelude::*;
use durable::testing::TestHub;
use durable::{ClientError, InstanceQuery};
use serde::{Deserialize, Serialize};

use crate::programs::*;

#[orchestrator]
async fn child(ctx: &OrchestrationContext, name: String) -> Result<String, TaskError> {
    let ledger = ctx.entity::<Ledger>("children");
    ledger.note(name.clone()).await?;
    outside(name).await
}

#[orchestrator]
async fn parent() -> Result<String, TaskError> {
    let (a, b) = try_join!(child("a".to_owned()), child("b".to_owned()).instance_id("b"))?;
    Ok(format!("{a} {b}"))
}

#[tokio::test]
async fn children_with_given_and_derived_ids() {
    sweep(
        || {
            let builder = TestHub::builder().orchestrator(parent).orchestrator(child);
            builder.entity::<Ledger>().mock(outside, |name: String| name)
        },
        // The parent, two children and the ledger.
        "\"a b\"; 2 children, 4 in the hub, [\"p\", \"b\"] noted 2",
        async |hub| {
            let client = hub.client();
            let handle = client.start(parent().instance_id("p")).await.unwrap();
            let outcome = outcome(hub, &handle).await;
            let of = InstanceQuery { parent: Some("p".to_owned()), ..InstanceQuery::default() };
            let children = client.list(of).all().await.unwrap();
            let mut ids: Vec<_> =
                children.iter().map(|c| c.id.split(':').next().unwrap()).collect();
            ids.sort_unstable_by(|a, b| b.cmp(a));
            let noted = noted(hub, "children").await;
            format!("{outcome}, {ids:?} noted {}", noted.split(' ').count())
        },
    )
    .await;
}

#[orchestrator]
async fn guardian(id: Option<String>) -> Result<String, TaskError> {
    let policy = RetryPolicy::fixed(Duration::from_hours(1)).max_attempts(20);
    let call = child("again".to_owned());
    match id {
        Some(id) => call.instance_id(id).retry(policy).await,
        None => call.retry(policy).await,
    }
}

#[tokio::test]
async fn children_that_are_tried_again() {
    for id in [None, Some("given".to_owned())] {
        sweep(
            || {
                let mut fails = 2;
                let builder = TestHub::builder().orchestrator(guardian).orchestrator(child);
                builder.entity::<Ledger>().mock(outside, move |name: String| {
                    fails -= 1;
                    if fails >= 0 { Err("not yet") } else { Ok(name) }
                })
            },
            "\"again\" with a completed child",
            async |hub| {
                let handle = hub.client().start(guardian(id.clone())).await.unwrap();
                let result = hub.run(handle.result()).await.unwrap();
                // How many attempts there were depends on the crash.
                let of = InstanceQuery {
                    parent: Some(handle.id().to_owned()),
                    statuses: vec![durable::Status::Completed],
                    ..InstanceQuery::default()
                };
                assert_eq!(hub.client().count(&of).await.unwrap(), 1);
                format!("{result:?} with a completed child")
            },
        )
        .await;
    }
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("the {0} is empty")]
struct Empty(String);

#[activity]
async fn pours(from: String) -> Result<(), Empty> {
    Err(Empty(from))
}

#[orchestrator]
async fn deep(depth: u32) -> Result<(), TaskError> {
    if depth == 0 { pours("tank".to_owned()).await } else { deep(depth - 1).await }
}

#[tokio::test]
async fn a_failure_with_its_causes() {
    sweep(
        || TestHub::builder().orchestrator(deep).activity(pours),
        "pours: the tank is empty, 3 in the hub",
        async |hub| {
            let handle = hub.client().start(deep(2)).await.unwrap();
            let Err(ClientError::Task(error)) = hub.run(handle.result()).await else {
                panic!("it did not fail");
            };
            let value: Empty = error.find().unwrap();
            let instances = hub.client().count(&InstanceQuery::default()).await.unwrap();
            format!("{}: {value}, {instances} in the hub", error.root_cause().task())
        },
    )
    .await;
}
