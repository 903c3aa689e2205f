//! Crashes and faults: what is idempotent comes to the same, and what is not is reported.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use durable::ActivityContext;
use durable::store::SqliteStore;
use durable::testing::{self, TestHub, TestHubBuilder};

use crate::programs::*;

fn business() -> TestHubBuilder {
    TestHub::builder()
        .orchestrator(busy)
        .orchestrator(checkout)
        .activity(add_tax)
        .mock(charge, |_: u64, cents: u64| cents.to_string())
        .entity::<Counter>()
}

async fn one_order(hub: &TestHub) -> String {
    let handle = hub.client().start(busy(7).instance_id("order")).await.unwrap();
    handle.raise_event("answer", "yes".to_owned()).await.unwrap();
    hub.run(handle.result()).await.unwrap()
}

const EXPECTED: &str = "120 240 360 yes 11";

#[tokio::test]
async fn a_scenario_survives_a_crash_at_every_commit() {
    let values = Mutex::new(Vec::new());
    testing::crash_at_every_commit(business, async |hub| {
        let value = one_order(hub).await;
        values.lock().unwrap().push(value.clone());
        value
    })
    .await;
    let values = values.into_inner().unwrap();
    assert!(values.len() > 10, "{}", values.len());
    assert!(values.iter().all(|value| value == EXPECTED), "{values:?}");
}

/// A value that depends on how often an activity ran is not safe from crashes.
#[tokio::test]
async fn what_is_not_idempotent_is_reported() {
    let message = panic_of(testing::crash_at_every_commit(
        || {
            let bank = World::default();
            TestHub::builder().orchestrator(checkout).activity(add_tax).mock_async(
                charge,
                move |ctx: ActivityContext, order: u64, _: u64| {
                    let bank = bank.clone();
                    async move {
                        bank.see(format!("{order} of {}", ctx.instance_id()));
                        format!("charged {} times", bank.seen().len())
                    }
                },
            )
        },
        async |hub| {
            let call = checkout(7, 100).instance_id("order");
            let handle = hub.client().start(call).await.unwrap();
            hub.run(handle.result()).await.unwrap()
        },
    ))
    .await;
    assert_eq!(
        message,
        "the scenario, with its worker killed before commit 3 of 3 (`order` (checkout)), came to \
         another value\n    this time: \"charged 2 times\"\n  undisturbed: \"charged 1 times\"\n  \
         `charge` began 2 times instead of 1"
    );
}

#[tokio::test]
async fn a_scenario_that_panics_is_reported_with_its_commit() {
    let runs = AtomicUsize::new(0);
    let message = panic_of(testing::crash_at_every_commit(business, async |hub| {
        let value = one_order(hub).await;
        assert!(runs.fetch_add(1, Ordering::Relaxed) < 2, "the third run is bad");
        value
    }))
    .await;
    assert!(message.contains("killed before commit 2 of"), "{message}");
    assert!(message.contains("panicked\n    this time: the third run is bad"), "{message}");
}

#[tokio::test]
async fn a_scenario_that_is_never_the_same_is_not_blamed_on_the_crash() {
    let runs = AtomicUsize::new(0);
    let message = panic_of(testing::crash_at_every_commit(TestHub::builder, async |_| {
        runs.fetch_add(1, Ordering::Relaxed)
    }))
    .await;
    assert!(message.contains("again, with its worker not even killed"), "{message}");
}

#[tokio::test]
async fn runs_of_a_sweep_must_not_share_a_store() {
    let store = std::sync::Arc::new(durable::store::MemoryStore::new());
    let message = panic_of(testing::crash_at_every_commit(
        move || business().store(store.clone()),
        one_order,
    ))
    .await;
    assert!(message.contains("two runs of the sweep share a store"), "{message}");
}

#[tokio::test]
async fn a_database_survives_a_crash_at_every_commit() {
    let directory = tempfile::tempdir().unwrap();
    let count = AtomicUsize::new(0);
    testing::crash_at_every_commit(
        || {
            let number = count.fetch_add(1, Ordering::Relaxed);
            let path = directory.path().join(format!("{number}.db"));
            TestHub::builder()
                .orchestrator(checkout)
                .activity(add_tax)
                .mock(charge, |_: u64, cents: u64| cents.to_string())
                .store_with(async { SqliteStore::open(path).await.unwrap() })
        },
        async |hub| {
            let handle = hub.client().start(checkout(7, 100)).await.unwrap();
            hub.run(handle.result()).await.unwrap()
        },
    )
    .await;
}

#[tokio::test]
async fn a_worker_can_be_killed_at_any_time() {
    let attempts = World::default();
    let seen = attempts.clone();
    let hub = TestHub::builder()
        .orchestrator(checkout)
        .activity(add_tax)
        .mock_async(charge, move |ctx: ActivityContext, _: u64, _: u64| {
            let attempts = attempts.clone();
            async move {
                attempts.see(ctx.attempt().to_string());
                testing::sleep(Duration::from_hours(2)).await;
                "paid".to_owned()
            }
        })
        .start()
        .await;
    let began = hub.now();
    let handle = hub.client().start(checkout(7, 100)).await.unwrap();
    hub.advance(Duration::from_hours(1)).await;
    hub.crash().await;
    assert_eq!(hub.run(handle.result()).await.unwrap(), "paid");
    assert_eq!(seen.seen(), ["1", "2"]);
    assert_eq!(hub.now(), began + Duration::from_hours(3));
}

#[tokio::test]
async fn faults_of_the_store_change_nothing() {
    for seed in 0..20 {
        let hub = business().faults(seed).start().await;
        assert_eq!(one_order(&hub).await, EXPECTED, "seed {seed}");
        hub.crash().await;
        let handle = hub.client().start(checkout(8, 100)).await.unwrap();
        assert_eq!(hub.run(handle.result()).await.unwrap(), "120", "seed {seed}");
    }
}
