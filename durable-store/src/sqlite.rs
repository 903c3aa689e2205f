//! The embedded backend: a hub in one `SQLite` file, durable across `kill -9` and loss of power.
//! One writer applies what waits in groups; a few connections read beside it. This file opens
//! and closes a store and hands each operation to the part that does it.

mod checkpointer;
mod cleaning;
mod committing;
mod database;
mod errors;
mod instances;
mod leases;
mod liveness;
mod messages;
mod offers;
mod reader;
mod schema;
mod script;
mod sending;
mod sql;
mod statement;
mod watcher;
mod work;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::Timestamp;
use crate::check::Check;
use crate::error::{StoreError, StoreErrorKind};
use crate::limits;
use crate::listeners::Listeners;
use crate::model::{
    Accepted, Batch, Envelope, Hint, Hub, InstanceNo, InstanceQuery, InstanceRecord, Lease, Offer,
    Page, PartitionId, Payload, Peer, Polled, StoredInstance,
};
use crate::store::{Result, Store};

use errors::closed;
use offers::OfferWork;
use reader::Reader;
use work::{Job, Output, Work};
use writer::Running;

/// Partitions of a hub that is created without saying how many.
const DEFAULT_PARTITIONS: u16 = 4;
/// How long a lock by another process is waited for, unless the options say otherwise.
const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The page cache of a reader, in KiB and negative by the pragma's convention: they read what has just
/// been written, which the system has in memory.
const READER_CACHE: &str = "-512";
/// Connections that read.
const READERS: u32 = 4;
/// Prepared scripts that each of them keeps.
const READER_STATEMENTS: usize = 128;

/// What a commit waits for before it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// The disk: a commit survives loss of power.
    #[default]
    Full,
    /// The operating system: a commit survives the death of the process, and the last ones may be
    /// lost with the power. Nothing is ever damaged.
    Normal,
}

/// How to open a [`SqliteStore`]. Made by [`SqliteStore::options`].
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    path: PathBuf,
    partitions: u16,
    create: bool,
    synchronous: Synchronous,
    busy_timeout: Duration,
}

impl SqliteOptions {
    /// The number of partitions of a hub that is created by this; an existing one keeps its
    /// number. At least one and at most [`limits::MAX_PARTITIONS`]. The default is 4: a file has
    /// one writer, and more partitions make smaller commits of what it writes.
    #[must_use]
    pub fn partitions(mut self, partitions: u16) -> Self {
        self.partitions = partitions;
        self
    }

    /// Whether to create the file if there is none. The default is true.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// What a commit waits for. The default is [`Synchronous::Full`].
    #[must_use]
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// How long to wait for a lock that another process holds before an operation fails with
    /// [`Locked`](StoreErrorKind::Locked). The default is five seconds.
    #[must_use]
    pub fn busy_timeout(mut self, busy_timeout: Duration) -> Self {
        self.busy_timeout = busy_timeout;
        self
    }

    /// Opens the store, and brings its schema up to date.
    ///
    /// # Errors
    ///
    /// [`NotFound`](StoreErrorKind::NotFound) if the directory does not exist, or the file does
    /// not and may not be created; [`ReadOnly`](StoreErrorKind::ReadOnly),
    /// [`Corrupt`](StoreErrorKind::Corrupt), [`SchemaTooNew`](StoreErrorKind::SchemaTooNew) or
    /// [`Locked`](StoreErrorKind::Locked) if the file is; [`Limit`](StoreErrorKind::Limit) for a
    /// number of partitions that cannot be.
    pub async fn open(self) -> Result<SqliteStore> {
        self.check()?;
        let listeners = Listeners::new();
        let busy_timeout = self.busy_timeout;
        let Running { queue, path, partitions } = writer::start(self, listeners.clone()).await?;
        let reader = Reader { pool: readers(&path, busy_timeout), path };
        Ok(SqliteStore { partitions, queue, reader, listeners })
    }

