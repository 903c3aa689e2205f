//! What the worker and the clients of one process share: the store, the clock, the hub's facts, a
//! stock of instance numbers, and the registry of who waits for what.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use durable_store::{Accepted, Envelope, Hub, PartitionId, Store, StoreError, StoreErrorKind};
use tokio::sync::OnceCell;

use crate::backoff::{self, retry};
use crate::clock::Clock;
use crate::placement::partition_of;
use crate::telemetry::store_call;
use crate::waiters::Waiters;

/// How many instance numbers are reserved at once.
const NUMBER_BLOCK: u32 = 1_000;

/// What can be opened as a store by [`Worker::builder`](crate::Worker::builder) and
/// [`Client::new`](crate::Client::new): a backend by value, or any store in an `Arc`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store",
    label = "expected a store",
    note = "pass one of the backends, or another `Store` as `Arc::new(store)`"
)]
pub trait IntoStore {
    /// The store, shared.
    fn into_store(self) -> Arc<dyn Store>;
}

impl IntoStore for Arc<dyn Store> {
    fn into_store(self) -> Self {
        self
    }
}

impl<S: Store> IntoStore for Arc<S> {
    fn into_store(self) -> Arc<dyn Store> {
        self
    }
}

#[cfg(feature = "memory")]
impl IntoStore for durable_store::MemoryStore {
    fn into_store(self) -> Arc<dyn Store> {
        Arc::new(self)
    }
}

#[cfg(feature = "sqlite")]
impl IntoStore for durable_store::SqliteStore {
    fn into_store(self) -> Arc<dyn Store> {
        Arc::new(self)
    }
}

#[cfg(feature = "postgres")]
impl IntoStore for durable_store::PostgresStore {
    fn into_store(self) -> Arc<dyn Store> {
        Arc::new(self)
    }
}

/// The shared part of a worker and its clients, or of a client without a worker.
pub(crate) struct Connection {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The identity under which clients ask for answers.
    pub(crate) process: String,
    pub(crate) waiters: Waiters,
    hub: OnceCell<Hub>,
    numbers: tokio::sync::Mutex<Range<i64>>,
    /// The partitions whose owner is this process: news of them need not be polled for.
    owned: Mutex<HashSet<PartitionId>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let process = clock.new_id().simple().to_string();
        Self {
            store,
            clock,
            process,
            waiters: Waiters::default(),
            hub: OnceCell::new(),
            numbers: tokio::sync::Mutex::new(0..0),
            owned: Mutex::default(),
        }
    }

    /// What the hub is. Read once.
    pub(crate) async fn hub(&self) -> Result<Hub, StoreError> {
        let read =
            || retry(&*self.clock, backoff::MAX_ATTEMPTS, || store_call("hub", self.store.hub()));
        self.hub.get_or_try_init(read).await.copied()
    }

    pub(crate) async fn partition_of(&self, id: &str) -> Result<PartitionId, StoreError> {
        Ok(partition_of(id, self.hub().await?.partitions))
    }

    /// So many numbers that no instance has.
    pub(crate) async fn take_numbers(&self, count: usize) -> Result<Vec<i64>, StoreError> {
        let mut stock = self.numbers.lock().await;
        let mut taken = Vec::with_capacity(count);
        taken.extend(stock.by_ref().take(count));
        let missing = count - taken.len();
        if missing > 0 {
            let missing = u32::try_from(missing).map_err(|_| too_many(count))?;
            let block = missing.max(NUMBER_BLOCK);
            let first = retry(&*self.clock, backoff::MAX_ATTEMPTS, || {
                store_call("reserve_numbers", self.store.reserve_numbers(block))
            })
            .await?;
            *stock = first..first + i64::from(block);
            taken.extend(stock.by_ref().take(missing as usize));
        }
        Ok(taken)
    }

    /// Sends one message. Its id makes repeating it harmless.
    pub(crate) async fn send(&self, envelope: Envelope) -> Result<Accepted, StoreError> {
        let answers = retry(&*self.clock, backoff::MAX_ATTEMPTS, || {
            store_call("send", self.store.send(vec![envelope.clone()], self.clock.now()))
        })
        .await?;
        answers.first().copied().ok_or_else(|| {
            let detail = "the store gave no answer for the message: this is a bug of the backend";
            StoreError::new(StoreErrorKind::Other, "send", detail)
        })
    }

    fn owned(&self) -> MutexGuard<'_, HashSet<PartitionId>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_owned(&self, partition: PartitionId, is_owned: bool) {
        if is_owned {
            self.owned().insert(partition);
        } else {
            self.owned().remove(&partition);
        }
    }

    pub(crate) fn is_owned(&self, partition: PartitionId) -> bool {
        self.owned().contains(&partition)
    }
}

fn too_many(count: usize) -> StoreError {
    let detail = format!("{count} numbers at once are too many");
    StoreError::new(StoreErrorKind::Limit, "reserve_numbers", detail)
}
