//! Versions that a worker does not take: they are left for another worker, or fail.

use std::sync::Arc;
use std::time::Duration;

use durable::testing::{Fault, FaultyStore};
use durable::{
    Client, ClientError, Handle, Status, TaskErrorKind, VersionMatch, VersionMismatch, Worker,
};

use crate::versions::{asks, builder, patient};
use crate::world::*;

async fn strict(
    world: &World,
    version: &str,
    version_match: VersionMatch,
    mismatch: VersionMismatch,
) -> Worker {
    let builder = builder(world).default_version(version).version_match(version_match);
    builder.on_version_mismatch(mismatch).start().await.unwrap()
}

/// A patient of a version, under an id, from a process without a worker.
async fn start(client: &Client, id: &str, version: &str) -> Handle<String> {
    client.start(patient().instance_id(id).version(version)).await.unwrap()
}

async fn go(handle: &Handle<String>, word: &str) {
    handle.raise_event("go", word.to_owned()).await.unwrap();
}

const SWEEPS: [(VersionMatch, &[&str]); 3] = [
    (VersionMatch::Any, &["", "1.9", "1.10", "2.0"]),
    (VersionMatch::Strict, &["1.10"]),
    (VersionMatch::CurrentOrOlder, &["", "1.9", "1.10"]),
];

