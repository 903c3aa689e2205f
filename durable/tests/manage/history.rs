//! How much of the history is kept.

use std::sync::{Arc, Mutex};

use durable::{HistoryEvent, HistoryRetention, Status, WorkerError};

use crate::world::*;

on_every_store! {
    async fn the_application_is_told_of_beginnings_and_ends(world: World) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&told);
        let worker = world
            .builder()
            .on_lifecycle(move |event| {
                listener.lock().unwrap().push((event.name.clone(), event.status));
                assert!(event.status != Status::Failed, "a listener that panics harms nobody");
            })
            .start()
            .await
            .unwrap();
        let client = worker.client();
        let quick = client.start(moment()).await.unwrap();
        world.drive(quick.result()).await.unwrap();
        world.machines.break_down("bad");
        let bad = client.start(steps(named(&["bad"]))).await.unwrap();
        world.failure(&bad).await;
        let ended = client.start(collect(1)).await.unwrap();
        ended.suspend("a while").await.unwrap();
        world.until(&ended, Status::Suspended).await;
        ended.terminate("enough").await.unwrap();
        world.until(&ended, Status::Terminated).await;
        // The listener is told after the commit, which a client may see before it.
        let last = ("collect".to_owned(), Status::Terminated);
        world.drive(async { while !told.lock().unwrap().contains(&last) { settle().await; } }).await;
        let told = told.lock().unwrap().clone();
        let of = |name| told.iter().filter(|(n, _)| n == name).map(|(_, s)| *s).collect::<Vec<_>>();
        assert_eq!(of("moment"), [Status::Running, Status::Completed]);
        assert_eq!(of("steps"), [Status::Running, Status::Failed]);
        let ended = of("collect");
        assert_eq!(ended[ended.len() - 2..], [Status::Suspended, Status::Terminated]);
    }

    async fn everything_is_kept_unless_told_otherwise(world: World) {
        let worker = world.worker().await;
        let handle = worker.client().start(counts_down(30)).await.unwrap();
        world.drive(handle.result()).await.unwrap();
        let turns = handle.history().await.unwrap();
        assert_eq!(turns.len(), 31);
        assert!(matches!(turns[0].events[0], HistoryEvent::Started { .. }));
    }

    async fn of_a_long_loop_the_last_turns_are_kept(world: World) {
        let builder = world.builder().history(HistoryRetention::LastTurns(5));
        let worker = builder.start().await.unwrap();
        let handle = worker.client().start(counts_down(60).instance_id("a")).await.unwrap();
        world.drive(handle.result()).await.unwrap();
        let turns = handle.history().await.unwrap();
        assert_eq!(turns.len(), 5);
        let last = &turns[4].events;
        assert!(matches!(last.last(), Some(HistoryEvent::Completed { .. })), "{last:?}");
        assert!(turns.iter().flat_map(|turn| &turn.events).count() < 20);
    }

    async fn nothing_is_kept_if_nothing_is_wanted(world: World) {
        let worker = world.worker().await;
        let client = world.client();
        let handle = client.start(collect(3).instance_id("a")).await.unwrap();
        handle.raise_event("number", 1_u32).await.unwrap();
        world.drive(async {
            while handle.status().await.unwrap().custom_status.is_none() {
                tokio::task::yield_now().await;
            }
        }).await;
        assert!(!handle.history().await.unwrap().is_empty());
        worker.shutdown().await;
        // A worker that keeps nothing deletes what was kept before, and rewinding needs none of it.
        let _worker = world.builder().history(HistoryRetention::None).start().await.unwrap();
        world.machines.break_down("a");
        let fails = client.start(steps(named(&["a"]))).await.unwrap();
        world.failure(&fails).await;
        for n in [2_u32, 3] {
            handle.raise_event("number", n).await.unwrap();
        }
        assert_eq!(world.drive(handle.result()).await.unwrap(), [1, 2, 3]);
        assert_eq!(handle.history().await.unwrap().len(), 0);
        world.machines.repair("a");
        fails.rewind("x").await.unwrap();
        assert_eq!(world.drive(fails.result()).await.unwrap(), "a");
        assert_eq!(fails.history().await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn no_turns_at_all_are_asked_for_by_name() {
    let builder = World::memory().builder().history(HistoryRetention::LastTurns(0));
    let error = builder.start().await.unwrap_err();
    assert!(matches!(error, WorkerError::Option { option: "history", .. }), "{error}");
}
