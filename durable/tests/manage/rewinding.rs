//! Instances that failed go on from where they stood before: what failed is done again, and nothing
//! else.

use std::sync::Arc;

use durable::store::{Status, Store};
use durable::testing::{Fault, FaultyStore};
use durable::{ClientError, HistoryEvent};

use crate::world::*;

on_every_store! {
    async fn only_what_failed_runs_again(world: World) {
        let worker = world.worker().await;
        world.machines.break_down("c");
        let handle = worker.client().start(steps(named(&["a", "b", "c", "d"]))).await.unwrap();
        let failure = world.failure(&handle).await;
        assert!(failure.contains("the c is broken"), "{failure}");
        // It fails again as long as nothing has changed.
        handle.rewind("try again").await.unwrap();
        assert!(world.failure(&handle).await.contains("the c is broken"));
        world.machines.repair("c");
        handle.rewind("c works again").await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "a b c d");
        let tries = ["a", "b", "c", "d"].map(|name| world.machines.tries(name));
        assert_eq!(tries, [1, 1, 3, 1]);
        let status = handle.status().await.unwrap();
        assert_eq!((status.status, status.failure), (Status::Completed, None));
        let events = handle.history().await.unwrap().into_iter().flat_map(|turn| turn.events);
        let reasons: Vec<String> = events
            .filter_map(|event| match event {
                HistoryEvent::Rewound { reason } => Some(reason),
                _ => None,
            })
            .collect();
        assert_eq!(reasons, ["try again", "c works again"]);
    }

    async fn of_a_fan_out_only_what_failed_runs_again(world: World) {
        let worker = world.worker().await;
        let names: Vec<String> = (0..40).map(|n| format!("w{n}")).collect();
        for name in ["w3", "w30"] {
            world.machines.break_down(name);
        }
        let handle = worker.client().start(fan(names.clone())).await.unwrap();
        world.failure(&handle).await;
        settle().await;
        for name in ["w3", "w30"] {
            world.machines.repair(name);
        }
        world.drive(async {
            loop {
                handle.rewind("repaired").await.unwrap();
                match handle.result().await {
                    Ok(result) => break assert_eq!(result, names.join(" ")),
                    // The second failure came after the first one was looked at.
                    Err(error) => assert!(matches!(error, ClientError::Task(_)), "{error}"),
                }
            }
        }).await;
        for (n, name) in names.iter().enumerate() {
            let expected = if n == 3 || n == 30 { 2 } else { 1 };
            assert_eq!(world.machines.tries(name), expected, "{name}");
        }
    }

    async fn failed_children_are_rewound_too(world: World) {
        let worker = world.worker().await;
        world.machines.break_down("b");
        let call = family(3, named(&["a", "b", "c"])).instance_id("p");
        let handle = worker.client().start(call).await.unwrap();
        world.failure(&handle).await;
        let query = durable::InstanceQuery { parent: Some("p".to_owned()), ..Default::default() };
        let children = || worker.client().list(query.clone()).all();
        world.drive(async {
            while !children().await.unwrap().iter().all(|c| c.status == Status::Failed) {
                tokio::task::yield_now().await;
            }
        }).await;
        let before = children().await.unwrap();
        world.machines.repair("b");
        world.drive(async {
            loop {
                handle.rewind("repaired").await.unwrap();
                match handle.result().await {
                    Ok(result) => break assert_eq!(result, "a b c, a b c, a b c"),
                    Err(error) => assert!(matches!(error, ClientError::Task(_)), "{error}"),
                }
            }
        }).await;
        assert_eq!(world.machines.tries("a"), 3);
        assert_eq!(world.machines.tries("c"), 3);
        let after = children().await.unwrap();
        assert_eq!(after.len(), before.len(), "no child was started anew");
        assert!(after.iter().all(|child| child.status == Status::Completed));
    }

    async fn a_child_that_was_rewound_alone_is_asked_for_its_result(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        world.machines.break_down("b");
        let handle = client.start(family(1, named(&["a", "b"])).instance_id("p")).await.unwrap();
        world.failure(&handle).await;
        let query = durable::InstanceQuery { parent: Some("p".to_owned()), ..Default::default() };
        let child = client.list(query).all().await.unwrap().remove(0);
        let child = client.orchestration::<String>(child.id);
        world.machines.repair("b");
        child.rewind("it alone").await.unwrap();
        assert_eq!(world.drive(child.result()).await.unwrap(), "a b");
        settle().await;
        assert_eq!(handle.status().await.unwrap().status, Status::Failed);
        handle.rewind("and its parent").await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "a b");
        assert_eq!(world.machines.tries("b"), 2);
    }

    async fn a_child_that_is_gone_fails_its_parent_again(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        world.machines.break_down("a");
        let handle = client.start(family(1, named(&["a"])).instance_id("p")).await.unwrap();
        world.failure(&handle).await;
        let query = durable::InstanceQuery { parent: Some("p".to_owned()), ..Default::default() };
        assert_eq!(world.drive(client.purge(query).into_future()).await.unwrap().count, 1);
        handle.rewind("in vain").await.unwrap();
        let failure = world.failure(&handle).await;
        assert!(failure.contains("no instance"), "{failure}");
    }

    async fn a_failed_operation_is_called_again(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let handle = client.start(spender(5)).await.unwrap();
        let failure = world.failure(&handle).await;
        assert!(failure.contains("the purse is broken"), "{failure}");
        let purse = client.entity::<Purse>("mine");
        world.drive(purse.put(7).into_future()).await.unwrap();
        handle.rewind("there is money now").await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), 2);
        assert_eq!(world.machines.tries("purse maker"), 1);
    }

    async fn events_and_timers_are_as_they_were(world: World) {
        let worker = world.worker().await;
        world.machines.break_down("a");
        let handle = worker.client().start(mixed("a".to_owned())).await.unwrap();
        world.drive(handle.wait_for_start()).await.unwrap();
        for n in [1_u32, 2] {
            handle.raise_event("number", n).await.unwrap();
        }
        handle.raise_event("go", ()).await.unwrap();
        assert!(world.failure(&handle).await.contains("the a is broken"));
        let late = handle.raise_event("number", 3_u32).await.unwrap_err();
        assert!(matches!(late, ClientError::Ended { .. }), "{late}");
        world.machines.repair("a");
        handle.rewind("x").await.unwrap();
        handle.raise_event("number", 3_u32).await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "a 1 2 3 60");
        assert_eq!(world.machines.tries("a"), 2);
    }

    async fn a_program_that_fails_by_itself_runs_its_last_step_again(world: World) {
        let worker = world.worker().await;
        let handle = worker.client().start(picky("x".to_owned())).await.unwrap();
        world.drive(handle.wait_for_start()).await.unwrap();
        handle.raise_event("number", 1_u32).await.unwrap();
        assert!(world.failure(&handle).await.contains("not 1"));
        for _ in 0..2 {
            handle.rewind("nothing has changed").await.unwrap();
            assert!(world.failure(&handle).await.contains("not 1"));
        }
        assert_eq!(world.machines.tries("x"), 1);
        // From the first step too.
        let handle = worker.client().start(picky(String::new())).await.unwrap();
        assert!(world.failure(&handle).await.contains("no name"));
        handle.rewind("nothing has changed").await.unwrap();
        assert!(world.failure(&handle).await.contains("no name"));
    }

    async fn what_was_too_large_to_be_kept_stays_failed(world: World) {
        let client = world.client();
        let handle = client.start(heavy(1024 * 1024)).await.unwrap();
        // All of this is one turn, of many steps.
        for n in (0..12_u32).rev() {
            handle.raise_event("number", n).await.unwrap();
        }
        let _worker = world.worker().await;
        assert!(world.failure(&handle).await.contains("not 12"));
        handle.rewind("in vain").await.unwrap();
        let failure = world.failure(&handle).await;
        assert!(failure.contains("not 12"), "the failure is still the first: {failure}");
        let turns = handle.history().await.unwrap();
        let refused = turns.iter().flat_map(|turn| &turn.events).any(|event| {
            matches!(event, HistoryEvent::MessageRefused { reason } if reason.contains("too large"))
        });
        assert!(refused, "{turns:?}");
    }

    async fn what_did_not_fail_is_not_rewound(world: World) {
        let worker = world.worker().await;
        let client = worker.client();
        let nobody = client.orchestration::<()>("nobody").rewind("x").await.unwrap_err();
        assert!(matches!(nobody, ClientError::NotFound { .. }), "{nobody}");
        let running = client.start(collect(1)).await.unwrap();
        let error = running.rewind("x").await.unwrap_err();
        assert!(matches!(error, ClientError::NotFailed { .. }), "{error}");
        running.terminate("x").await.unwrap();
        world.until(&running, Status::Terminated).await;
        let error = running.rewind("x").await.unwrap_err();
        assert!(
            matches!(error, ClientError::NotFailed { status: Status::Terminated, .. }),
            "{error}"
        );
        let done = client.start(steps(vec![])).await.unwrap();
        world.drive(done.result()).await.unwrap();
        let error = done.rewind("x").await.unwrap_err();
        assert!(
            matches!(error, ClientError::NotFailed { status: Status::Completed, .. }),
            "{error}"
        );
    }

    async fn what_is_to_be_rewound_can_be_terminated_and_cannot_be_purged(world: World) {
        let client = world.client();
        let worker = world.worker().await;
        world.machines.break_down("a");
        let handle = client.start(steps(named(&["a"])).instance_id("a")).await.unwrap();
        world.failure(&handle).await;
        worker.shutdown().await;
        handle.rewind("x").await.unwrap();
        let error = handle.rewind("x").await.unwrap_err();
        assert!(matches!(error, ClientError::NotFailed { status: Status::Running, .. }), "{error}");
        let error = handle.purge().await.unwrap_err();
        assert!(matches!(error, ClientError::NotEnded { .. }), "{error}");
        let error = client.start(steps(vec![]).instance_id("a")).await.unwrap_err();
        assert!(matches!(error, ClientError::AlreadyExists { .. }), "{error}");
        handle.terminate("never mind").await.unwrap();
        let _worker = world.worker().await;
        world.drive(async {
            // It may fail once more before it is terminated.
            while !handle.status().await.unwrap().status.is_terminal() {
                tokio::task::yield_now().await;
            }
        }).await;
    }

    async fn a_build_that_cannot_go_on_blocks_it_until_one_can(world: World) {
        let client = world.client();
        let worker = world.worker().await;
        world.machines.break_down("a");
        let handle = client.start(steps(named(&["a"])).instance_id("a")).await.unwrap();
        world.failure(&handle).await;
        worker.shutdown().await;
        world.machines.repair("a");
        handle.rewind("with another build").await.unwrap();
        let worker = world.bare_builder().orchestrator(other::steps).activity(work);
        let worker = worker.start().await.unwrap();
        world.drive(async {
            while handle.status().await.unwrap().blocked.is_none() {
                tokio::task::yield_now().await;
            }
        }).await;
        let status = handle.status().await.unwrap();
        let reason = status.blocked.unwrap();
        assert!(reason.contains("does not fit this build"), "{reason}");
        assert_eq!(status.status, Status::Running);
        worker.shutdown().await;
        let _worker = world.worker().await;
        assert_eq!(world.drive(handle.result()).await.unwrap(), "a");
        assert_eq!(handle.status().await.unwrap().blocked, None);
    }
}

