//! Where a run may end for the next one to begin.

use std::time::Duration;

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn in_handlers(ctx: &OrchestrationContext, n: u64) -> Result<u64, TaskError> {
    select! {
        () = ctx.sleep(Duration::from_secs(60)) => ctx.continue_as_new(in_handlers(n + 1)).await,
        worked = work(n), if n > 5 => worked,
        else => ctx.continue_as_new(in_handlers(0)).await,
    }
}

#[orchestrator]
async fn by_another_name(ctx: &OrchestrationContext, n: u64) -> u64 {
    let next = ctx.continue_as_new(by_another_name(n + 1));
    if n > 5 {
        return next.await;
    }
    let long = Duration::from_secs(60);
    select! {
        () = { let next = ctx.sleep(long); next } => 1,
        () = { let next = ctx.sleep(long); if n > 3 { next } else { ctx.sleep(long) } } => 2,
        () = match Some(ctx.sleep(long)) { Some(next) => next, None => ctx.sleep(long) } => 3,
        () = if let Some(next) = Some(ctx.sleep(long)) { next } else { ctx.sleep(long) } => 4,
        else => 0,
    }
}

#[orchestrator]
async fn after_a_choice(ctx: &OrchestrationContext, n: u64) -> u64 {
    let next = select! {
        () = ctx.sleep(Duration::from_secs(60)) => ctx.continue_as_new(after_a_choice(n + 1)),
        worked = work(n) => ctx.continue_as_new(after_a_choice(worked.unwrap_or(0))),
        else => ctx.continue_as_new(after_a_choice(0)),
    };
    next.discard_events().await
}

#[orchestrator]
async fn within_branches(ctx: &OrchestrationContext, n: u64) -> Result<u64, TaskError> {
    let done = select! {
        worked = work(n) => worked?,
        next = async {
            ctx.sleep(Duration::from_secs(60)).await;
            ctx.continue_as_new(within_branches(n + 1)).await
        } => next,
    };
    let (worked, ()) = join!(work(done), async {
        if n > 5 {
            ctx.continue_as_new(within_branches(0)).await
        }
    });
    worked
}

#[orchestrator]
async fn hidden_by_another(ctx: &OrchestrationContext, n: u64) -> Result<u64, TaskError> {
    let next = ctx.continue_as_new(hidden_by_another(n + 1));
    if n > 5 {
        next.await
    }
    let next = work(n);
    let worked = select! {
        worked = next => worked?,
        () = ctx.sleep(Duration::from_secs(60)) => 0,
    };
    Ok(worked)
}

#[orchestrator]
async fn continue_as_new(n: u64) -> u64 {
    n
}

/// It is only called like the method.
#[orchestrator]
async fn of_that_name(ctx: &OrchestrationContext, n: u64) -> Result<u64, TaskError> {
    select! {
        n = continue_as_new(n) => n,
        () = ctx.sleep(Duration::from_secs(60)) => Ok(0),
    }
}

fn main() {
    let _ = (in_handlers(1), by_another_name(1), after_a_choice(1), within_branches(1));
    let _ = (hidden_by_another(1), of_that_name(1), work(1));
}
