//! Wrong uses of the harness say what to do.

use std::time::Duration;

use durable::testing::{self, TestHub};
use durable::{ActivityContext, ClientError};

use crate::programs::*;

/// Long enough for a busy machine to run what can run, and no longer.
const IMPATIENT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn waiting_in_vain_names_what_is_open() {
    let hub = TestHub::builder()
        .orchestrator(busy)
        .orchestrator(checkout)
        .activity(add_tax)
        .mock(charge, |_: u64, _: u64| String::new())
        .entity::<Counter>()
        .patience(IMPATIENT)
        .start()
        .await;
    let handle = hub.client().start(busy(7).instance_id("order")).await.unwrap();
    let message = panic_of(hub.run(handle.result())).await;
    assert!(message.contains("`run` waits in vain"), "{message}");
    assert!(message.contains("`order` (busy): Running in state AwaitEventAnswer"), "{message}");
}

#[tokio::test]
async fn waiting_outside_of_run_is_told_where_it_waits() {
    let hub = TestHub::builder().orchestrator(naps).patience(IMPATIENT).start().await;
    let handle = hub.client().start(naps(3, 1).instance_id("nap")).await.unwrap();
    let message = panic_of(handle.result()).await;
    assert!(message.contains("the test waits for [\"nap\"] outside of `run`"), "{message}");
    // Nothing is lost.
    assert_eq!(hub.run(handle.result()).await.unwrap(), 1);
}

#[tokio::test]
async fn an_activity_that_never_ends_is_named() {
    let hub = TestHub::builder()
        .orchestrator(limited)
        .mock_async(charge, |_: ActivityContext, _: u64, _: u64| std::future::pending::<String>())
        .patience(IMPATIENT)
        .start()
        .await;
    let handle = hub.client().start(limited(7).instance_id("order")).await.unwrap();
    let message = panic_of(hub.run(handle.result())).await;
    assert!(message.contains("`charge` of `order` has been running for 50ms"), "{message}");
    assert!(message.contains("testing::let_time_pass(..)"), "{message}");
}

#[tokio::test]
async fn mocks_and_activities_are_registered_once() {
    let twice = TestHub::builder().mock(mail, |_: String| ()).mock(mail, |_: String| ());
    let message = panic_of(twice.start()).await;
    assert_eq!(message, "the activity `send-mail` is mocked twice: keep one mock");
    let both = TestHub::builder().activity(mail).mock(mail, |_: String| ());
    let message = panic_of(both.start()).await;
    assert!(message.contains("`.activity(..)` or `.mock(..)` for it, not both"), "{message}");
    let twice = TestHub::builder().activity(mail).activity(mail);
    let message = panic_of(twice.start()).await;
    assert!(message.contains("registered more than once: activity `send-mail`"), "{message}");
}

#[tokio::test]
async fn what_is_not_registered_is_an_error_at_the_start() {
    let hub = TestHub::builder().start().await;
    let error = hub.client().start(checkout(7, 100)).await.unwrap_err();
    assert!(matches!(error, ClientError::NotRegistered { .. }), "{error:?}");
}

#[tokio::test]
async fn calls_of_unknown_activities_are_not_counted() {
    let hub = TestHub::builder().activity(add_tax).mock(mail, |_: String| ()).start().await;
    let message = panic_of(async { hub.calls("mail") }).await;
    assert_eq!(
        message,
        "no activity `mail` is registered or mocked, only [\"add_tax\", \"send-mail\"]"
    );
    assert_eq!(hub.calls("send-mail"), 0);
    assert!(panic_of(async { hub.calls_of(charge) }).await.contains("`charge`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_with_several_threads_is_refused() {
    let message = panic_of(TestHub::builder().start()).await;
    assert!(message.contains("write `#[tokio::test]` without"), "{message}");
}

#[tokio::test]
async fn a_test_itself_does_not_sleep() {
    let message = panic_of(testing::sleep(Duration::from_secs(1))).await;
    assert!(message.contains("write `hub.advance(..)`"), "{message}");
}