    /// What can be said before the file is touched. The marks of a file are looked at because a
    /// privileged user could write to it in spite of them.
    fn check(&self) -> Result<()> {
        let refused = |kind, detail| Err(StoreError::new(kind, "open", detail));
        let path = self.path.display();
        if !(1..=limits::MAX_PARTITIONS).contains(&self.partitions) {
            return refused(
                StoreErrorKind::Limit,
                format!(
                    "{} partitions for `{path}`, the limits are 1 and {}",
                    self.partitions,
                    limits::MAX_PARTITIONS
                ),
            );
        }
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new("."));
        if !directory.is_dir() {
            let directory = directory.display();
            return refused(
                StoreErrorKind::NotFound,
                format!("the directory `{directory}` of `{path}` does not exist: create it first"),
            );
        }
        match std::fs::metadata(&self.path) {
            Ok(file) if file.is_dir() => refused(
                StoreErrorKind::NotFound,
                format!("`{path}` is a directory: give the path of a file"),
            ),
            Ok(file) if file.permissions().readonly() => refused(
                StoreErrorKind::ReadOnly,
                format!("`{path}` is marked read-only: make the file writable"),
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.create => refused(
                StoreErrorKind::NotFound,
                format!("`{path}` does not exist: check the path, or let it be created"),
            ),
            // What else is wrong shows when the file is opened.
            _ => match std::fs::metadata(directory) {
                Ok(marks) if marks.permissions().readonly() => refused(
                    StoreErrorKind::ReadOnly,
                    format!("the directory of `{path}` is marked read-only: make it writable"),
                ),
                _ => Ok(()),
            },
        }
    }
}

/// The connections that read the database at `path`, made when they are needed.
fn readers(path: &Path, busy_timeout: Duration) -> SqlitePool {
    let connection = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(busy_timeout)
        .statement_cache_capacity(READER_STATEMENTS)
        .pragma("query_only", "ON")
        .pragma("cache_size", READER_CACHE)
        .disable_statement_logging();
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(connection)
}

/// A hub in a `SQLite` file. Clones share it, and several processes may open the same file.
///
/// What was accepted before [`close`](Self::close), or before the last clone is dropped, is
/// applied; what was answered is durable. Beside the file lie its write-ahead log and the
/// directory `<file>.workers` with the lock files of running workers.
///
/// ```
/// use durable_store::{SqliteStore, Store};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("hub.db");
/// let store = SqliteStore::options(&path).partitions(4).open().await?;
/// assert_eq!(store.hub().await?.partitions, 4);
/// store.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SqliteStore {
    partitions: u16,
    queue: mpsc::Sender<Job>,
    reader: Reader,
    listeners: Listeners,
}

