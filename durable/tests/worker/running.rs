//! Programs run to their end: calls, timers, events, children, entities, and everything that can
//! go wrong in user code.

use std::time::Duration;

use durable::{ClientError, InstanceQuery, Status, TaskErrorKind};

use crate::programs::*;

/// The kind and the text of the failure of an instance.
fn failed<T: std::fmt::Debug>(result: Result<T, ClientError>) -> (TaskErrorKind, String) {
    match result {
        Err(ClientError::Task(error)) => (error.kind(), error.to_string()),
        other => panic!("not a failure: {other:?}"),
    }
}

#[tokio::test]
async fn a_chain_runs_each_step_once() {
    let world = World::new();
    let worker = world.worker().await;
    let handle = worker.client().start(chain(20).instance_id("a")).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 20);
    assert_eq!((0..20).map(|n| world.counts.of(&format!("add_one {n}"))).sum::<u32>(), 20);
    let status = handle.status().await.unwrap();
    assert_eq!((status.status, status.state.as_str()), (Status::Completed, "Completed"));
    assert!(handle.history().await.unwrap().len() >= 20);
}

#[tokio::test]
async fn a_fan_out_of_500_joins_with_any_number_of_residents() {
    for resident in [0, 1, 10_000] {
        let world = World::new();
        let worker = world.builder().resident_instances(resident).start().await.unwrap();
        let handle = worker.client().start(fan_out(500)).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), (1..=500).sum::<u64>(), "{resident} residents");
    }
}

#[tokio::test]
async fn many_instances_share_the_memory_of_one() {
    let world = World::new();
    let worker = world.builder().resident_instances(1).start().await.unwrap();
    let client = worker.client();
    let mut handles = Vec::new();
    for _ in 0..50 {
        handles.push(client.start(chain(5)).await.unwrap());
    }
    for handle in handles {
        assert_eq!(handle.result().await.unwrap(), 5);
    }
}

#[tokio::test]
async fn timers_fire_when_their_time_has_come() {
    let world = World::new();
    let worker = world.worker().await;
    let start = world.now();
    let lengths = vec![0, 1, 60 * 60 * 72];
    let handle = worker.client().start(nap(lengths.clone())).await.unwrap();
    handle.wait_for_start().await.unwrap();
    for _ in 0..4 {
        world.clock.advance(Duration::from_hours(24));
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
    let end = world.drive(handle.result()).await.unwrap();
    assert!(end >= start + Duration::from_secs(lengths.iter().sum()), "{end}");
}

#[tokio::test]
async fn events_are_kept_until_somebody_waits_for_them() {
    let world = World::new();
    let worker = world.worker().await;
    let handle = worker.client().start(approval()).await.unwrap();
    handle.raise_event("go", true).await.unwrap();
    handle.raise_event("name", "Ann".to_owned()).await.unwrap();
    handle.raise_event("name", "Bob".to_owned()).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), "Ann Bob true");
    let late = handle.raise_event("go", true).await.unwrap_err();
    assert!(matches!(late, ClientError::Ended { .. }), "{late}");
}

#[tokio::test]
async fn children_give_their_results_to_their_parent() {
    let world = World::new();
    let worker = world.worker().await;
    let handle = worker.client().start(family(10).instance_id("p")).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), (0..10).sum::<u64>());
    let query = InstanceQuery { parent: Some("p".to_owned()), ..InstanceQuery::default() };
    let children = worker.client().list(query).all().await.unwrap();
    assert_eq!(children.len(), 10);
    assert!(children.iter().all(|child| child.id.starts_with("p:")), "{children:?}");
}

#[tokio::test]
async fn entities_serve_clients_and_orchestrators() {
    let world = World::new();
    let worker = world.worker().await;
    let client = worker.client();
    let shop = client.start(shopping("a".to_owned())).await.unwrap();
    assert_eq!(shop.result().await.unwrap(), 70 + 70);

    let counter = client.entity::<Counter>("a");
    counter.add(5).signal().await.unwrap();
    assert_eq!(counter.get().await.unwrap(), 75);
    let (kind, text) = failed(counter.take(100).await);
    assert_eq!(kind, TaskErrorKind::Failed);
    assert!(text.contains("too little"), "{text}");
    assert_eq!(failed(counter.spoil().await).0, TaskErrorKind::Panicked);
    assert_eq!(counter.state().await.unwrap(), Some(Counter { value: 75 }));
    assert_eq!(client.entity::<Counter>("b").state().await.unwrap(), None);
    assert_eq!(client.entity::<Counter>("b").add(1).await.unwrap(), 1);
}

