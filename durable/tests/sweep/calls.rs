//! Activities: one after the other, side by side, in races, and again when they fail.

use std::time::Duration;

use durable::ActivityContext;
use durable::prelude::*;
use durable::testing::{self, TestHub};

use crate::programs::*;

const HOUR: Duration = Duration::from_hours(1);

#[orchestrator]
async fn chain(steps: u32) -> Result<String, TaskError> {
    let mut text = String::new();
    for step in 0..steps {
        text = echo(format!("{text}{step}")).await?;
    }
    Ok(text)
}

#[tokio::test]
async fn a_chain() {
    sweep(
        || TestHub::builder().orchestrator(chain).activity(echo),
        "\"01234\"; 5 calls, 5 done, 1 in the hub",
        async |hub| outcome(hub, &hub.client().start(chain(5)).await.unwrap()).await,
    )
    .await;
}

#[orchestrator]
async fn fan(width: u32) -> Result<usize, TaskError> {
    let parts: Vec<String> = try_join_all((0..width).map(|n| echo(n.to_string()))).await?;
    Ok(parts.concat().len())
}

#[tokio::test]
async fn a_fan_out_and_in() {
    sweep(
        || TestHub::builder().orchestrator(fan).activity(echo),
        "30; 20 calls, 20 done, 1 in the hub",
        async |hub| outcome(hub, &hub.client().start(fan(20)).await.unwrap()).await,
    )
    .await;
}

#[orchestrator]
async fn race(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    let won = select! {
        quick = echo("quick".to_owned()) => quick?,
        slow = outside("slow".to_owned()) => slow?,
        _ = ctx.sleep(HOUR) => "late".to_owned(),
    };
    echo(format!("{won} won")).await
}

#[tokio::test]
async fn a_race_with_losers() {
    sweep(
        || {
            let builder = TestHub::builder().orchestrator(race).activity(echo);
            builder.mock_async(outside, |ctx: ActivityContext, text: String| async move {
                ctx.cancelled().await;
                text
            })
        },
        "\"quick won\"; 3 calls, 2 done, 1 cancelled, 1 in the hub",
        async |hub| outcome(hub, &hub.client().start(race()).await.unwrap()).await,
    )
    .await;
}

#[orchestrator]
async fn in_turn(names: Vec<String>) -> Result<String, TaskError> {
    let (first, place, mut rest) = select_all(names.into_iter().map(outside)).await;
    let mut text = format!("{place}{}", first?);
    while !rest.is_empty() {
        let (next, place, left) = select_all(rest).await;
        text.push_str(&format!(" {place}{}", next?));
        rest = left;
    }
    Ok(text)
}

#[tokio::test]
async fn the_first_of_many_and_then_the_next() {
    sweep(
        || {
            let builder = TestHub::builder().orchestrator(in_turn);
            builder.mock_async(outside, |_: ActivityContext, name: String| async move {
                testing::sleep(HOUR * u32::try_from(name.len()).unwrap()).await;
                name
            })
        },
        "\"1a 1bb 0ccc\"; 3 calls, 3 done, 1 in the hub",
        async |hub| {
            let names = ["ccc", "a", "bb"].map(str::to_owned).to_vec();
            outcome(hub, &hub.client().start(in_turn(names)).await.unwrap()).await
        },
    )
    .await;
}

#[orchestrator]
async fn limited(name: String) -> Result<String, TaskError> {
    match outside(name).timeout(HOUR * 3).await {
        Err(error) if error.is_timeout() => echo("too late".to_owned()).await,
        done => done,
    }
}

#[tokio::test]
async fn a_time_limit_that_is_kept_and_one_that_is_not() {
    let build = || {
        let builder = TestHub::builder().orchestrator(limited).activity(echo);
        builder.mock_async(outside, |_: ActivityContext, name: String| async move {
            testing::sleep(HOUR * u32::try_from(name.len()).unwrap()).await;
            name
        })
    };
    for (name, expected) in [
        ("a", "\"a\"; 1 calls, 1 done, 1 in the hub"),
        ("aaaaaa", "\"too late\"; 2 calls, 1 done, 1 cancelled, 1 fired, 1 in the hub"),
    ] {
        sweep(build, expected, async |hub| {
            outcome(hub, &hub.client().start(limited(name.to_owned())).await.unwrap()).await
        })
        .await;
    }
}

#[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("busy")]
struct Busy;

#[orchestrator]
async fn stubborn() -> Result<String, TaskError> {
    let policy = RetryPolicy::exponential(HOUR)
        .max_attempts(20)
        .retry_if(|error: &TaskError| !error.failure().message.contains("gone"))
        .retry_after(|failed: &FailedAttempt| HOUR * failed.attempt);
    let done = outside("again".to_owned()).retry(policy.clone()).await?;
    match outside("gone".to_owned()).retry(policy).await {
        Ok(_) => Ok("it is not gone".to_owned()),
        Err(error) => Ok(format!("{done}, {}", error.failure().message)),
    }
}

#[tokio::test]
async fn retries_with_rules() {
    sweep(
        || {
            let mut fails = 3;
            let builder = TestHub::builder().orchestrator(stubborn);
            builder.mock(outside, move |text: String| {
                if text == "gone" {
                    return Err("it is gone".to_owned());
                }
                fails -= 1;
                if fails >= 0 { Err(Busy.to_string()) } else { Ok(text) }
            })
        },
        "\"again, it is gone\"; 2 calls, 1 done, 1 failed, 1 in the hub",
        async |hub| outcome(hub, &hub.client().start(stubborn()).await.unwrap()).await,
    )
    .await;
}

#[orchestrator]
async fn pressing() -> Result<String, TaskError> {
    let policy = RetryPolicy::fixed(HOUR).max_attempts(20).attempt_timeout(HOUR);
    outside("done".to_owned()).retry(policy).await
}

#[tokio::test]
async fn attempts_with_a_time_limit() {
    sweep(
        || {
            let mut hangs = 2;
            let builder = TestHub::builder().orchestrator(pressing);
            builder.mock_async(outside, move |ctx: ActivityContext, text: String| {
                hangs -= 1;
                let hangs = hangs >= 0;
                async move {
                    if hangs {
                        ctx.cancelled().await;
                    }
                    text
                }
            })
        },
        "\"done\"; 1 calls, 1 done, 1 in the hub",
        async |hub| outcome(hub, &hub.client().start(pressing()).await.unwrap()).await,
    )
    .await;
}

#[orchestrator]
async fn branches(ctx: &OrchestrationContext) -> Result<String, TaskError> {
    let (a, b) = try_join!(
        async {
            let first = echo("a".to_owned()).await?;
            echo(format!("{first}a")).await
        },
        async {
            ctx.sleep(HOUR).await;
            echo("b".to_owned()).await
        },
    )?;
    Ok(format!("{a} {b}"))
}

#[tokio::test]
async fn branches_side_by_side() {
    sweep(
        || TestHub::builder().orchestrator(branches).activity(echo),
        "\"aa b\"; 3 calls, 3 done, 1 fired, 1 in the hub",
        async |hub| outcome(hub, &hub.client().start(branches()).await.unwrap()).await,
    )
    .await;
}
