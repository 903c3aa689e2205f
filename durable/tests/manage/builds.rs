//! Changed code: an instance goes on with a new build where that has its state and its variables;
//! else it is left untouched and visibly blocked, until a build that fits is back.

use durable::prelude::*;
use durable::{Handle, Status, Worker, WorkerBuilder};

use crate::world::*;

/// The build that everything begins with.
mod first {
    use super::*;

    #[orchestrator]
    pub async fn order(ctx: &OrchestrationContext, item: String) -> Result<String, TaskError> {
        let paid = ctx.wait_for_event::<u32>("paid").await?;
        let sent = work("send".to_owned()).await?;
        Ok(format!("{item} {paid} {sent}"))
    }
}

/// Has the same states and variables, and one more step.
mod longer {
    use super::*;

    #[orchestrator]
    pub async fn order(ctx: &OrchestrationContext, item: String) -> Result<String, TaskError> {
        let paid = ctx.wait_for_event::<u32>("paid").await?;
        let checked = work("check".to_owned()).await?;
        let sent = work("send".to_owned()).await?;
        Ok(format!("{item} {paid} {checked} {sent}"))
    }
}

/// Does not wait for the payment any more.
mod other_state {
    use super::*;

    #[orchestrator]
    pub async fn order(ctx: &OrchestrationContext, item: String) -> Result<String, TaskError> {
        ctx.wait_for_event::<()>("approved").await?;
        let sent = work("send".to_owned()).await?;
        Ok(format!("{item} {sent}"))
    }
}

/// Has the state, but needs what the first build did not save.
mod more_variables {
    use super::*;

    #[orchestrator]
    pub async fn order(ctx: &OrchestrationContext, item: String) -> Result<String, TaskError> {
        let began = ctx.now();
        let paid = ctx.wait_for_event::<u32>("paid").await?;
        Ok(format!("{item} {paid} {began}"))
    }
}

/// Has the state and the variable, which is of another type.
mod other_type {
    use super::*;

    #[orchestrator]
    pub async fn order(ctx: &OrchestrationContext, item: u64) -> Result<String, TaskError> {
        let paid = ctx.wait_for_event::<u32>("paid").await?;
        Ok(format!("{item} {paid}"))
    }
}

/// What makes the worker of a build.
type Build = fn(&World) -> WorkerBuilder;

fn build(world: &World) -> WorkerBuilder {
    world.bare_builder().activity(work)
}

async fn first_build(world: &World) -> Worker {
    build(world).orchestrator(first::order).start().await.unwrap()
}

/// An order that waits for its payment, and the worker that brought it there.
async fn waiting(world: &World, id: &str) -> (Handle<String>, Worker) {
    let worker = first_build(world).await;
    let call = first::order("tea".to_owned()).instance_id(id);
    let handle = world.client().start(call).await.unwrap();
    world.until(&handle, Status::Running).await;
    (handle, worker)
}

on_every_store! {
    async fn changed_code_that_fits_goes_on_with_what_was_saved(world: World) {
        let (handle, worker) = waiting(&world, "a").await;
        drop(worker);
        let _worker = build(&world).orchestrator(longer::order).start().await.unwrap();
        handle.raise_event("paid", 7_u32).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "tea 7 check send");
    }

    async fn changed_code_that_does_not_fit_blocks_until_the_old_is_back(world: World) {
        let builds: [(&str, Build, &str); 3] = [
            ("s", |world| build(world).orchestrator(other_state::order), "no state `AwaitEventPaid`"),
            ("v", |world| build(world).orchestrator(more_variables::order), "variable `began`"),
            ("t", |world| build(world).orchestrator(other_type::order), "variable `item`"),
        ];
        for (id, build, expected) in builds {
            let (handle, worker) = waiting(&world, id).await;
            let before = handle.status().await.unwrap();
            drop(worker);
            let worker = build(&world).start().await.unwrap();
            handle.raise_event("paid", 7_u32).await.unwrap();
            let reason = world.blocked(&handle).await;
            assert!(reason.starts_with("the saved state does not fit this build"), "{reason}");
            assert!(reason.contains(expected), "{reason}");
            let status = handle.status().await.unwrap();
            assert_eq!((status.status, &status.saved), (before.status, &before.saved));
            // The same build again changes nothing.
            drop(worker);
            let worker = build(&world).start().await.unwrap();
            settle().await;
            assert_eq!(handle.status().await.unwrap().blocked, Some(reason));
            drop(worker);
            let worker = first_build(&world).await;
            assert_eq!(world.drive(handle.result()).await.unwrap(), "tea 7 send");
            assert_eq!(handle.status().await.unwrap().blocked, None);
            world.drive(worker.shutdown()).await;
        }
    }

    async fn work_that_was_under_way_is_not_lost_on_a_build_that_does_not_fit(world: World) {
        let held = world.bare_builder().orchestrator(forever).activity(hang);
        let worker = held.start().await.unwrap();
        let handle = world.client().start(forever("a".to_owned())).await.unwrap();
        world.drive(async {
            while world.machines.tries("a") == 0 {
                tokio::task::yield_now().await;
            }
        }).await;
        drop(worker);
        // Nothing comes for it: that its activity is to be started again is enough.
        let worker = world.bare_builder().activity(hang).start().await.unwrap();
        let reason = world.blocked(&handle).await;
        assert_eq!(reason, "no worker has registered the orchestrator `forever`");
        assert_eq!(world.machines.tries("a"), 1);
        drop(worker);
        let _worker = world.bare_builder().orchestrator(forever).activity(hang).start().await.unwrap();
        world.drive(async {
            while world.machines.tries("a") == 1 {
                tokio::task::yield_now().await;
            }
        }).await;
        assert_eq!(handle.status().await.unwrap().blocked, None);
        handle.terminate("enough").await.unwrap();
        world.until(&handle, Status::Terminated).await;
    }
}
