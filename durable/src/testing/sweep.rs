//! Kills the worker of a scenario at every commit in turn, and compares what comes out.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::{TestHub, TestHubBuilder};
use crate::error::Failure;
use crate::worker::no_unwind;

/// A scenario with more commits is too long for a sweep: it would run more than twice as often.
pub const MAX_SWEPT_COMMITS: u64 = 10_000;

/// What one run of a scenario came to.
struct Run<T> {
    value: T,
    commits: u64,
    calls: BTreeMap<String, usize>,
}

/// Runs a scenario once undisturbed, then once for each commit with the worker killed just before
/// it, and once for each with the worker killed just after it; a new worker starts at once. Every
/// run must come to the same value.
///
/// This finds what is not idempotent: an activity whose worker dies is run again. Let the value say
/// what must not change, for example what the outside world has seen.
///
/// `builder` is called for each run, so that each has a store and mocks of its own.
///
/// ```
/// # use durable::prelude::*;
/// # use durable::testing::{self, TestHub};
/// # #[activity]
/// # async fn price(item: String) -> u64 { item.len() as u64 }
/// # #[orchestrator]
/// # async fn total(items: Vec<String>) -> Result<u64, TaskError> {
/// #     let mut total = 0;
/// #     for item in items {
/// #         total += price(item).await?;
/// #     }
/// #     Ok(total)
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// testing::crash_at_every_commit(
///     || TestHub::builder().orchestrator(total).activity(price),
///     async |hub| {
///         let items = vec!["tea".to_owned(), "pot".to_owned()];
///         let handle = hub.client().start(total(items)).await.unwrap();
///         hub.run(handle.result()).await.unwrap()
///     },
/// )
/// .await;
/// # }
/// ```
///
/// # Panics
///
/// If a run comes to another value, or panics: the message names the commit, whether the worker was
/// killed before or after it, and both values. If the scenario has more than [`MAX_SWEPT_COMMITS`],
/// or if two runs share a store.
pub async fn crash_at_every_commit<T, S>(builder: impl Fn() -> TestHubBuilder, scenario: S)
where
    S: AsyncFn(&TestHub) -> T,
    T: PartialEq + Debug,
{
    let hub = builder().start().await;
    // Kept to the end, so that no other store can lie in its place.
    let store = hub.store();
    let value = scenario(&hub).await;
    let undisturbed = Run { value, commits: hub.commits(), calls: hub.call_counts() };
    drop(hub);
    for after in [false, true] {
        for commit in 1.. {
            assert!(
                commit <= MAX_SWEPT_COMMITS,
                "the scenario has more than {MAX_SWEPT_COMMITS} commits: sweep a shorter one"
            );
            let hub = builder().crash_at(commit, after).start().await;
            assert!(
                !std::sync::Arc::ptr_eq(&store, &hub.store()),
                "two runs of the sweep share a store: the closure must make a new one each time"
            );
            let outcome = no_unwind(scenario(&hub)).await;
            if !outcome.as_ref().is_ok_and(|value| *value == undisturbed.value) {
                report(&hub, &undisturbed, (commit, after), outcome).await;
            }
            // The commit was never reached: neither will those behind it be.
            if hub.commits() < commit {
                break;
            }
        }
    }
}

/// Says what a crash changed.
async fn report<T: Debug>(
    hub: &TestHub,
    undisturbed: &Run<T>,
    (commit, after): (u64, bool),
    outcome: std::thread::Result<T>,
) -> ! {
    let side = if after { "after" } else { "before" };
    let of = undisturbed.commits;
    let words = hub.last_words().await;
    let turns = if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) };
    let run = if hub.commits() < commit {
        "again, with its worker not even killed".to_owned()
    } else {
        format!("with its worker killed {side} commit {commit} of {of}{turns}")
    };
    let came = match outcome {
        Ok(value) => format!("came to another value\n    this time: {value:?}"),
        Err(panic) => format!("panicked\n    this time: {}", Failure::of_panic(&*panic)),
    };
    let counts = hub.call_counts();
    let names: std::collections::BTreeSet<&String> =
        counts.keys().chain(undisturbed.calls.keys()).collect();
    let count = |counts: &BTreeMap<String, usize>, name| counts.get(name).copied().unwrap_or(0);
    let differences: Vec<String> = names
        .into_iter()
        .map(|name| (name, count(&counts, name), count(&undisturbed.calls, name)))
        .filter(|(_, killed, undisturbed)| killed != undisturbed)
        .map(|(name, killed, calm)| format!("\n  `{name}` began {killed} times instead of {calm}"))
        .collect();
    panic!(
        "the scenario, {run}, {came}\n  undisturbed: {:?}{}",
        undisturbed.value,
        differences.concat()
    );
}
