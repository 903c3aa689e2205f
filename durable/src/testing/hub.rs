//! The hub under test: a worker with its clients, and a clock that moves only when nothing else
//! can happen.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use durable_store::{
    InstanceKind, InstanceNo, InstanceQuery, Status, Store, StoreErrorKind, Timestamp,
};
use tokio::task::JoinSet;

use super::TestHubBuilder;
use super::calls::Calls;
use super::faulty::{Fault, FaultyStore};
use super::watch::Watch;
use crate::client::{Client, InstanceStatus};
use crate::clock::{Clock, VirtualClock};
use crate::connection::Connection;
use crate::program::{CallFn, Function};
use crate::registry::Registry;
use crate::worker::{DEFAULT_POLL_INTERVAL, Worker, WorkerBuilder};

/// One in so many calls of the store meets a fault of [`TestHubBuilder::faults`].
const FAULT_ONE_IN: u64 = 5;
/// What commits meet with [`TestHubBuilder::faults`].
const FAULTS: &[Fault] = &[
    Fault::Before(StoreErrorKind::Unavailable),
    Fault::Before(StoreErrorKind::LeaseLost),
    Fault::Before(StoreErrorKind::Conflict),
    Fault::Before(StoreErrorKind::OutcomeUnknown),
    Fault::After(StoreErrorKind::OutcomeUnknown),
];
/// So many instances are named when a test waits in vain.
const MAX_NAMED_INSTANCES: usize = 10;

/// What the workers of a hub meet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    None,
    /// Faults by seed.
    Faults(u64),
    /// The first worker dies at this commit, before or after it.
    Crash {
        commit: u64,
        after: bool,
    },
}

/// What a builder gives to its hub.
pub(super) struct Parts {
    pub(super) worker: WorkerBuilder,
    /// The store, watched.
    pub(super) store: Arc<dyn Store>,
    /// The same for clients.
    pub(super) for_clients: Arc<dyn Store>,
    /// The store as it was given.
    pub(super) inner: Arc<dyn Store>,
    pub(super) watch: Arc<Watch>,
    pub(super) calls: Arc<Calls>,
    pub(super) clock: VirtualClock,
    pub(super) patience: Duration,
    pub(super) trouble: Trouble,
}

/// A worker and a client on a store of their own, with a clock in the hand of the test.
///
/// See the [module](super) for a whole test. The clock stands still except in [`TestHub::run`] and
/// [`TestHub::advance`]; there it jumps from timer to timer whenever nothing else can happen.
pub struct TestHub {
    lives: Arc<Lives>,
    client: Client,
    registry: Arc<Registry>,
    /// What goes on in the background ends with the hub.
    _tasks: JoinSet<()>,
}

impl fmt::Debug for TestHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestHub").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl Drop for TestHub {
    fn drop(&mut self) {
        // The tasks may keep the rest for a moment.
        drop(self.lives.take_worker());
    }
}

/// The workers of a hub, one after the other.
struct Lives {
    parts: Parts,
    worker: Mutex<Option<Worker>>,
    /// How many workers were started. Locked while one is.
    started: tokio::sync::Mutex<u64>,
    /// Between the worker and its store.
    faulty: Mutex<Option<Arc<FaultyStore>>>,
    /// The instances in the commit at which the worker dies.
    last_words: Arc<Mutex<Vec<InstanceNo>>>,
}

impl Lives {
    fn take_worker(&self) -> Option<Worker> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Kills the worker that runs, if one does, and starts the next.
    async fn start_next(&self) -> Arc<FaultyStore> {
        let mut started = self.started.lock().await;
        drop(self.take_worker());
        let store = Arc::new(self.next_store(*started));
        *started += 1;
        let worker = self.parts.worker.clone().on(store.clone()).start().await;
        let worker = worker.unwrap_or_else(|error| panic!("the hub does not start: {error}"));
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(worker);
        let mut faulty = self.faulty.lock().unwrap_or_else(PoisonError::into_inner);
        faulty.get_or_insert_with(|| store.clone());
        store
    }

    /// Lets those who poll for news find them, also while no time passes.
    async fn keep_telling(self: Arc<Self>) {
        self.parts.watch.keep_telling(&self.parts.clock).await;
    }

    /// Starts the next worker when the first has died.
    async fn revive(self: Arc<Self>, first: Arc<FaultyStore>) {
        first.died().await;
        self.start_next().await;
    }

    /// Stops a test that waits for a result and lets no time pass, where it waits.
    async fn watch_test(self: Arc<Self>, clients: Arc<Connection>) {
        let Parts { watch, clock, patience, .. } = &self.parts;
        loop {
            watch.stuck(clock, *patience).await;
            if !clients.waiters.doubt_all() {
                watch.take_stuck();
            }
        }
    }

