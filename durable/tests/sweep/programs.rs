//! What the scenarios share: an activity, an entity that counts effects, and what is compared.

use std::cell::Cell;
use std::fmt::{Debug, Write as _};

use durable::prelude::*;
use durable::store::SqliteStore;
use durable::testing::{self, TestHub, TestHubBuilder};
use durable::{Handle, HistoryEvent, InstanceQuery, InstanceStatus};
use serde::{Deserialize, Serialize};

/// Runs a scenario undisturbed and with a death at each commit: in memory, with instances that stay
/// decoded and with instances that do not, and in a database. It must always give this.
pub async fn sweep(
    builder: impl Fn() -> TestHubBuilder,
    expected: &str,
    scenario: impl AsyncFn(&TestHub) -> String,
) {
    let checked = async |hub: &TestHub| {
        let value = scenario(hub).await;
        assert_eq!(value, expected);
        value
    };
    for resident in [0, 100] {
        let in_memory = || builder().resident_instances(resident);
        testing::crash_at_every_commit(in_memory, checked).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let count = Cell::new(0);
    let in_a_database = || {
        count.set(count.get() + 1);
        let path = directory.path().join(format!("{}.db", count.get()));
        builder()
            .store_with(async { SqliteStore::options(path).partitions(4).open().await.unwrap() })
    };
    testing::crash_at_every_commit(in_a_database, checked).await;
}

/// What must happen once, as the history of an instance and the store tell of it. Attempts are left
/// out, for one whose worker dies is made again.
pub async fn facts<T>(hub: &TestHub, handle: &Handle<T>) -> String {
    let history = handle.history().await.unwrap();
    let events: Vec<_> = history.iter().flat_map(|turn| &turn.events).collect();
    let mut text = String::new();
    let mut say = |what: &str, counts: fn(&HistoryEvent) -> bool| {
        let count = events.iter().filter(|event| counts(event)).count();
        if count > 0 {
            write!(text, "{count} {what}, ").unwrap();
        }
    };
    say("calls", |event| matches!(event, HistoryEvent::ActivityScheduled { .. }));
    say("done", |event| matches!(event, HistoryEvent::ActivityCompleted { .. }));
    say("failed", |event| matches!(event, HistoryEvent::ActivityFailed { .. }));
    say("cancelled", |event| matches!(event, HistoryEvent::ActivityCancelled { .. }));
    say("children", |event| matches!(event, HistoryEvent::ChildStarted { .. }));
    say("operations", |event| matches!(event, HistoryEvent::OperationCompleted { .. }));
    say("events", |event| matches!(event, HistoryEvent::EventRaised { .. }));
    say("fired", |event| matches!(event, HistoryEvent::TimerFired { .. }));
    let instances = hub.client().count(&InstanceQuery::default()).await.unwrap();
    format!("{text}{instances} in the hub")
}

/// The result of an instance, and what happened once.
pub async fn outcome<T>(hub: &TestHub, handle: &Handle<T>) -> String
where
    T: durable::ReturnValue + Debug + 'static,
{
    let result = match hub.run(handle.result()).await {
        Ok(result) => format!("{result:?}"),
        Err(error) => error.to_string(),
    };
    hub.settle().await;
    format!("{result}; {}", facts(hub, handle).await)
}

/// What is stored about an instance once nothing more happens.
pub async fn settled<T>(hub: &TestHub, handle: &Handle<T>) -> InstanceStatus {
    hub.settle().await;
    handle.status().await.unwrap()
}

/// What was noted under a name, once nothing more happens.
pub async fn noted(hub: &TestHub, ledger: &str) -> String {
    hub.settle().await;
    let state = hub.client().entity::<Ledger>(ledger).state().await.unwrap();
    state.unwrap_or_default().lines.join(" ")
}

/// Real work, of no effect.
#[activity]
pub async fn echo(text: String) -> String {
    text
}

/// Reaches the world outside: every scenario mocks it as it needs it.
#[activity]
pub async fn outside(text: String) -> anyhow::Result<String> {
    anyhow::bail!("nobody told what becomes of {text}")
}

/// The effects that the engine promises to happen once.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    lines: Vec<String>,
}

#[entity]
impl Ledger {
    pub fn note(&mut self, line: String) -> usize {
        self.lines.push(line);
        self.lines.len()
    }
}
