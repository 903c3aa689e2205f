//! The worker: what is registered, its options, and its life from start to shutdown. The loops
//! themselves are in the files below; `worker/partition.rs` is the one to read first.

mod activities;
mod arrivals;
mod change;
mod claims;
mod committer;
mod deliver;
mod effects;
mod fetch;
mod flight;
mod inbox;
mod lanes;
mod leases;
mod lifecycle;
mod metrics;
mod offers;
mod operations;
mod options;
mod partition;
mod retention;
mod share;
mod slots;
mod surplus;
mod upkeep;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use durable_store::{Status, Store, StoreError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::activities::Activities as Runner;
pub(crate) use self::activities::no_unwind;
use self::claims::Claims;
use self::leases::{Leases, forward_hints};
pub use self::lifecycle::LifecycleEvent;
use self::lifecycle::Listener;
use self::metrics::Counters;
pub use self::metrics::Metrics;
use self::options::Options;
pub use self::options::{
    DEFAULT_ACTIVITIES_PER_CORE, DEFAULT_BATCH_INSTANCES, DEFAULT_LEASE_LENGTH,
    DEFAULT_POLL_INTERVAL, DEFAULT_RESIDENT_INSTANCES, DEFAULT_SHUTDOWN_GRACE,
    RESIDENT_INSTANCES_VARIABLE,
};
use self::partition::Shared;
pub use self::retention::HistoryRetention;
use crate::client::Client;
use crate::clock::Clock;
use crate::connection::{Connection, IntoStore};
use crate::context::DataMap;
use crate::entity::Entity;
use crate::program::{Activities, Activity, CallFn, Orchestration};
use crate::registry::Registry;
use crate::version::{VersionMatch, VersionMismatch};

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// Several functions were registered under one name.
    #[error(
        "registered more than once: {}; give them different names, or register each only once",
        .0.join(", ")
    )]
    Duplicates(Vec<String>),
    /// An option has a value that cannot work.
    #[error("the worker's option `{option}` {detail}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong with its value.
        detail: String,
    },
    /// The store could not be used.
    #[error("the worker cannot use its store")]
    Store(#[from] StoreError),
}

/// Runs orchestrations, entities and activities of a hub.
///
/// Dropping it stops it as a crash would: nothing is lost, but others wait until its leases are
/// over, and activities that were running are run again. [`Worker::shutdown`] is the polite way.
#[derive(Debug)]
#[must_use = "a worker stops when it is dropped"]
pub struct Worker {
    connection: Arc<Connection>,
    registry: Arc<Registry>,
    draining: CancellationToken,
    stopped: CancellationToken,
    leases: Option<JoinHandle<()>>,
    claims: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

impl Worker {
    /// A worker on this store.
    pub fn builder(store: impl IntoStore) -> WorkerBuilder {
        WorkerBuilder {
            store: store.into_store(),
            registry: Registry::with_our_own(),
            data: DataMap::default(),
            options: Options::default(),
        }
    }

    /// What this worker has done so far, in numbers.
    pub fn metrics(&self) -> Metrics {
        self.counters.read()
    }

    /// A client of the same hub. Answers of this worker reach it without a detour.
    pub fn client(&self) -> Client {
        Client::of_worker(Arc::clone(&self.connection), Arc::clone(&self.registry))
    }

