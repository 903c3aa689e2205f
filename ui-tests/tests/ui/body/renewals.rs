//! Continuing as new ends the run as soon as it begins, so nothing can be waited for beside it.

use durable::prelude::*;

#[activity]
async fn work(n: u64) -> u64 {
    n
}

#[orchestrator]
async fn in_select(ctx: &OrchestrationContext, n: u64) -> u64 {
    select! {
        worked = work(n) => worked.unwrap_or(0),
        next = ctx.continue_as_new(in_select(n + 1)) => next,
    }
}

#[orchestrator]
async fn without_events(ctx: &OrchestrationContext, n: u64) -> u64 {
    select! {
        next = (ctx.continue_as_new(without_events(n + 1)).discard_events()) => next,
        worked = work(n) => worked.unwrap_or(0),
    }
}

#[orchestrator]
async fn in_join(ctx: &OrchestrationContext, n: u64) -> u64 {
    join!(work(n), ctx.continue_as_new(in_join(n + 1))).1
}

#[orchestrator]
async fn in_try_join(ctx: &OrchestrationContext, n: u64) -> Result<u64, TaskError> {
    try_join!(async { work(n).await }, ctx.continue_as_new(in_try_join(n + 1)))?;
    Ok(n)
}

#[orchestrator]
async fn by_name(ctx: &OrchestrationContext, n: u64) -> u64 {
    let next = ctx.continue_as_new(by_name(n + 1));
    select! {
        worked = work(n) => worked.unwrap_or(0),
        never = next => never,
    }
}

#[orchestrator]
async fn by_other_names(ctx: &OrchestrationContext, n: u64) -> u64 {
    let context = ctx;
    let next;
    if n > 5 {
        next = context.continue_as_new(by_other_names(0));
    } else {
        next = OrchestrationContext::continue_as_new(ctx, by_other_names(n + 1));
    }
    let renewal = next;
    select! {
        worked = work(n) => worked.unwrap_or(0),
        never = renewal.discard_events() => never,
    }
}

#[orchestrator]
async fn unless_it_ends(ctx: &OrchestrationContext, n: u64) -> u64 {
    select! {
        worked = work(n) => worked.unwrap_or(0),
        never = if n > 5 {
            return n;
        } else {
            ctx.continue_as_new(unless_it_ends(n + 1))
        } => never,
    }
}

#[orchestrator]
async fn within_a_handler(ctx: &OrchestrationContext, n: u64) -> u64 {
    select! {
        _ = work(n) => {
            select! {
                never = ctx.continue_as_new(within_a_handler(n + 1)) => never,
                worked = work(n) => worked.unwrap_or(0),
            }
        }
    }
}

fn main() {}
