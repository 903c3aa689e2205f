//! Collects what a hub under test runs, mocks and has to survive.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use durable_store::Store;

use super::calls::{Calls, Recorded};
use super::hub::{TestHub, Trouble};
use super::mock::{AsyncMock, Mock, mocked, mocked_async};
use super::watch::Watch;
use super::watched::WatchedStore;
use crate::clock::VirtualClock;
use crate::connection::IntoStore;
use crate::entity::Entity;
use crate::program::{Activities, Activity, CallFn, Function, Orchestration};
use crate::registry::ActivityRunner;
use crate::worker::{Worker, WorkerBuilder};

/// How long an activity that waits for something outside of the hub is waited for, by the clock of
/// the machine, unless [`TestHubBuilder::patience`] says otherwise.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(5);
/// The identity of each worker: a successor takes over at once what its predecessor held.
const WORKER_ID: &str = "test";
/// The partitions of a hub in memory: enough that messages cross between some.
#[cfg(feature = "memory")]
const PARTITIONS: u16 = 4;

type Part = Box<dyn FnOnce(WorkerBuilder) -> WorkerBuilder>;
type Opening = Pin<Box<dyn Future<Output = Arc<dyn Store>>>>;

/// Collects what a [`TestHub`] runs. Made by [`TestHub::builder`].
#[must_use = "nothing runs until the hub is started"]
pub struct TestHubBuilder {
    parts: Vec<Part>,
    /// The activities that were registered one by one.
    activities: BTreeSet<&'static str>,
    mocks: Vec<(&'static str, Arc<dyn ActivityRunner>)>,
    store: Option<Opening>,
    clock: VirtualClock,
    patience: Duration,
    trouble: Trouble,
}

impl fmt::Debug for TestHubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestHubBuilder").field("trouble", &self.trouble).finish_non_exhaustive()
    }
}

impl TestHubBuilder {
    pub(super) fn new() -> Self {
        Self {
            parts: Vec::new(),
            activities: BTreeSet::new(),
            mocks: Vec::new(),
            store: None,
            clock: VirtualClock::new(),
            patience: DEFAULT_PATIENCE,
            trouble: Trouble::None,
        }
    }

    /// Sets any other option of the worker: what the closure makes of its builder is used. The
    /// harness itself decides on the clock, the identity and the check of determinism.
    ///
    /// ```
    /// # use durable::testing::TestHub;
    /// let builder = TestHub::builder().worker(|worker| worker.max_concurrent_activities(1));
    /// # drop(builder);
    /// ```
    pub fn worker(mut self, part: impl FnOnce(WorkerBuilder) -> WorkerBuilder + 'static) -> Self {
        self.parts.push(Box::new(part));
        self
    }

    /// Registers an annotated orchestrator.
    pub fn orchestrator<M, F>(self, function: F) -> Self
    where
        F: CallFn<M> + 'static,
        F::Function: Orchestration,
    {
        self.worker(|worker| worker.orchestrator(function))
    }

    /// Registers an annotated activity, to be run as it is.
    pub fn activity<M, F>(mut self, function: F) -> Self
    where
        F: CallFn<M> + 'static,
        F::Function: Activity,
    {
        self.activities.insert(<F::Function as Function>::NAME);
        self.worker(|worker| worker.activity(function))
    }

    /// Registers every activity of an annotated impl block, to be run on `host`. A mock of one of
    /// them takes its place.
    pub fn activities<H: Activities>(self, host: H) -> Self {
        self.worker(|worker| worker.activities(host))
    }

    /// Registers an annotated entity.
    pub fn entity<E: Entity>(self) -> Self {
        self.worker(WorkerBuilder::entity::<E>)
    }