    /// Stops in good order: runs the turns that can run, makes them durable, signals cancellation
    /// to running activities and waits for them for the time of
    /// [`WorkerBuilder::shutdown_grace`], and gives the leases back, so that other workers go on
    /// at once.
    ///
    /// Results that arrive in that time are kept. An activity that returns an error meanwhile, or
    /// is not done in time, is run again by the next owner.
    pub async fn shutdown(mut self) {
        self.draining.cancel();
        for task in [self.leases.take(), self.claims.take()].into_iter().flatten() {
            // An error says that the task was aborted: there is nothing to wait for.
            let _ = task.await;
        }
        self.stopped.cancel();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

/// Collects what a [`Worker`] can run and how.
#[derive(Clone)]
#[must_use = "a worker runs nothing until it is started"]
pub struct WorkerBuilder {
    store: Arc<dyn Store>,
    registry: Registry,
    data: DataMap,
    options: Options,
}

impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("registry", &self.registry)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl WorkerBuilder {
    /// Registers an annotated orchestrator. Several versions of one name stand side by side, and
    /// each instance runs on the one that it was started with. One without a version runs the
    /// instances of all versions, as long as it is the only one of its name.
    #[allow(clippy::needless_pass_by_value)] // It is named, not called.
    pub fn orchestrator<M, F>(mut self, function: F) -> Self
    where
        F: CallFn<M>,
        F::Function: Orchestration,
    {
        let _ = function;
        self.registry.add_orchestration::<F::Function>();
        self
    }

    /// Registers an annotated activity.
    #[allow(clippy::needless_pass_by_value)] // It is named, not called.
    pub fn activity<M, F>(mut self, function: F) -> Self
    where
        F: CallFn<M>,
        F::Function: Activity,
    {
        let _ = function;
        self.registry.add_activity::<F::Function>();
        self
    }

    /// Registers every activity of an annotated impl block, to be run on `host`.
    pub fn activities<H: Activities>(mut self, host: H) -> Self {
        self.registry.add_activities(host);
        self
    }

    /// Registers an annotated entity.
    pub fn entity<E: Entity>(mut self) -> Self {
        self.registry.add_entity::<E>();
        self
    }

    /// Application data that activities get with
    /// [`ActivityContext::data`](crate::ActivityContext::data), one value of each type.
    pub fn data<T: Send + Sync + 'static>(mut self, data: T) -> Self {
        self.data.insert(data);
        self
    }

    /// How many instances stay decoded in memory between their turns. With 0 every turn begins
    /// with the saved bytes, which tests use to prove that resuming works everywhere.
    ///
    /// Default: [`DEFAULT_RESIDENT_INSTANCES`], or what the environment variable
    /// [`RESIDENT_INSTANCES_VARIABLE`] says.
    pub fn resident_instances(mut self, count: usize) -> Self {
        self.options.resident_instances = Some(count);
        self
    }

    /// How many activities run at once. Default: [`DEFAULT_ACTIVITIES_PER_CORE`] for each core. When
    /// more than twice as many are there, the rest is offered to the other workers of the hub, and a
    /// worker that has places free takes what others offer, if it knows the activity.
    pub fn max_concurrent_activities(mut self, count: usize) -> Self {
        self.options.max_concurrent_activities = Some(count);
        self
    }

    /// The turns of how many orchestrations one commit of a partition carries at most. Default:
    /// [`DEFAULT_BATCH_INSTANCES`].
    pub fn max_concurrent_orchestrations(mut self, count: usize) -> Self {
        self.options.max_concurrent_orchestrations = count;
        self
    }

    /// The turns of how many entities one commit of a partition carries at most. Default:
    /// [`DEFAULT_BATCH_INSTANCES`].
    pub fn max_concurrent_entities(mut self, count: usize) -> Self {
        self.options.max_concurrent_entities = count;
        self
    }

    /// How long partitions stay with this worker after it was last heard of. All partitions of a
    /// hub are shared evenly among its workers: when one comes, each of the others gives it a part
    /// of theirs within this time, and when one ends without a word, they have shared what it held
    /// soon after it. Default: [`DEFAULT_LEASE_LENGTH`].
    pub fn lease_length(mut self, length: Duration) -> Self {
        self.options.lease_length = length;
        self
    }

    /// How often each partition is polled when no hint comes. Default: [`DEFAULT_POLL_INTERVAL`].
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.options.poll_interval = interval;
        self
    }

    /// How long [`Worker::shutdown`] waits for running activities. Default:
    /// [`DEFAULT_SHUTDOWN_GRACE`].
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.options.shutdown_grace = grace;
        self
    }

