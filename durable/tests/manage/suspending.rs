//! Suspended instances take everything in and do nothing, until they are resumed.

use std::time::Duration;

use durable::{ClientError, HistoryEvent, Status};

use crate::world::*;

on_every_store! {
    async fn what_arrives_meanwhile_is_run_in_order_after(world: World) {
        let worker = world.worker().await;
        let handle = worker.client().start(collect(4).instance_id("a")).await.unwrap();
        handle.raise_event("number", 1_u32).await.unwrap();
        handle.suspend("look at it").await.unwrap();
        world.until(&handle, Status::Suspended).await;
        for n in [2_u32, 3] {
            handle.raise_event("number", n).await.unwrap();
        }
        settle().await;
        let status = handle.status().await.unwrap();
        assert_eq!(status.status, Status::Suspended);
        assert_eq!(status.custom_status.unwrap().as_str(), "1", "it has not seen the others");
        handle.suspend("once more").await.unwrap();
        handle.resume("looked at").await.unwrap();
        handle.resume("once more").await.unwrap();
        handle.raise_event("number", 4_u32).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), [1, 2, 3, 4]);
        let events = handle.history().await.unwrap().into_iter().flat_map(|turn| turn.events);
        let managed: Vec<String> = events
            .filter_map(|event| match event {
                HistoryEvent::Suspended { reason } => Some(format!("suspended: {reason}")),
                HistoryEvent::Resumed { reason } => Some(format!("resumed: {reason}")),
                _ => None,
            })
            .collect();
        assert_eq!(managed, ["suspended: look at it", "resumed: looked at"]);
    }

    async fn timers_and_results_are_kept(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let sleeper = client.start(counts_down(2)).await.unwrap();
        sleeper.suspend("x").await.unwrap();
        // Its children have so much to do that they are not done when it is suspended.
        let names: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let done = names.join(" ");
        let parent = client.start(family(2, names).instance_id("p")).await.unwrap();
        parent.suspend("x").await.unwrap();
        world.until(&sleeper, Status::Suspended).await;
        world.until(&parent, Status::Suspended).await;
        for _ in 0..10 {
            world.clock.advance(Duration::from_secs(5));
            settle().await;
        }
        assert_eq!(sleeper.status().await.unwrap().status, Status::Suspended);
        assert_eq!(parent.status().await.unwrap().status, Status::Suspended);
        let resumed = world.now();
        sleeper.resume("x").await.unwrap();
        parent.resume("x").await.unwrap();
        assert_eq!(world.drive(parent.result()).await.unwrap(), format!("{done}, {done}"));
        assert_eq!(world.drive(sleeper.result()).await.unwrap(), 2);
        // The first sleep was over, the second began with the resumption.
        assert!(world.now() >= resumed + Duration::from_secs(1));
    }

    async fn a_suspended_instance_can_be_terminated(world: World) {
        let worker = world.worker().await;
        let handle = worker.client().start(collect(1)).await.unwrap();
        handle.suspend("x").await.unwrap();
        world.until(&handle, Status::Suspended).await;
        handle.terminate("enough").await.unwrap();
        assert!(world.failure(&handle).await.contains("enough"));
        for error in [
            handle.suspend("x").await.unwrap_err(),
            handle.resume("x").await.unwrap_err(),
            handle.raise_event("number", 1_u32).await.unwrap_err(),
            handle.terminate("x").await.unwrap_err(),
        ] {
            assert!(
                matches!(error, ClientError::Ended { status: Status::Terminated, .. }),
                "{error}"
            );
        }
    }

    async fn a_suspension_survives_workers(world: World) {
        let client = world.client();
        let handle = client.start(collect(3)).await.unwrap();
        let worker = world.worker().await;
        handle.suspend("x").await.unwrap();
        world.until(&handle, Status::Suspended).await;
        drop(worker);
        handle.raise_event("number", 1_u32).await.unwrap();
        let worker = world.worker().await;
        handle.raise_event("number", 2_u32).await.unwrap();
        settle().await;
        assert_eq!(handle.status().await.unwrap().status, Status::Suspended);
        worker.shutdown().await;
        handle.raise_event("number", 3_u32).await.unwrap();
        handle.resume("x").await.unwrap();
        let _worker = world.worker().await;
        assert_eq!(world.drive(handle.result()).await.unwrap(), [1, 2, 3]);
    }

    async fn what_has_not_begun_waits_too(world: World) {
        let worker = world.worker().await;
        let at = world.now() + FAR;
        let handle = worker.client().start(moment().start_at(at)).await.unwrap();
        handle.suspend("x").await.unwrap();
        world.until(&handle, Status::Suspended).await;
        handle.resume("x").await.unwrap();
        world.until(&handle, Status::Pending).await;
        handle.suspend("x").await.unwrap();
        world.until(&handle, Status::Suspended).await;
        let later = at + Duration::from_hours(1);
        world.clock.advance_to(later);
        settle().await;
        assert_eq!(handle.status().await.unwrap().status, Status::Suspended);
        handle.resume("x").await.unwrap();
        let (began, _) = world.drive(handle.result()).await.unwrap();
        assert!(began >= later, "{began}");
    }
}
