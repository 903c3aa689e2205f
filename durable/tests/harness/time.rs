//! Time: it passes at once, as far as it is needed, and never before what comes before it.

use std::time::Duration;

use durable::ActivityContext;
use durable::store::{SqliteStore, Status};
use durable::testing::{self, TestHub, TestHubBuilder};

use crate::programs::*;

const HOUR: Duration = Duration::from_hours(1);

fn office() -> TestHubBuilder {
    TestHub::builder().orchestrator(approval).mock(mail, |_: String| ())
}

#[tokio::test]
async fn days_pass_at_once_and_no_further() {
    let hub = office().start().await;
    let began = hub.now();
    let handle = hub.client().start(approval("Ann".to_owned())).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "nobody");
    assert_eq!(hub.now(), began + 72 * HOUR);
}

#[tokio::test]
async fn centuries_pass_too() {
    let hub = TestHub::builder().orchestrator(naps).start().await;
    let began = hub.now();
    let handle = hub.client().start(naps(365, 300)).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), 300);
    assert_eq!(hub.now(), began + 24 * 365 * 300 * HOUR);
}

#[tokio::test]
async fn an_event_before_the_timeout_wins_and_takes_no_time() {
    let hub = office().start().await;
    let began = hub.now();
    let handle = hub.client().start(approval("Ann".to_owned())).await.unwrap();
    handle.raise_event("answer", "yes".to_owned()).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "yes");
    assert_eq!(hub.now(), began);
}

#[tokio::test]
async fn an_event_in_the_last_moment_wins_and_one_after_it_does_not() {
    let hub = office().start().await;
    let handle = hub.client().start(approval("Ann".to_owned())).await.unwrap();
    hub.advance(71 * HOUR + Duration::from_micros(3_599_999_999)).await;
    handle.raise_event("answer", "yes".to_owned()).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "yes");

    let handle = hub.client().start(approval("Bob".to_owned())).await.unwrap();
    hub.advance(72 * HOUR).await;
    assert!(handle.raise_event("answer", "yes".to_owned()).await.is_err());
    assert_eq!(hub.run(handle.result()).await.unwrap(), "nobody");
}

#[tokio::test]
async fn a_timer_that_was_cancelled_takes_no_time() {
    let hub = office().orchestrator(naps).start().await;
    let began = hub.now();
    let handle = hub.client().start(approval("Ann".to_owned())).await.unwrap();
    hub.settle().await;
    handle.raise_event("answer", "yes".to_owned()).await.unwrap();
    let nap = hub.client().start(naps(30, 1)).await.unwrap();
    hub.run(async { (handle.result().await.unwrap(), nap.result().await.unwrap()) }).await;
    assert_eq!(hub.now(), began + 24 * 30 * HOUR);
}

#[tokio::test]
async fn time_can_be_let_pass_step_by_step() {
    let hub = office().start().await;
    let began = hub.now();
    let handle = hub.client().start(approval("Ann".to_owned())).await.unwrap();
    hub.advance(71 * HOUR).await;
    assert_eq!(hub.now(), began + 71 * HOUR);
    assert_eq!(handle.status().await.unwrap().status, Status::Running);
    hub.advance(HOUR).await;
    assert_eq!(handle.status().await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn one_long_advance_goes_from_timer_to_timer() {
    let hub = TestHub::builder().orchestrator(naps).start().await;
    let handle = hub.client().start(naps(1, 10)).await.unwrap();
    hub.advance(24 * 10 * HOUR).await;
    assert_eq!(handle.status().await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn what_needs_no_time_needs_no_run() {
    let hub = office().entity::<Counter>().start().await;
    let counter = hub.client().entity::<Counter>("a");
    assert_eq!(counter.add(2).await.unwrap(), 2);
    let handle = hub.client().start(approval("Ann".to_owned())).await.unwrap();
    handle.raise_event("answer", "yes".to_owned()).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), "yes");
}

/// What waits for other threads is not waited for by time.
#[tokio::test]
async fn time_stands_still_while_an_activity_works() {
    let hub = TestHub::builder()
        .orchestrator(limited)
        .mock_async(charge, |_: ActivityContext, _: u64, _: u64| async {
            let (send, receive) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || {
                let until = std::thread::available_parallelism().unwrap().get() * 1_000;
                (0..until).for_each(|_| std::thread::yield_now());
                send.send("paid".to_owned())
            });
            receive.await
        })
        .start()
        .await;
    let handle = hub.client().start(limited(7)).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "paid");
}

#[tokio::test]
async fn an_activity_that_hangs_meets_its_time_limit() {
    let hub = TestHub::builder()
        .orchestrator(limited)
        .mock_async(charge, |ctx: ActivityContext, _: u64, _: u64| async move {
            ctx.cancelled().await;
            Err::<String, _>("cancelled")
        })
        .start()
        .await;
    let began = hub.now();
    let handle = hub.client().start(limited(7)).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "too late");
    assert_eq!(hub.now(), began + HOUR);
}

#[tokio::test]
async fn what_is_known_to_hang_lets_time_pass() {
    let hub = TestHub::builder()
        .orchestrator(limited)
        .mock_async(charge, |_: ActivityContext, _: u64, _: u64| {
            testing::let_time_pass(std::future::pending::<String>())
        })
        .start()
        .await;
    let handle = hub.client().start(limited(7)).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "too late");
}

#[tokio::test]
async fn a_mock_that_is_faster_than_its_limit_is_in_time() {
    let hub = TestHub::builder()
        .orchestrator(limited)
        .mock_async(charge, |_: ActivityContext, _: u64, _: u64| async {
            testing::sleep(HOUR / 2).await;
            "paid".to_owned()
        })
        .start()
        .await;
    let handle = hub.client().start(limited(7)).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "paid");
}

#[tokio::test]
async fn a_database_can_be_under_test() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    let open = async move { SqliteStore::open(path).await.unwrap() };
    let hub = office().entity::<Counter>().store_with(open).start().await;
    let began = hub.now();
    let answered = hub.client().start(approval("Ann".to_owned())).await.unwrap();
    let ignored = hub.client().start(approval("Bob".to_owned())).await.unwrap();
    answered.raise_event("answer", "yes".to_owned()).await.unwrap();
    assert_eq!(hub.run(answered.result()).await.unwrap(), "yes");
    assert_eq!(hub.now(), began);
    assert_eq!(hub.client().entity::<Counter>("a").add(1).await.unwrap(), 1);
    hub.crash().await;
    assert_eq!(hub.run(ignored.result()).await.unwrap(), "nobody");
    assert_eq!(hub.now(), began + 72 * HOUR);
}