    /// How much of its history each instance keeps. Default: [`HistoryRetention::All`].
    ///
    /// ```no_run
    /// # use durable::{HistoryRetention, Worker};
    /// # use durable::store::MemoryStore;
    /// let builder = Worker::builder(MemoryStore::new()).history(HistoryRetention::LastTurns(100));
    /// # drop(builder);
    /// ```
    pub fn history(mut self, retention: HistoryRetention) -> Self {
        self.options.history = retention;
        self
    }

    /// Purges orchestrations of this status when they have ended so long ago, with their history.
    /// Without this everything is kept until [`Client::purge`] is called. What has failed can be
    /// rewound only while it is kept.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use durable::{Status, Worker};
    /// # use durable::store::MemoryStore;
    /// const DAY: Duration = Duration::from_secs(24 * 3600);
    /// let builder = Worker::builder(MemoryStore::new())
    ///     .purge_after(Status::Completed, 30 * DAY)
    ///     .purge_after(Status::Terminated, 30 * DAY)
    ///     .purge_after(Status::Failed, 90 * DAY);
    /// # drop(builder);
    /// ```
    pub fn purge_after(mut self, status: Status, age: Duration) -> Self {
        self.options.retention.set(status, age);
        self
    }

    /// Calls `listener` when an orchestration has started, ended or come to another status on this
    /// worker. The change is durable by then. A worker that dies at that moment tells nobody, so
    /// that this is for notifications and not for the work itself; it runs on the worker's loop, and
    /// should hand on what takes long.
    ///
    /// ```no_run
    /// # use durable::Worker;
    /// # use durable::store::MemoryStore;
    /// let builder = Worker::builder(MemoryStore::new()).on_lifecycle(|event| {
    ///     println!("{} ({}) is {:?}", event.instance_id, event.name, event.status);
    /// });
    /// # drop(builder);
    /// ```
    pub fn on_lifecycle(
        mut self,
        listener: impl Fn(&LifecycleEvent) + Send + Sync + 'static,
    ) -> Self {
        self.options.listener = Listener::new(listener);
        self
    }

    /// The identity of the worker. One that starts again under the same identity takes over at
    /// once what it held, so no two that run at the same time may share it. Default: a new id.
    pub fn worker_id(mut self, id: impl Into<String>) -> Self {
        self.options.worker_id = Some(id.into());
        self
    }

    /// Whether each turn of an orchestration that runs its code is run a second time from the same
    /// saved bytes and must come to the same, or the instance fails with an error that names the
    /// first difference. This finds what is not deterministic in helpers that the compiler cannot
    /// see into. Default: in debug builds, as `debug_assertions` says.
    pub fn check_determinism(mut self, check: bool) -> Self {
        self.options.check_determinism = check;
        self
    }

    /// The version of the worker. An orchestration gets it that is started without a version of its
    /// own: by [`Worker::client`], unless that client has
    /// [another default](Client::default_version), and by the orchestrations and entities that run
    /// on this worker, whatever their own version is. What has begun stays on the version it has.
    /// Default: none.
    ///
    /// The version of a start is the first that is given of [`Call::version`](crate::Call::version),
    /// the version of the called function, and this.
    ///
    /// ```
    /// # use durable::Worker;
    /// # use durable::prelude::*;
    /// # use durable::store::MemoryStore;
    /// #[orchestrator]
    /// async fn which(ctx: &OrchestrationContext) -> String {
    ///     ctx.version()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let worker = Worker::builder(MemoryStore::new())
    ///     .orchestrator(which)
    ///     .default_version("2.1")
    ///     .start()
    ///     .await?;
    /// assert_eq!(worker.client().start(which()).await?.result().await?, "2.1");
    /// let older = worker.client().start(which().version("1.0")).await?;
    /// assert_eq!(older.result().await?, "1.0");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A version that is blank, too long or holds a NUL character is a [`WorkerError::Option`].
    pub fn default_version(mut self, version: impl Into<String>) -> Self {
        self.options.default_version = version.into();
        self
    }