    /// Application data for real activities, and for mocks that take an
    /// [`ActivityContext`](crate::ActivityContext).
    pub fn data<T: Send + Sync + 'static>(self, data: T) -> Self {
        self.worker(|worker| worker.data(data))
    }

    /// How many instances stay decoded in memory between their turns. The default of a hub under
    /// test is 0: every turn begins with saved bytes, as after a crash.
    pub fn resident_instances(self, count: usize) -> Self {
        self.worker(move |worker| worker.resident_instances(count))
    }

    /// Puts a closure in the place of an activity, a free function or a method. It takes the
    /// activity's arguments (write their types), and returns its result, or a `Result` with any
    /// error that activities may return; the compiler checks both. The closure may count and keep
    /// things: one that fails twice and then succeeds is
    ///
    /// ```
    /// # use durable::prelude::*;
    /// # use durable::testing::TestHub;
    /// # #[activity]
    /// # async fn charge(order: u64) -> anyhow::Result<String> {
    /// #     anyhow::bail!("no card reader for {order}")
    /// # }
    /// #[orchestrator]
    /// async fn patient(order: u64) -> Result<String, TaskError> {
    ///     let mut declined = 0;
    ///     loop {
    ///         match charge(order).await {
    ///             Err(_) if declined < 5 => declined += 1,
    ///             outcome => return outcome,
    ///         }
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut calls = 0;
    /// let hub = TestHub::builder()
    ///     .orchestrator(patient)
    ///     .mock(charge, move |order: u64| {
    ///         calls += 1;
    ///         if calls <= 2 { Err("declined") } else { Ok(format!("receipt {order}")) }
    ///     })
    ///     .start()
    ///     .await;
    /// let handle = hub.client().start(patient(7)).await.unwrap();
    /// assert_eq!(hub.run(handle.result()).await.unwrap(), "receipt 7");
    /// assert_eq!(hub.calls("charge"), 3);
    /// # }
    /// ```
    ///
    /// A method is named as it is called: `.mock(Payments::refund, |receipt: Receipt| ..)`, with or
    /// without the other methods by [`activities`](Self::activities). An error of the type that the
    /// activity declares keeps its data as the real one would.
    #[allow(clippy::needless_pass_by_value)] // It is named, not called.
    pub fn mock<A, F, H, Kind, M>(mut self, function: F, mock: M) -> Self
    where
        F: CallFn<A>,
        F::Function: Activity<H, Input = A>,
        M: Mock<A, <F::Function as Function>::Output, Kind>,
    {
        let _ = function;
        let name = <F::Function as Function>::NAME;
        self.mocks.push((name, mocked::<F::Function, H, Kind, M>(mock)));
        self
    }

    /// The same with a closure that takes an [`ActivityContext`](crate::ActivityContext) first and
    /// returns a future, for mocks that take time or wait to be cancelled. Time passes while it
    /// awaits [`testing::sleep`](super::sleep) or `ctx.cancelled()`, and stands still otherwise.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use durable::ActivityContext;
    /// # use durable::prelude::{activity, orchestrator, TaskError};
    /// # use durable::testing::{self, TestHub};
    /// # #[activity]
    /// # async fn charge(order: u64) -> anyhow::Result<String> { anyhow::bail!("{order}") }
    /// let builder = TestHub::builder()
    ///     .mock_async(charge, |ctx: ActivityContext, order: u64| async move {
    ///         testing::sleep(Duration::from_hours(2)).await;
    ///         if ctx.attempt() == 1 { Err("the line was dead") } else { Ok(order.to_string()) }
    ///     });
    /// # drop(builder);
    /// ```
    #[allow(clippy::needless_pass_by_value)] // It is named, not called.
    pub fn mock_async<A, F, H, Kind, M>(mut self, function: F, mock: M) -> Self
    where
        F: CallFn<A>,
        F::Function: Activity<H, Input = A>,
        M: AsyncMock<A, <F::Function as Function>::Output, Kind>,
    {
        let _ = function;
        let name = <F::Function as Function>::NAME;
        self.mocks.push((name, mocked_async::<F::Function, H, Kind, M>(mock)));
        self
    }

    /// The hub's store, by default a new one in memory. Each hub needs its own.
    pub fn store(self, store: impl IntoStore) -> Self {
        let store = store.into_store();
        self.store_with(std::future::ready(store))
    }

    /// The same for a store that has to be opened: the future is awaited when the hub starts.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # {
    /// # use durable::testing::TestHub;
    /// use durable::store::SqliteStore;
    /// let builder = TestHub::builder()
    ///     .store_with(async { SqliteStore::open("test.db").await.unwrap() });
    /// # drop(builder);
    /// # }
    /// ```
    pub fn store_with<S: IntoStore>(mut self, opening: impl Future<Output = S> + 'static) -> Self {
        self.store = Some(Box::pin(async move { opening.await.into_store() }));
        self
    }

    /// The clock that the hub will have, for application data that asks for the time.
    pub fn clock(&self) -> VirtualClock {
        self.clock.clone()
    }

    /// How long to wait, by the clock of the machine, for an activity that neither ends nor waits
    /// for time, for something outside of the hub, or for a test that waits for a result without
    /// letting time pass, before the test fails. Default: [`DEFAULT_PATIENCE`].
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Lets some calls of the store fail for the worker, as those of a database do now and then:
    /// refused, or done without an answer. The seed decides which; the same seed does the same.
    pub fn faults(self, seed: u64) -> Self {
        Self { trouble: Trouble::Faults(seed), ..self }
    }

    /// The worker dies at a commit, and a successor starts at once.
    pub(super) fn crash_at(self, commit: u64, after: bool) -> Self {
        Self { trouble: Trouble::Crash { commit, after }, ..self }
    }

    /// Starts the hub. Its clock stands still until [`TestHub::run`] or [`TestHub::advance`].
    ///
    /// # Panics
    ///
    /// If a name is registered or mocked twice, an option of the worker cannot work, there is no
    /// store, or the runtime has several threads: what a test has to put right.
    pub async fn start(self) -> TestHub {
        assert!(
            tokio::runtime::Handle::current().runtime_flavor()
                == tokio::runtime::RuntimeFlavor::CurrentThread,
            "a `TestHub` needs a runtime with one thread, or it could not know when time may pass: \
             write `#[tokio::test]` without `flavor = \"multi_thread\"`"
        );
        self.check_mocks();
        let inner = match self.store {
            Some(opening) => opening.await,
            None => default_store(),
        };
        let (watch, calls) = (Arc::new(Watch::default()), Arc::new(Calls::default()));
        let watched = |for_clients| -> Arc<dyn Store> {
            let (inner, watch) = (Arc::clone(&inner), Arc::clone(&watch));
            Arc::new(WatchedStore { inner, watch, for_clients })
        };
        let store = watched(false);
        // What the parts say goes before these defaults, and the harness before the parts.
        let mut worker = Worker::builder(Arc::clone(&store)).resident_instances(0);
        for part in self.parts {
            worker = part(worker);
        }
        let mut worker = worker
            .worker_id(WORKER_ID)
            .clock(self.clock.clone())
            .check_determinism(true)
            .keep_all_timers();
        for (name, mock) in self.mocks {
            worker.registry_mut().replace_activity(name, mock);
        }
        worker.registry_mut().wrap_activities(|name, runner| {
            Arc::new(Recorded {
                name: name.into(),
                runner,
                calls: Arc::clone(&calls),
                watch: Arc::clone(&watch),
                clock: self.clock.clone(),
            })
        });
        TestHub::start(super::hub::Parts {
            worker,
            store,
            for_clients: watched(true),
            inner: Arc::clone(&inner),
            watch: Arc::clone(&watch),
            calls,
            clock: self.clock,
            patience: self.patience,
            trouble: self.trouble,
        })
        .await
    }

    fn check_mocks(&self) {
        let mut mocked = BTreeSet::new();
        for (name, _) in &self.mocks {
            assert!(mocked.insert(name), "the activity `{name}` is mocked twice: keep one mock");
            assert!(
                !self.activities.contains(name),
                "the activity `{name}` is registered and mocked: write `.activity(..)` or \
                 `.mock(..)` for it, not both"
            );
        }
    }
}

#[cfg(feature = "memory")]
fn default_store() -> Arc<dyn Store> {
    Arc::new(durable_store::MemoryStore::with_partitions(PARTITIONS))
}

#[cfg(not(feature = "memory"))]
fn default_store() -> Arc<dyn Store> {
    panic!("there is no store: turn on the feature `memory` of `durable`, or give `.store(..)`")
}