/// A program of the same name with other states.
mod other {
    use durable::prelude::*;

    #[orchestrator]
    pub async fn steps(
        ctx: &OrchestrationContext,
        names: Vec<String>,
    ) -> Result<String, TaskError> {
        let all = names.join(" ");
        ctx.wait_for_event::<String>("never").await?;
        Ok(all)
    }
}

/// Two children that fail, and a grandchild of each, while the worker dies at each commit in turn.
#[tokio::test]
async fn a_rewind_survives_a_death_at_any_commit() {
    for after in [false, true] {
        for at in 1.. {
            let world = World::memory();
            world.machines.break_down("b");
            let worker = world.worker().await;
            let call = family(2, named(&["a", "b", "c"])).instance_id("p");
            let handle = world.client().start(call).await.unwrap();
            world.failure(&handle).await;
            settle().await;
            drop(worker);
            settle().await;
            world.machines.repair("b");
            let faulty = Arc::new(FaultyStore::new(world.store.clone()));
            let death = if after { Fault::DeathAfter } else { Fault::Death };
            faulty.plan(move |number, _| if number == at { death } else { Fault::None });
            let inner = world.store.clone();
            let mut dying = World { store: faulty.clone() as Arc<dyn Store>, ..world };
            let worker = dying.worker().await;
            dying.store = inner;
            let client = dying.client();
            let handle = client.orchestration::<String>("p");
            let next = async {
                faulty.died().await;
                drop(worker);
                let _successor = dying.worker().await;
                std::future::pending::<()>().await;
            };
            let rewound = dying.drive(async {
                loop {
                    handle.rewind("repaired").await.unwrap();
                    if let Ok(result) = handle.result().await {
                        break result;
                    }
                }
            });
            let result = tokio::select! {
                result = rewound => result,
                () = next => unreachable!(),
            };
            assert_eq!(result, "a b c, a b c", "killed at commit {at}, after it: {after}");
            assert_eq!(dying.machines.tries("a"), 2, "killed at commit {at}, after it: {after}");
            if faulty.commits() < at {
                break;
            }
        }
    }
}