on_every_store! {
    async fn a_worker_rejects_what_it_does_not_match_until_one_comes_that_does(world: World) {
        let client = world.client();
        for (version_match, taken) in SWEEPS {
            let reject = VersionMismatch::Reject;
            let worker = strict(&world, "1.10", version_match, reject).await;
            let mut waiting = Vec::new();
            for version in ["", "1.9", "1.10", "2.0"] {
                let handle = start(&client, &format!("{version_match:?} {version}"), version).await;
                if taken.contains(&version) {
                    go(&handle, "gone").await;
                    let result = world.drive(handle.result()).await.unwrap();
                    assert_eq!(result, format!("gone {version}"), "{version_match:?}");
                    continue;
                }
                go(&handle, "late").await;
                let reason = world.blocked(&handle).await;
                let what = if version_match == VersionMatch::Strict {
                    "does not match"
                } else {
                    "is greater than"
                };
                assert_eq!(reason, format!(
                    "The orchestration version '{version}' {what} the worker version '1.10'."
                ));
                assert_eq!(handle.status().await.unwrap().status, Status::Pending);
                waiting.push((handle, format!("late {version}")));
            }
            drop(worker);
            // One that takes it owns its partition now.
            let worker = builder(&world).start().await.unwrap();
            for (handle, expected) in waiting {
                assert_eq!(world.drive(handle.result()).await.unwrap(), expected);
                assert_eq!(handle.status().await.unwrap().blocked, None);
            }
            world.drive(worker.shutdown()).await;
        }
    }

    async fn a_worker_fails_what_it_does_not_match_if_it_is_told_to(world: World) {
        let client = world.client();
        for (version_match, taken) in SWEEPS {
            let worker = strict(&world, "1.10", version_match, VersionMismatch::Fail).await;
            for version in ["", "1.9", "1.10", "2.0"] {
                let handle = start(&client, "a", version).await;
                if taken.contains(&version) {
                    go(&handle, "gone").await;
                    let result = world.drive(handle.result()).await.unwrap();
                    assert_eq!(result, format!("gone {version}"), "{version_match:?}");
                    continue;
                }
                let error = world.drive(handle.result()).await.unwrap_err();
                let ClientError::Task(error) = error else { panic!("{error}") };
                assert_eq!(error.failure().error_type, "VersionMismatch");
                assert_eq!(error.kind(), TaskErrorKind::Refused);
                let text = format!("The orchestration version '{version}' ");
                assert!(error.to_string().contains(&text), "{error}");
                let status = handle.status().await.unwrap();
                assert_eq!((status.status, status.blocked), (Status::Failed, None));
            }
            world.drive(worker.shutdown()).await;
        }
    }

    async fn what_runs_is_rejected_and_goes_on_later(world: World) {
        let client = world.client();
        let worker = builder(&world).start().await.unwrap();
        let handle = start(&client, "a", "1").await;
        let suspended = start(&client, "s", "1").await;
        for handle in [&handle, &suspended] {
            world.until(handle, Status::Running).await;
        }
        suspended.suspend("for now").await.unwrap();
        world.until(&suspended, Status::Suspended).await;
        let saved = handle.status().await.unwrap().saved;
        drop(worker);
        let worker = strict(&world, "2", VersionMatch::Strict, VersionMismatch::Reject).await;
        go(&handle, "one").await;
        suspended.resume("now").await.unwrap();
        for handle in [&handle, &suspended] {
            world.blocked(handle).await;
        }
        let status = handle.status().await.unwrap();
        assert_eq!((status.status, status.saved), (Status::Running, saved));
        // Whatever blocks it, it can be ended.
        let other = start(&client, "b", "1").await;
        world.blocked(&other).await;
        other.terminate("not needed").await.unwrap();
        world.until(&other, Status::Terminated).await;
        drop(worker);
        let worker = strict(&world, "1.0", VersionMatch::Strict, VersionMismatch::Reject).await;
        let reason = world.blocked(&handle).await;
        world.drive(async {
            while !handle.status().await.unwrap().blocked.unwrap().contains("'1.0'") {
                tokio::task::yield_now().await;
            }
        }).await;
        assert!(reason.contains("does not match"), "{reason}");
        drop(worker);
        let _worker = strict(&world, "1", VersionMatch::Strict, VersionMismatch::Reject).await;
        assert_eq!(world.drive(handle.result()).await.unwrap(), "one 1");
        go(&suspended, "two").await;
        assert_eq!(world.drive(suspended.result()).await.unwrap(), "two 1");
        assert_eq!(handle.status().await.unwrap().blocked, None);
    }

    async fn a_child_that_is_rejected_can_be_ended_and_its_parent_hears_of_it(world: World) {
        let older = VersionMatch::CurrentOrOlder;
        let client = world.client();
        for dies in [false, true] {
            let mut worker = strict(&world, "2", older, VersionMismatch::Reject).await;
            let parent = client.start(asks("3".to_owned())).await.unwrap();
            let child = client.orchestration::<String>("asked");
            world.drive(async {
                while !child.status().await.is_ok_and(|s| s.blocked.is_some()) {
                    tokio::task::yield_now().await;
                }
            }).await;
            if dies {
                drop(worker);
                child.terminate("never mind").await.unwrap();
                worker = strict(&world, "2", older, VersionMismatch::Reject).await;
            } else {
                child.terminate("never mind").await.unwrap();
            }
            assert!(world.failure(&child).await.contains("never mind"));
            assert!(world.failure(&parent).await.contains("never mind"));
            world.drive(worker.shutdown()).await;
        }
    }

    async fn what_failed_of_its_version_can_be_rewound_where_it_fits(world: World) {
        let client = world.client();
        let worker = builder(&world).start().await.unwrap();
        let parent = client.start(asks("1".to_owned())).await.unwrap();
        let child = client.orchestration::<String>("asked");
        world.drive(async {
            while child.status().await.map_or(Status::Pending, |s| s.status) != Status::Running {
                tokio::task::yield_now().await;
            }
        }).await;
        drop(worker);
        let older = VersionMatch::CurrentOrOlder;
        let worker = strict(&world, "0.9", older, VersionMismatch::Fail).await;
        go(&child, "kept").await;
        let failure = world.failure(&parent).await;
        assert!(failure.contains("'1' is greater than the worker version '0.9'"), "{failure}");
        assert!(world.failure(&child).await.contains("is greater than"));
        // Here it fails again, and says so to its parent.
        parent.rewind("in vain").await.unwrap();
        world.until(&parent, Status::Failed).await;
        assert!(world.failure(&parent).await.contains("is greater than"));
        assert!(world.failure(&child).await.contains("is greater than"));
        drop(worker);
        let _worker = strict(&world, "1", older, VersionMismatch::Fail).await;
        parent.rewind("where it fits").await.unwrap();
        assert_eq!(world.drive(parent.result()).await.unwrap(), "first kept 1");
        assert_eq!(world.machines.tries("first"), 1);
        assert_eq!(child.status().await.unwrap().status, Status::Completed);
    }

    async fn what_failed_by_itself_is_rewound_only_where_it_fits(world: World) {
        let client = world.client();
        world.machines.break_down("a");
        let worker = builder(&world).start().await.unwrap();
        let call = steps(named(&["x", "a"])).instance_id("a").version("1");
        let handle = client.start(call).await.unwrap();
        world.failure(&handle).await;
        drop(worker);
        world.machines.repair("a");
        let strictly = VersionMatch::Strict;
        let worker = strict(&world, "2", strictly, VersionMismatch::Reject).await;
        handle.rewind("repaired").await.unwrap();
        let reason = world.blocked(&handle).await;
        assert!(reason.contains("'1' does not match the worker version '2'"), "{reason}");
        drop(worker);
        let worker = strict(&world, "2", strictly, VersionMismatch::Fail).await;
        world.until(&handle, Status::Failed).await;
        assert_eq!(handle.status().await.unwrap().blocked, None);
        assert!(world.failure(&handle).await.contains("broken"));
        drop(worker);
        let _worker = strict(&world, "1", strictly, VersionMismatch::Fail).await;
        handle.rewind("where it fits").await.unwrap();
        assert_eq!(world.drive(handle.result()).await.unwrap(), "x a");
        assert_eq!(world.machines.tries("x"), 1);
    }

    async fn a_scheduled_instance_fails_no_sooner_than_it_would_start(world: World) {
        let client = world.client();
        let at = world.now() + FAR;
        let call = patient().start_at(at).version("1");
        let handle = client.start(call.instance_id("a")).await.unwrap();
        let call = patient().start_at(at).version("1");
        let other = client.start(call.instance_id("b")).await.unwrap();
        let _worker = strict(&world, "2", VersionMatch::Strict, VersionMismatch::Fail).await;
        go(&handle, "early").await;
        other.terminate("not needed").await.unwrap();
        assert!(world.failure(&other).await.contains("not needed"));
        settle().await;
        assert_eq!(handle.status().await.unwrap().status, Status::Pending);
        world.clock.advance_to(at + Duration::from_secs(1));
        assert!(world.failure(&handle).await.contains("does not match"));
    }
}