impl SqliteStore {
    /// Opens the hub at `path` and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// See [`SqliteOptions::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options(path).open().await
    }

    /// The options to open the hub at `path` with.
    pub fn options(path: impl AsRef<Path>) -> SqliteOptions {
        SqliteOptions {
            path: path.as_ref().to_owned(),
            partitions: DEFAULT_PARTITIONS,
            create: true,
            synchronous: Synchronous::Full,
            busy_timeout: DEFAULT_BUSY_TIMEOUT,
        }
    }

    /// Applies what was accepted, copies the write-ahead log back into the file, and ends the
    /// store with all its clones: whatever is asked of them afterwards fails.
    ///
    /// # Errors
    ///
    /// If the log cannot be copied back. Nothing is lost then: the next opening reads it.
    pub async fn close(&self) -> Result<()> {
        let (answer, ended) = oneshot::channel();
        // A pool that is closed holds no old state of the file, which the copying waits for.
        self.reader.pool.close().await;
        if self.queue.send(Job::Close(answer)).await.is_err() {
            return Ok(());
        }
        ended.await.unwrap_or(Ok(()))
    }

    /// Queues `work` for the writer and waits for its answer.
    async fn write(&self, operation: &'static str, work: Work) -> Result<Output> {
        let (answer, output) = oneshot::channel();
        let queued = self.queue.send(Job::Work(work, answer)).await;
        queued.map_err(|_| closed(operation))?;
        output.await.map_err(|_| closed(operation))?
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn hub(&self) -> Result<Hub> {
        Ok(Hub { partitions: self.partitions })
    }

    async fn reserve_numbers(&self, count: u32) -> Result<i64> {
        match self.write("reserve_numbers", Work::Reserve { count }).await? {
            Output::Number(first) => Ok(first),
            _ => Err(closed("reserve_numbers")),
        }
    }

    async fn check_in(
        &self,
        worker: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Peer>> {
        Check::new("check_in", self.partitions).owner(worker)?;
        let worker = worker.to_owned();
        match self.write("check_in", Work::CheckIn { worker, now, expires_at }).await? {
            Output::Peers(peers) => Ok(peers),
            _ => Err(closed("check_in")),
        }
    }

    async fn acquire_leases(
        &self,
        owner: &str,
        limit: u16,
        held: &[PartitionId],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Lease>> {
        Check::new("acquire_leases", self.partitions).owner(owner)?;
        let (owner, held) = (owner.to_owned(), held.to_vec());
        let work = Work::Acquire { owner, limit, held, now, expires_at };
        self.leases("acquire_leases", work).await
    }

    async fn renew_leases(&self, leases: &[Lease], expires_at: Timestamp) -> Result<Vec<Lease>> {
        let leases = leases.to_vec();
        self.leases("renew_leases", Work::Renew { leases, expires_at }).await
    }

    async fn release_leases(&self, leases: &[Lease]) -> Result<()> {
        let leases = leases.to_vec();
        self.write("release_leases", Work::Release { leases }).await.map(drop)
    }

    async fn load_partition(&self, lease: &Lease) -> Result<Vec<StoredInstance>> {
        self.reader.load_partition(lease).await
    }

    async fn load_instances(&self, lease: &Lease, ids: &[String]) -> Result<Vec<StoredInstance>> {
        self.reader.load_instances(lease, ids).await
    }

    async fn poll(&self, lease: &Lease, horizon: Timestamp, limit: usize) -> Result<Polled> {
        self.reader.poll(lease, horizon, limit).await
    }

    async fn commit(&self, lease: &Lease, batch: Batch) -> Result<()> {
        let bytes = Check::new("commit", self.partitions).batch(lease, &batch)?;
        let lease = lease.clone();
        self.write("commit", Work::Commit { lease, batch, bytes }).await.map(drop)
    }

    async fn send(&self, envelopes: Vec<Envelope>, now: Timestamp) -> Result<Vec<Accepted>> {
        let bytes = Check::new("send", self.partitions).envelopes(&envelopes)?;
        match self.write("send", Work::Send { envelopes, now, bytes }).await? {
            Output::Accepted(answers) => Ok(answers),
            _ => Err(closed("send")),
        }
    }

    async fn read_instances(&self, ids: &[String]) -> Result<Vec<InstanceRecord>> {
        self.reader.read_instances(ids).await
    }

    async fn find_instances(
        &self,
        query: &InstanceQuery,
        after: Option<InstanceNo>,
        limit: usize,
    ) -> Result<Page> {
        self.reader.find(query, after, limit).await
    }

    async fn count_instances(&self, query: &InstanceQuery) -> Result<u64> {
        self.reader.count(query).await
    }

    async fn purge_instances(&self, numbers: &[InstanceNo]) -> Result<Vec<InstanceNo>> {
        Check::new("purge_instances", self.partitions).numbers(numbers)?;
        let numbers = numbers.to_vec();
        let Output::Purged(purged) = self.write("purge_instances", Work::Purge { numbers }).await?
        else {
            return Err(closed("purge_instances"));
        };
        // They are gone already. What is left of them lies there until somebody sweeps.
        if !purged.is_empty()
            && let Err(error) = self.sweep().await
        {
            tracing::debug!(%error, "what was purged is swept later");
        }
        Ok(purged)
    }

    async fn read_history(
        &self,
        no: InstanceNo,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Payload)>> {
        self.reader.history(no, after, limit).await
    }

    async fn read_replies(&self, requests: &[String]) -> Result<Vec<(String, Payload)>> {
        self.reader.replies(requests).await
    }

    async fn clean(&self, receipts_before: Timestamp, replies_before: Timestamp) -> Result<()> {
        while let Output::More(true) =
            self.write("clean", Work::Clean { receipts_before, replies_before }).await?
        {}
        self.sweep().await
    }

    async fn offer_activities(&self, lease: &Lease, offers: Vec<Offer>) -> Result<()> {
        let bytes = Check::new("offer_activities", self.partitions).offers(lease, &offers)?;
        self.offers(OfferWork::Offer { lease: lease.clone(), offers, bytes }).await.map(drop)
    }

    async fn withdraw_offers(&self, lease: &Lease, ids: Option<&[String]>) -> Result<()> {
        let (lease, ids) = (lease.clone(), ids.map(<[String]>::to_vec));
        self.offers(OfferWork::Withdraw { lease, ids }).await.map(drop)
    }

    async fn lost_offers(&self, lease: &Lease, now: Timestamp) -> Result<Vec<String>> {
        match self.offers(OfferWork::Lost { lease: lease.clone(), now }).await? {
            Output::Ids(ids) => Ok(ids),
            _ => Err(closed("lost_offers")),
        }
    }

    async fn claim_offers(
        &self,
        worker: &str,
        names: &[String],
        limit: usize,
        expires_at: Timestamp,
    ) -> Result<Vec<Offer>> {
        Check::new("claim_offers", self.partitions).claims(worker, names)?;
        let limit = limit.min(limits::MAX_PAGE_ROWS);
        let (worker, names) = (worker.to_owned(), names.to_vec());
        match self.offers(OfferWork::Claim { worker, names, limit, expires_at }).await? {
            Output::Offers(offers) => Ok(offers),
            _ => Err(closed("claim_offers")),
        }
    }

    async fn renew_claims(
        &self,
        worker: &str,
        ids: &[String],
        expires_at: Timestamp,
    ) -> Result<Vec<String>> {
        Check::new("renew_claims", self.partitions).claims(worker, ids)?;
        let (worker, ids) = (worker.to_owned(), ids.to_vec());
        match self.offers(OfferWork::Renew { worker, ids, expires_at }).await? {
            Output::Ids(ids) => Ok(ids),
            _ => Err(closed("renew_claims")),
        }
    }

    async fn release_claims(&self, worker: &str, ids: &[String]) -> Result<()> {
        Check::new("release_claims", self.partitions).claims(worker, ids)?;
        let (worker, ids) = (worker.to_owned(), ids.to_vec());
        self.offers(OfferWork::Release { worker, ids }).await.map(drop)
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.listeners.hints()
    }

    fn news(&self) -> broadcast::Receiver<PartitionId> {
        self.listeners.news()
    }
}

impl SqliteStore {
    /// Deletes what is left of instances that were purged, a part at a time.
    async fn sweep(&self) -> Result<()> {
        while let Output::More(true) = self.write("clean", Work::Sweep).await? {}
        Ok(())
    }

    async fn offers(&self, work: OfferWork) -> Result<Output> {
        self.write(work.operation(), Work::Offers(work)).await
    }

    async fn leases(&self, operation: &'static str, work: Work) -> Result<Vec<Lease>> {
        match self.write(operation, work).await? {
            Output::Leases(leases) => Ok(leases),
            _ => Err(closed(operation)),
        }
    }
}