    /// What lies between the next worker and the store.
    fn next_store(&self, started: u64) -> FaultyStore {
        let store = Arc::clone(&self.parts.store);
        match self.parts.trouble {
            Trouble::Faults(seed) => {
                FaultyStore::seeded(store, seed.wrapping_add(started), FAULT_ONE_IN, FAULTS)
            }
            Trouble::Crash { commit, after } if started == 0 => {
                let (store, words) = (FaultyStore::new(store), Arc::clone(&self.last_words));
                let death = if after { Fault::DeathAfter } else { Fault::Death };
                store.plan(move |number, batch| {
                    if number != commit {
                        return Fault::None;
                    }
                    let numbers = batch.instances.iter().map(|change| change.no).collect();
                    *words.lock().unwrap_or_else(PoisonError::into_inner) = numbers;
                    death
                });
                store
            }
            Trouble::None | Trouble::Crash { .. } => FaultyStore::new(store),
        }
    }
}

impl TestHub {
    /// An empty hub, to be told what it runs.
    pub fn builder() -> TestHubBuilder {
        TestHubBuilder::new()
    }

    pub(super) async fn start(mut parts: Parts) -> Self {
        let registry = Arc::new(parts.worker.registry_mut().clone());
        let (store, clock) = (Arc::clone(&parts.for_clients), Arc::new(parts.clock.clone()));
        // Clients have a connection of their own, which outlives the workers.
        let connection = Arc::new(Connection::new(store, clock));
        let client = Client::of_worker(Arc::clone(&connection), Arc::clone(&registry));
        let lives = Arc::new(Lives {
            parts,
            worker: Mutex::default(),
            started: tokio::sync::Mutex::default(),
            faulty: Mutex::default(),
            last_words: Arc::default(),
        });
        let first = lives.start_next().await;
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&lives).keep_telling());
        tasks.spawn(Arc::clone(&lives).watch_test(connection));
        if let Trouble::Crash { .. } = lives.parts.trouble {
            tasks.spawn(Arc::clone(&lives).revive(first));
        }
        Self { lives, client, registry, _tasks: tasks }
    }

    fn parts(&self) -> &Parts {
        &self.lives.parts
    }

    /// A client of the hub. It outlives the crashes of the worker.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The store as it was given to the builder, without faults.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.parts().inner)
    }

    /// The hub's clock.
    pub fn clock(&self) -> VirtualClock {
        self.parts().clock.clone()
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.parts().clock.now()
    }

    /// Runs a future to its end, for example `handle.result()`. Whenever nothing can happen any
    /// more without time, the clock jumps to the next timer, however far away that is.
    ///
    /// Time stands still while an activity works, a turn runs, or a message is under way; what the
    /// future itself does outside of the hub is not known to it.
    ///
    /// # Panics
    ///
    /// If the future waits and nothing is left that could happen, for example for an event that
    /// nobody raises; the message lists the instances that have not ended. If an activity works
    /// for longer than [`TestHubBuilder::patience`] and waits for nothing that the hub knows.
    pub async fn run<F: IntoFuture>(&self, future: F) -> F::Output {
        let _driving = self.parts().watch.driving();
        let mut future = pin!(future.into_future());
        let mut polled_anew = false;
        loop {
            tokio::select! {
                biased;
                output = &mut future => return output,
                () = self.settle() => {}
            }
            let clock = &self.parts().clock;
            if let Some(due) = clock.next_due() {
                clock.advance_to(due);
                polled_anew = false;
            } else if !polled_anew {
                // A store may lose hints; then polls find what is there.
                clock.advance(DEFAULT_POLL_INTERVAL);
                polled_anew = true;
            } else {
                tokio::select! {
                    biased;
                    output = &mut future => return output,
                    changes = self.parts().watch.changes_within(self.parts().patience) => {
                        if !changes {
                            self.waits_in_vain().await;
                        }
                    }
                }
            }
        }
    }

    /// Lets so much time pass, from timer to timer, and everything happen that happens in it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use durable::prelude::*;
    /// # use durable::store::Status;
    /// # use durable::testing::TestHub;
    /// # #[orchestrator]
    /// # async fn nap(ctx: &OrchestrationContext) { ctx.sleep(Duration::from_hours(72)).await }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let hub = TestHub::builder().orchestrator(nap).start().await;
    /// let handle = hub.client().start(nap()).await.unwrap();
    /// hub.advance(Duration::from_hours(71)).await;
    /// assert_eq!(handle.status().await.unwrap().status, Status::Running);
    /// hub.advance(Duration::from_hours(1)).await;
    /// assert_eq!(handle.status().await.unwrap().status, Status::Completed);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If an activity works for longer than [`TestHubBuilder::patience`] and waits for nothing that
    /// the hub knows.
    pub async fn advance(&self, by: Duration) {
        let _driving = self.parts().watch.driving();
        let clock = &self.parts().clock;
        let until = clock.now() + by;
        loop {
            self.settle().await;
            match clock.next_due() {
                Some(due) if due < until => clock.advance_to(due),
                _ => break,
            }
        }
        clock.advance_to(until);
        self.settle().await;
    }

    /// Lets everything happen that can without time.
    ///
    /// # Panics
    ///
    /// As [`TestHub::advance`].
    pub async fn settle(&self) {
        let Parts { watch, clock, patience, .. } = self.parts();
        let _driving = watch.driving();
        watch.idle(clock, *patience).await;
    }

    /// Kills the worker as the death of its process would, and starts a new one on the same store.
    /// Activities that were running are run again.
    pub async fn crash(&self) {
        self.lives.start_next().await;
    }

    /// How many attempts of the activity of this name have begun. One that was lost in a crash
    /// counts, as it may have done its work.
    ///
    /// # Panics
    ///
    /// If no activity of this name is registered or mocked.
    pub fn calls(&self, activity: &str) -> usize {
        let names = self.registry.activity_names();
        assert!(
            names.contains(&activity),
            "no activity `{activity}` is registered or mocked, only {names:?}"
        );
        self.parts().calls.of(activity).len()
    }

    /// The arguments of every attempt of an activity that has begun, as tuples, in their order.
    ///
    /// ```
    /// # use durable::prelude::*;
    /// # use durable::testing::TestHub;
    /// # #[activity]
    /// # async fn audit(order: u64, text: String) -> anyhow::Result<()> { anyhow::bail!("{order}{text}") }
    /// # #[orchestrator]
    /// # async fn audited() -> Result<(), TaskError> { audit(7, "paid".to_owned()).await }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let hub = TestHub::builder()
    ///     .orchestrator(audited)
    ///     .mock(audit, |_: u64, _: String| ())
    ///     .start()
    ///     .await;
    /// let handle = hub.client().start(audited()).await.unwrap();
    /// hub.run(handle.result()).await.unwrap();
    /// assert_eq!(hub.calls_of(audit), [(7, "paid".to_owned())]);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the activity is neither registered nor mocked.
    #[allow(clippy::needless_pass_by_value)] // It is named, not called.
    pub fn calls_of<A, F>(&self, function: F) -> Vec<<F::Function as Function>::Input>
    where
        F: CallFn<A>,
    {
        let _ = function;
        let name = <F::Function as Function>::NAME;
        self.calls(name);
        let inputs = self.parts().calls.of(name);
        inputs.iter().map(decode::<F::Function>).collect()
    }

    /// How many commits were asked for by the first worker.
    pub(super) fn commits(&self) -> u64 {
        let faulty = self.lives.faulty.lock().unwrap_or_else(PoisonError::into_inner);
        faulty.as_ref().map_or(0, |store| store.commits())
    }

    /// How many attempts of each activity have begun.
    pub(super) fn call_counts(&self) -> BTreeMap<String, usize> {
        self.parts().calls.counts()
    }

    /// The instances in the commit at which the worker died, in words.
    pub(super) async fn last_words(&self) -> Vec<String> {
        let words = Arc::clone(&self.lives.last_words);
        let numbers = words.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut names = Vec::new();
        for no in numbers.into_iter().take(MAX_NAMED_INSTANCES) {
            let before = InstanceNo(no.0 - 1);
            let anything = InstanceQuery::default();
            let page = self.parts().inner.find_instances(&anything, Some(before), 1).await;
            let records = page.map(|page| page.records).unwrap_or_default();
            let found = records.into_iter().find(|record| record.no == no);
            names.push(found.map_or_else(
                || "an instance that is gone".to_owned(),
                |record| format!("`{}` ({})", record.id, record.name),
            ));
        }
        names
    }

    /// Says why the test cannot go on.
    async fn waits_in_vain(&self) -> ! {
        let query = InstanceQuery {
            kind: Some(InstanceKind::Orchestration),
            statuses: vec![Status::Pending, Status::Running, Status::Suspended],
            ..InstanceQuery::default()
        };
        let page = self.parts().inner.find_instances(&query, None, MAX_NAMED_INSTANCES).await;
        let open: Vec<String> = match page {
            Ok(page) => page.records.into_iter().map(InstanceStatus::of).map(describe).collect(),
            Err(error) => vec![format!("\n  the store does not say: {error}")],
        };
        let open = if open.is_empty() { "\n  none".to_owned() } else { open.concat() };
        panic!(
            "`run` waits in vain: no timer is set, no activity runs and no message is under way. \
             Does it wait for an event that was not raised, or for something outside of the hub? \
             Orchestrations that have not ended:{open}"
        );
    }
}

fn describe(status: InstanceStatus) -> String {
    let InstanceStatus { id, name, status, state, blocked, .. } = status;
    let state = if state.is_empty() { String::new() } else { format!(" in state {state}") };
    let blocked = blocked.map(|reason| format!(", blocked: {reason}")).unwrap_or_default();
    format!("\n  `{id}` ({name}): {status:?}{state}{blocked}")
}

fn decode<F: Function>(input: &crate::json::Json) -> F::Input {
    use crate::data::Arguments as _;
    F::Input::decode(input)
        .unwrap_or_else(|error| panic!("the arguments of `{}` cannot be read: {error}", F::NAME))
}