/// A child that its worker does not take fails, and its parent hears of it, wherever a worker dies.
#[tokio::test]
async fn a_mismatch_survives_a_death_at_any_commit() {
    for (at, after) in (1..).flat_map(|at| [(at, false), (at, true)]) {
        let world = World::memory();
        let faulty = Arc::new(FaultyStore::new(world.store.clone()));
        let death = if after { Fault::DeathAfter } else { Fault::Death };
        faulty.plan(move |number, _| if number == at { death } else { Fault::None });
        let inner = world.store.clone();
        let mut dying = World { store: faulty.clone(), ..world };
        let (older, fail) = (VersionMatch::CurrentOrOlder, VersionMismatch::Fail);
        let worker = strict(&dying, "2", older, fail).await;
        dying.store = inner;
        let handle = dying.client().start(asks("3".to_owned())).await.unwrap();
        let next = async {
            faulty.died().await;
            drop(worker);
            let _successor = strict(&dying, "2", older, fail).await;
            std::future::pending::<()>().await;
        };
        let failure = tokio::select! {
            failure = dying.failure(&handle) => failure,
            () = next => unreachable!(),
        };
        assert!(failure.contains("'3' is greater than"), "killed at commit {at}: {failure}");
        if faulty.commits() < at {
            break;
        }
    }
}