    /// Which instances the worker takes, by their version and its
    /// [`default_version`](Self::default_version). They are compared before a program is looked up.
    /// Default: [`VersionMatch::Any`]. Anything else without a default version is a
    /// [`WorkerError::Option`].
    ///
    /// ```no_run
    /// # use durable::{VersionMatch, VersionMismatch, Worker};
    /// # use durable::store::MemoryStore;
    /// let builder = Worker::builder(MemoryStore::new())
    ///     .default_version("2.1")
    ///     .version_match(VersionMatch::CurrentOrOlder)
    ///     .on_version_mismatch(VersionMismatch::Reject);
    /// # drop(builder);
    /// ```
    pub fn version_match(mut self, version_match: VersionMatch) -> Self {
        self.options.version_match = version_match;
        self
    }

    /// What becomes of an instance that [`version_match`](Self::version_match) excludes. Default:
    /// [`VersionMismatch::Reject`].
    pub fn on_version_mismatch(mut self, mismatch: VersionMismatch) -> Self {
        self.options.on_version_mismatch = mismatch;
        self
    }

    /// Where time and ids come from. Default: [`SystemClock`](crate::SystemClock).
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.options.clock = Arc::new(clock);
        self
    }

    /// What the test harness looks into: what is registered.
    pub(crate) fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The same worker on another view of its store.
    pub(crate) fn on(mut self, store: Arc<dyn Store>) -> Self {
        self.store = store;
        self
    }

    /// Keeps all timers in memory, however far away, so that a clock that jumps knows where to.
    pub(crate) fn keep_all_timers(mut self) -> Self {
        self.options.horizon = Duration::MAX;
        self
    }

    /// Starts the worker on the tokio runtime of the caller. When this returns, it owns the
    /// partitions that were free, up to its share of all; what it lacks others give it soon.
    ///
    /// # Errors
    ///
    /// [`WorkerError::Duplicates`] if a name was registered twice, [`WorkerError::Option`] if an
    /// option has a value that cannot work, [`WorkerError::Store`] if the store fails.
    pub async fn start(self) -> Result<Worker, WorkerError> {
        let Self { store, mut registry, data, options } = self;
        registry.set_check_determinism(options.check_determinism);
        registry.set_versioning(options.versioning()?);
        if !registry.duplicates().is_empty() {
            return Err(WorkerError::Duplicates(registry.duplicates().to_vec()));
        }
        let clock = Arc::clone(&options.clock);
        let retention = options.retention.clone();
        let settings = options.check()?;
        let registry = Arc::new(registry);
        let connection = Arc::new(Connection::new(store, clock));
        let (draining, stopped) = (CancellationToken::new(), CancellationToken::new());
        let limit = settings.max_concurrent_activities;
        let counters = Arc::new(Counters::default());
        let shared = Arc::new(Shared {
            registry: Arc::clone(&registry),
            activities: Runner::new(
                Arc::clone(&registry),
                data,
                limit,
                (Arc::clone(&connection.clock), Arc::clone(&counters)),
                stopped.clone(),
            ),
            exchange: Arc::default(),
            settings,
            partitions: connection.hub().await?.partitions,
            resident: Arc::new(AtomicUsize::new(0)),
            draining: draining.clone(),
            connection: Arc::clone(&connection),
            counters: Arc::clone(&counters),
        });
        let wakes = Arc::new(Mutex::new(HashMap::new()));
        // Hints are heard before the first poll, so that none is missed.
        let hints = connection.store.hints();
        // If this future is dropped halfway, so is everything it began.
        let guard = stopped.clone().drop_guard();
        let claims = Claims::new(Arc::clone(&shared), stopped.clone());
        let exchange = Arc::clone(&shared.exchange);
        let mut leases = Leases::new(shared, stopped.clone(), Arc::clone(&wakes));
        leases.acquire_first().await?;
        tokio::spawn(forward_hints(hints, wakes, exchange, stopped.clone()));
        let leases = Some(tokio::spawn(leases.run()));
        let claims = Some(tokio::spawn(claims.run()));
        guard.disarm();
        let worker = Worker { connection, registry, draining, stopped, leases, claims, counters };
        if !retention.is_empty() {
            let stopped = worker.stopped.clone();
            tokio::spawn(upkeep::purge_ended(worker.client(), retention, stopped));
        }
        Ok(worker)
    }
}
