//! Mocks: their results, errors and arguments, beside real activities.

use std::convert::Infallible;
use std::time::Duration;

use durable::testing::{self, TestHub, TestHubBuilder};
use durable::{ActivityContext, ClientError, TaskError, TaskErrorKind};

use crate::programs::*;

fn shop() -> TestHubBuilder {
    TestHub::builder().orchestrator(checkout).activity(add_tax)
}

/// The failure of the charge in a checkout, which fails of it.
async fn failure(builder: TestHubBuilder) -> TaskError {
    let hub = builder.start().await;
    let handle = hub.client().start(checkout(7, 100)).await.unwrap();
    match hub.run(handle.result()).await {
        Err(ClientError::Task(error)) => error.downcast().unwrap(),
        other => panic!("not a failure: {other:?}"),
    }
}

#[tokio::test]
async fn a_mock_takes_the_place_of_an_activity_beside_a_real_one() {
    let hub = shop()
        .mock(charge, |order: u64, cents: u64| {
            Ok::<_, Infallible>(format!("receipt {order}: {cents}"))
        })
        .start()
        .await;
    let handle = hub.client().start(checkout(7, 100)).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "receipt 7: 120");
    assert_eq!((hub.calls("charge"), hub.calls("add_tax")), (1, 1));
    assert_eq!(hub.calls_of(charge), [(7, 120)]);
    assert_eq!(hub.calls_of(add_tax), [(100,)]);
}

#[tokio::test]
async fn a_mock_may_return_the_value_itself() {
    let hub = shop().mock(charge, |_: u64, cents: u64| cents.to_string()).start().await;
    let handle = hub.client().start(checkout(7, 100)).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "120");
}

#[tokio::test]
async fn an_error_of_the_declared_type_keeps_its_data() {
    let declined = |_: u64, _: u64| Err(Declined { reason: "limit".to_owned() });
    let mocked = failure(shop().mock(charge, declined)).await;
    assert_eq!(mocked.kind(), TaskErrorKind::Failed);
    assert_eq!(mocked.failure().message, "declined: limit");
    assert_eq!(mocked.downcast(), Some(Declined { reason: "limit".to_owned() }));
    // Exactly as from the real one.
    let real = failure(shop().activity(charge)).await;
    assert_eq!(real.failure().error_type, mocked.failure().error_type);
}

#[tokio::test]
async fn any_error_keeps_its_type_message_and_sources() {
    let error = |_: u64, _: u64| Err(std::io::Error::other("unplugged"));
    let failed = failure(shop().mock(charge, error)).await;
    assert_eq!(failed.failure().error_type, "std::io::error::Error");
    assert_eq!(failed.failure().message, "unplugged");
    let error = |_: u64, _: u64| Err(anyhow::anyhow!("the cable").context("no line"));
    let failed = failure(shop().mock(charge, error)).await;
    assert_eq!(failed.failure().message, "no line");
    assert_eq!(failed.failure().sources, ["the cable"]);
    let failed = failure(shop().mock(charge, |_: u64, _: u64| Err("text"))).await;
    assert_eq!(failed.failure().message, "text");
}

#[tokio::test]
async fn a_mock_that_panics_is_a_failed_attempt() {
    let hub = TestHub::builder()
        .orchestrator(patient)
        .mock(charge, {
            let mut calls = 0;
            move |order: u64, _: u64| -> String {
                calls += 1;
                assert!(calls > 1, "the first one falls down");
                format!("receipt {order}")
            }
        })
        .start()
        .await;
    let handle = hub.client().start(patient(7)).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "receipt 7");
}

#[tokio::test]
async fn a_mock_fails_twice_and_then_succeeds() {
    let mut calls = 0;
    let hub = TestHub::builder()
        .orchestrator(patient)
        .mock(charge, move |order: u64, _: u64| {
            calls += 1;
            if calls <= 2 { Err("declined") } else { Ok(format!("receipt {order}")) }
        })
        .start()
        .await;
    let handle = hub.client().start(patient(7)).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "receipt 7");
    assert_eq!(hub.calls("charge"), 3);
}

#[tokio::test]
async fn a_method_is_mocked_alone() {
    let hub = TestHub::builder()
        .orchestrator(delivery)
        .mock(Warehouse::reserve, |_: u64| Ok::<_, Declined>(3))
        .mock(Warehouse::ship, |shelf: u64| format!("parcel from {shelf}"))
        .start()
        .await;
    let handle = hub.client().start(delivery(7)).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "parcel from 3");
    assert_eq!(hub.calls_of(Warehouse::reserve), [(7,)]);
}

#[tokio::test]
async fn a_mocked_method_goes_before_those_of_its_host() {
    let hub = TestHub::builder()
        .orchestrator(delivery)
        .activities(Warehouse { shelves: 5 })
        .mock(Warehouse::ship, |shelf: u64| format!("parcel from {shelf}"))
        .start()
        .await;
    let handle = hub.client().start(delivery(7)).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "parcel from 2");
}

#[tokio::test]
async fn an_async_mock_knows_its_attempt_and_takes_its_time() {
    let hub = TestHub::builder()
        .orchestrator(checkout)
        .activity(add_tax)
        .mock_async(charge, |ctx: ActivityContext, order: u64, _: u64| async move {
            testing::sleep(Duration::from_hours(2)).await;
            Ok::<_, Infallible>(format!("{} {} {order}", ctx.instance_id(), ctx.attempt()))
        })
        .start()
        .await;
    let began = hub.now();
    let call = checkout(7, 100).instance_id("order");
    let handle = hub.client().start(call).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), "order 1 7");
    assert_eq!(hub.now(), began + Duration::from_hours(2));
}

#[tokio::test]
async fn real_activities_have_their_data_and_the_clock() {
    use durable::prelude::*;
    use durable::{Clock, VirtualClock};

    #[activity]
    async fn tick(ctx: &ActivityContext) -> anyhow::Result<Timestamp> {
        let clock = ctx.data::<VirtualClock>()?;
        clock.sleep_until(clock.now() + Duration::from_secs(1)).await;
        Ok(clock.now())
    }

    #[orchestrator]
    async fn ticks() -> Result<Timestamp, TaskError> {
        tick().await
    }

    let builder = TestHub::builder().orchestrator(ticks).activity(tick);
    let clock = builder.clock();
    let hub = builder.data(clock).start().await;
    let handle = hub.client().start(ticks()).await.unwrap();
    assert_eq!(hub.run(handle.result()).await.unwrap(), hub.now());
}
