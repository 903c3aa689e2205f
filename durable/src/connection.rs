//! What the worker and the clients of one process share: the store, the clock, the hub's facts, a
//! stock of instance numbers, and the registry of who waits for what.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use durable_store::{
    Accepted, Condition, Envelope, Hub, Message, PartitionId, Store, StoreError, StoreErrorKind,
};
use tokio::sync::OnceCell;

use crate::backoff::{self, retry};
use crate::clock::Clock;
use crate::doors::Doors;
use crate::placement::partition_of;
use crate::telemetry::store_call;
use crate::waiters::{Fate, Waiters};

/// An id that no instance can have.
const NOBODY: &str = "@";
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
    /// The partitions whose owner is this process: messages can be handed to it, and news of them
    /// need not be polled for.
    pub(crate) doors: Doors,
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
            doors: Doors::default(),
        }
    }

    /// What the hub is. Read once.
    pub(crate) async fn hub(&self) -> Result<Hub, StoreError> {
        match self.hub.get() {
            Some(hub) => Ok(*hub),
            // Boxed: it is part of every wait, and happens once.
            None => Box::pin(self.read_hub()).await,
        }
    }

    async fn read_hub(&self) -> Result<Hub, StoreError> {
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

    /// Makes a call for the owner of a partition. Who waits for him hears if the store is away.
    pub(crate) async fn owner_call<T>(
        &self,
        partition: PartitionId,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let result = store_call(operation, call).await;
        let is_away = |error: &StoreError| {
            error.is_retryable() || error.kind() == StoreErrorKind::OutcomeUnknown
        };
        if result.as_ref().is_err_and(is_away) {
            self.doors.note_failure(partition);
        }
        result
    }

    /// Sends one message. Its id makes repeating it harmless.
    pub(crate) async fn send(&self, envelope: Envelope) -> Result<Accepted, StoreError> {
        self.send_by(envelope, false).await
    }

    /// Sends the first message of an instance whose id was just made up.
    pub(crate) async fn send_fresh(&self, envelope: Envelope) -> Result<Accepted, StoreError> {
        self.send_by(envelope, true).await
    }

    async fn send_by(&self, envelope: Envelope, is_fresh: bool) -> Result<Accepted, StoreError> {
        // What is wrong with it the store says better.
        let may_pass = envelope.check(self.hub().await?).is_ok();
        if may_pass && self.doors.pass(&envelope, is_fresh, &*self.clock).await? {
            return Ok(Accepted::Sent);
        }
        if self.waiters.is_in_doubt(&envelope.message.id) {
            // Boxed: every message may come to it, and hardly one does.
            return Box::pin(self.send_in_doubt(&envelope)).await;
        }
        self.store(&envelope).await
    }

    /// Sends a message whose answer may have been given by a commit that was interrupted.
    async fn send_in_doubt(&self, envelope: &Envelope) -> Result<Accepted, StoreError> {
        let id = &envelope.message.id;
        if self.is_known(&envelope.message).await? {
            self.waiters.resolve(id, Fate::Happened);
            return Ok(Accepted::Duplicate);
        }
        let accepted = self.store(envelope).await;
        // What is known now that was not before may have been stored by an attempt of this call of
        // which nobody heard, or still by the commit.
        let is_unclear = matches!(accepted, Ok(Accepted::Duplicate));
        let fate = if is_unclear { Fate::Unknown } else { Fate::DidNotHappen };
        self.waiters.resolve(id, fate);
        accepted
    }

    /// Whether the message is stored or was taken. Asking stores nothing: it is for nobody.
    async fn is_known(&self, message: &Message) -> Result<bool, StoreError> {
        let (target, body) = (NOBODY.to_owned(), "null".into());
        let message = Message { target, body, ..message.clone() };
        let asked = self.store(&Envelope { message, condition: Condition::Running }).await?;
        Ok(asked == Accepted::Duplicate)
    }

    /// Stores messages, all in one step, and tries until that succeeds or never will. Their ids make
    /// repeating it harmless.
    pub(crate) async fn send_all(&self, envelopes: &[Envelope]) -> Result<(), StoreError> {
        let partitions = envelopes.iter().map(|envelope| envelope.message.partition);
        let _storing: Vec<_> = partitions.map(|partition| self.doors.storing(partition)).collect();
        let sent = retry(&*self.clock, u32::MAX, || {
            store_call("send", self.store.send(envelopes.to_vec(), self.clock.now()))
        });
        sent.await.map(drop)
    }

    async fn store(&self, envelope: &Envelope) -> Result<Accepted, StoreError> {
        let storing = self.doors.storing(envelope.message.partition);
        let accepted = self.try_to_store(envelope).await;
        drop(storing);
        if !matches!(accepted, Ok(Accepted::Sent)) {
            // It tells of what others have stored.
            self.doors.note_seen();
        }
        accepted
    }

    async fn try_to_store(&self, envelope: &Envelope) -> Result<Accepted, StoreError> {
        let answers = retry(&*self.clock, backoff::MAX_ATTEMPTS, || {
            store_call("send", self.store.send(vec![envelope.clone()], self.clock.now()))
        })
        .await?;
        answers.first().copied().ok_or_else(|| {
            let detail = "the store gave no answer for the message: this is a bug of the backend";
            StoreError::new(StoreErrorKind::Other, "send", detail)
        })
    }
}

fn too_many(count: usize) -> StoreError {
    let detail = format!("{count} numbers at once are too many");
    StoreError::new(StoreErrorKind::Limit, "reserve_numbers", detail)
}