#[tokio::test]
async fn what_user_code_does_wrong_fails_its_instance_only() {
    let world = World::new();
    let worker = world.worker().await;
    let client = worker.client();
    let expected = [
        ("panic", TaskErrorKind::Panicked, "the orchestrator gave up"),
        ("error", TaskErrorKind::Failed, "refused because of the weather"),
        ("explode", TaskErrorKind::Failed, "boom"),
        ("unknown", TaskErrorKind::Failed, "register it with `.activity(..)`"),
    ];
    for (kind, expected_kind, expected_text) in expected {
        let handle = client.start(careless(kind.to_owned())).await.unwrap();
        let (kind_seen, text) = failed(handle.result().await);
        assert_eq!(kind_seen, expected_kind, "{kind}: {text}");
        assert!(text.contains(expected_text), "{kind}: {text}");
        assert_eq!(handle.status().await.unwrap().status, Status::Failed);
    }
    let handle = client.start(chain(1)).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 1);
}

#[tokio::test]
async fn a_terminated_instance_says_so_and_its_activity_hears_of_it() {
    let world = World::new();
    let worker = world.worker().await;
    let handle = worker.client().start(gated("g".to_owned())).await.unwrap();
    handle.wait_for_start().await.unwrap();
    handle.terminate("enough").await.unwrap();
    let (kind, text) = failed(handle.result().await);
    assert_eq!(kind, TaskErrorKind::Terminated);
    assert!(text.contains("enough"), "{text}");
}

#[tokio::test]
async fn activities_run_at_most_as_many_at_once_as_allowed() {
    let world = World::new();
    let worker = world.builder().max_concurrent_activities(2).start().await.unwrap();
    let mut handles = Vec::new();
    for _ in 0..5 {
        handles.push(worker.client().start(gated("g".to_owned())).await.unwrap());
    }
    for handle in &handles {
        handle.wait_for_start().await.unwrap();
    }
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.counts.of("g"), 2);
    world.gate.open();
    for handle in handles {
        assert_eq!(handle.result().await.unwrap(), 1);
    }
    assert_eq!(world.counts.of("g"), 5);
}

/// Counts what orchestrators log.
#[derive(Debug, Clone, Default)]
struct Lines(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "program"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[durable::orchestrator]
async fn logs(steps: u64) -> Result<u64, durable::TaskError> {
    let mut sum = 0;
    for step in 0..steps {
        tracing::info!(target: "program", step, "a step");
        sum = add_one(sum).await?;
    }
    Ok(sum)
}

/// Nothing is replayed, and the second run of the determinism check is silent.
#[tokio::test]
async fn a_log_line_is_written_once() {
    let lines = Lines::default();
    let guard = tracing::subscriber::set_default(lines.clone());
    let world = World::new();
    let worker = world.builder().orchestrator(logs).check_determinism(true).start().await.unwrap();
    assert_eq!(worker.client().start(logs(5)).await.unwrap().result().await.unwrap(), 5);
    drop(guard);
    assert_eq!(lines.0.load(std::sync::atomic::Ordering::Relaxed), 5);
}

/// How long things wait can be read off the metrics.
#[tokio::test]
async fn an_attempt_that_waits_for_a_place_is_counted_with_its_wait() {
    let world = World::new();
    let worker = world.builder().max_concurrent_activities(1).start().await.unwrap();
    let client = world.stranger();
    let first = client.start(gated("first".to_owned())).await.unwrap();
    let second = client.start(gated("second".to_owned())).await.unwrap();
    while world.counts.of("first") + world.counts.of("second") == 0 {
        tokio::task::yield_now().await;
    }
    for handle in [&first, &second] {
        world.drive(handle.wait_for_start()).await.unwrap();
    }
    assert_eq!(worker.metrics().begun, 1);
    let waits = Duration::from_secs(10);
    world.clock.advance(waits);
    world.gate.open();
    world.drive(first.result()).await.unwrap();
    world.drive(second.result()).await.unwrap();
    let metrics = worker.metrics();
    assert!(metrics.begun >= 2 && metrics.attempt_wait >= waits, "{metrics:?}");
}
