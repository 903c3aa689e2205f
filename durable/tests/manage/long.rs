//! What runs for ever or goes wide: it costs no more with time, and what it drew stays drawn.

use std::collections::BTreeSet;
use std::time::Duration;

use durable::prelude::*;
use durable::{HistoryRetention, Status, Worker};

use crate::world::*;

/// Goes round and round, without beginning anew. Says how far it is now and then.
#[orchestrator]
async fn eternal(ctx: &OrchestrationContext, every: u64) -> Result<(), TaskError> {
    let mut round = 0_u64;
    loop {
        ctx.sleep(Duration::ZERO).await;
        round += 1;
        if round % every == 0 {
            ctx.set_custom_status(round);
            ctx.wait_for_event::<()>("go").await?;
        }
    }
}

/// More at once than a saved state holds.
#[orchestrator]
async fn wide(ctx: &OrchestrationContext, count: u32) -> Result<usize, TaskError> {
    let calls = (0..count).map(|n| ctx.spawn(work(n.to_string()))).collect::<Vec<_>>();
    ctx.wait_for_event::<()>("go").await?;
    let done: Vec<String> = try_join_all(calls).await?;
    let in_order = done.iter().enumerate().filter(|(n, name)| n.to_string() == **name);
    Ok(in_order.count())
}

/// Values that it drew before and after a wait.
#[orchestrator]
async fn draws(ctx: &OrchestrationContext) -> Result<Vec<String>, TaskError> {
    let mut drawn = vec![ctx.new_uuid().to_string(), ctx.new_uuid().to_string()];
    let (number, fraction) = (ctx.random::<u64>(), ctx.random::<f64>());
    assert!((0.0..1.0).contains(&fraction));
    drawn.push(number.to_string());
    ctx.set_custom_status(&drawn);
    ctx.wait_for_event::<()>("go").await?;
    drawn.push(ctx.new_uuid().to_string());
    drawn.push(ctx.random::<u64>().to_string());
    Ok(drawn)
}

fn builder(world: &World) -> durable::WorkerBuilder {
    world.builder().orchestrator(eternal).orchestrator(wide).orchestrator(draws)
}

async fn worker(world: &World) -> Worker {
    builder(world).start().await.unwrap()
}

on_every_store! {
    async fn ten_thousand_rounds_cost_what_the_first_did(world: World) {
        const ROUNDS: u64 = 10_000;
        let kept = HistoryRetention::LastTurns(8);
        let _worker = builder(&world).history(kept).start().await.unwrap();
        let handle = world.client().start(eternal(ROUNDS / 2)).await.unwrap();
        let mut sizes = Vec::new();
        for round in [ROUNDS / 2, ROUNDS] {
            world.until_says(&handle, &round.to_string()).await;
            let status = handle.status().await.unwrap();
            sizes.push(status.saved.unwrap().len());
            assert!(handle.history().await.unwrap().len() <= 8);
            handle.raise_event("go", ()).await.unwrap();
        }
        // Only the numbers in it have grown: the round, the turn, the task.
        assert!(sizes[1] <= sizes[0] + 8, "{sizes:?}");
        handle.terminate("enough").await.unwrap();
        world.until(&handle, Status::Terminated).await;
    }

    async fn a_fan_out_outgrows_the_state_and_survives_a_worker(world: World) {
        const COUNT: u32 = 200;
        let first = worker(&world).await;
        let handle = world.client().start(wide(COUNT)).await.unwrap();
        world.drive(async {
            while (0..COUNT).any(|n| world.machines.tries(&n.to_string()) == 0) {
                tokio::task::yield_now().await;
            }
        }).await;
        let saved = handle.status().await.unwrap().saved.unwrap();
        drop(first);
        let _worker = worker(&world).await;
        handle.raise_event("go", ()).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), COUNT as usize);
        // The tasks that do not fit are rows of their own.
        assert!(saved.matches("\"activity\"").count() <= 16, "{saved}");
    }

    async fn drawn_values_differ_and_survive_a_worker(world: World) {
        let first = worker(&world).await;
        let client = world.client();
        let mut all = BTreeSet::new();
        let mut handles = Vec::new();
        for _ in 0..2 {
            let handle = client.start(draws()).await.unwrap();
            world.drive(async {
                while handle.status().await.unwrap().custom_status.is_none() {
                    settle().await;
                }
            }).await;
            let said = handle.status().await.unwrap().custom_status.unwrap();
            handles.push((handle, said.decode::<Vec<String>>().unwrap()));
        }
        drop(first);
        let _worker = worker(&world).await;
        for (handle, said) in handles {
            handle.raise_event("go", ()).await.unwrap();
            let drawn = world.drive(handle.result()).await.unwrap();
            assert_eq!(drawn[..3], said);
            // Version 5, as the original's.
            assert_eq!(&drawn[0][14..15], "5", "{drawn:?}");
            all.extend(drawn);
        }
        assert_eq!(all.len(), 10, "{all:?}");
    }
}
