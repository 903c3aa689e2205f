//! The backend for many workers on many machines: a hub in a schema of a `PostgreSQL` database.
//! This file opens a store and hands each operation to the part that does it.
//!
//! Leases are told apart by the times that workers pass, as the contract has it; workers whose
//! clocks differ by more than a lease take partitions over too early or too late, which costs time
//! and nothing else: only the epoch gives safety.

mod committing;
mod errors;
mod gathering;
mod offers;
mod parts;
mod pool;
mod reader;
mod schema;
mod sending;
mod signals;
mod sql;
mod statement;
mod upkeep;
mod words;

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::broadcast;

use crate::Timestamp;
use crate::check::Check;
use crate::error::{StoreError, StoreErrorKind};
use crate::limits;
use crate::model::{
    Accepted, Batch, Envelope, Hint, Hub, InstanceNo, InstanceQuery, InstanceRecord, Lease, Offer,
    Page, PartitionId, Payload, Peer, Polled, StoredInstance,
};
use crate::store::{Ready, Result, Store};

use committing::Ledger;
use errors::{Failure, Place, classify};
use gathering::Gathering;
use pool::Connections;
use signals::Signals;
use statement::Names;

/// The schema of a hub, unless the options say otherwise.
const DEFAULT_SCHEMA: &str = "durable";
/// Longest name of a schema, in bytes: the name of its channel of notifications has 63 at most.
const MAX_SCHEMA_BYTES: usize = 50;
/// Connections of a store, unless the options say otherwise.
const DEFAULT_CONNECTIONS: u32 = 10;
/// Prepared statements that each connection keeps: a commit has a text for each combination of what
/// it changes. All workloads of the benchmark have fifty, of some 200 KB of the server each.
const STATEMENTS: usize = 256;
/// What the server is told about who connects, unless the URL says otherwise.
const APPLICATION_NAME: &str = "durable";

/// How to open a [`PostgresStore`]. Made by [`PostgresStore::options`].
#[derive(Clone)]
pub struct PostgresOptions {
    url: String,
    schema: String,
    partitions: Option<u16>,
    max_connections: u32,
    notifications: bool,
    transaction_pooler: bool,
}

impl fmt::Debug for PostgresOptions {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("schema", &self.schema)
            .field("partitions", &self.partitions)
            .field("max_connections", &self.max_connections)
            .field("notifications", &self.notifications)
            .field("transaction_pooler", &self.transaction_pooler)
            .finish_non_exhaustive()
    }
}

impl PostgresOptions {
    /// The schema that is the hub, and that holds nothing else. It is created if it does not exist.
    /// Lower-case letters, digits and underscores. The default is `durable`.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// The number of partitions, at least one and at most [`limits::MAX_PARTITIONS`]. A hub that
    /// exists with another number is not opened. Without this, a new hub gets
    /// [`limits::DEFAULT_PARTITIONS`], and an existing one is taken as it is.
    #[must_use]
    pub fn partitions(mut self, partitions: u16) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// The most connections that the store makes, apart from one to listen for notifications. The
    /// default is 10.
    #[must_use]
    pub fn max_connections(mut self, max_connections: u32) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Whether processes tell each other with `NOTIFY` what has happened. Without that, a message
    /// from another process, or the end of an instance there, is seen with the next poll. The
    /// default is true.
    #[must_use]
    pub fn notifications(mut self, notifications: bool) -> Self {
        self.notifications = notifications;
        self
    }

    /// Whether connections lead to a pooler that gives each transaction another server connection
    /// (`PgBouncer` with `pool_mode = transaction`). Then there are no notifications, and no
    /// settings of the session: give them to the role instead, with `ALTER ROLE .. SET`
    /// `plan_cache_mode = force_generic_plan` and `enable_seqscan`, `enable_bitmapscan`,
    /// `enable_hashjoin` and `enable_mergejoin` `= off`. The pooler must know prepared statements
    /// (`max_prepared_statements` above 256). The default is false.
    #[must_use]
    pub fn transaction_pooler(mut self, transaction_pooler: bool) -> Self {
        self.transaction_pooler = transaction_pooler;
        self
    }

    /// Opens the store, and creates the hub's schema or brings it up to date.
    ///
    /// # Errors
    ///
    /// [`NotFound`](StoreErrorKind::NotFound) if there is no such database;
    /// [`ReadOnly`](StoreErrorKind::ReadOnly) if the server is a replica or takes no changes;
    /// [`SchemaTooNew`](StoreErrorKind::SchemaTooNew) if a newer version of this library wrote the
    /// schema; [`Conflict`](StoreErrorKind::Conflict) if the hub has another number of partitions;
    /// [`Corrupt`](StoreErrorKind::Corrupt) if the schema belongs to something else;
    /// [`Unavailable`](StoreErrorKind::Unavailable) if the server cannot be reached or has no
    /// connection left; [`Limit`](StoreErrorKind::Limit) for a number or a name that cannot be;
    /// [`Other`](StoreErrorKind::Other) for a URL that cannot be read, or rights that are missing.
    pub async fn open(self) -> Result<PostgresStore> {
        self.check()?;
        let options = PgConnectOptions::from_str(&self.url).map_err(|error| {
            let detail = "the URL cannot be read: write `postgres://user:password@host:5432/name`";
            StoreError::new(StoreErrorKind::Other, "open", detail).with_source(error)
        })?;
        let options = options.statement_cache_capacity(STATEMENTS).disable_statement_logging();
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name(APPLICATION_NAME),
        };
        let place = Place::new(&options, &self.schema);
        let names = Names::of(&self.schema);
        let failed = |error| classify("open", &place, Failure::before(error));
        let mut connection = pool::connect(&options).await.map_err(failed)?;
        let wanted = self.partitions.unwrap_or(limits::DEFAULT_PARTITIONS);
        let partitions = schema::prepare(&mut connection, &names, &place, wanted).await?;
        if self.partitions.is_some_and(|wanted| wanted != partitions) {
            let detail = format!(
                "{place} has {partitions} partitions, not {wanted}: the number is fixed when a hub \
                 is created, so leave it out or use another schema"
            );
            return Err(StoreError::new(StoreErrorKind::Conflict, "open", detail));
        }
        let store = self.start(options, names, place.clone(), partitions);
        store.inner.pool.add(connection).await.map_err(failed)?;
        Ok(store)
    }

    fn start(
        self,
        options: PgConnectOptions,
        names: Names,
        place: Place,
        partitions: u16,
    ) -> PostgresStore {
        let session = !self.transaction_pooler;
        let pool = Connections::new(options.clone(), self.max_connections, session);
        let pool = Arc::new(pool);
        // Another number in every store: hashers are seeded at random.
        let seed = RandomState::new().hash_one(std::process::id());
        let signals = if self.notifications && session {
            Signals::remote(Arc::clone(&pool), options, &names, seed, partitions)
        } else {
            Signals::local()
        };
        let ledger = Ledger::new(partitions, seed);
        let (commits, sends) = (committing::commits(), sending::sends());
        let inner = Inner { partitions, names, place, pool, ledger, commits, sends, signals };
        PostgresStore { inner: Arc::new(inner) }
    }

    /// What can be said before anything is connected to.
    fn check(&self) -> Result<()> {
        let refused = |detail| Err(StoreError::new(StoreErrorKind::Limit, "open", detail));
        let partitions = self.partitions.unwrap_or(limits::DEFAULT_PARTITIONS);
        if !(1..=limits::MAX_PARTITIONS).contains(&partitions) {
            return refused(format!(
                "{partitions} partitions for `{}`, the limits are 1 and {}",
                self.schema,
                limits::MAX_PARTITIONS
            ));
        }
        if self.max_connections == 0 {
            return refused(format!("no connections for `{}`, the limit is 1", self.schema));
        }
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let starts_well = self.schema.starts_with(|c: char| is_name(c) && !c.is_ascii_digit());
        if !starts_well || !self.schema.chars().all(is_name) || self.schema.len() > MAX_SCHEMA_BYTES
        {
            return refused(format!(
                "`{}` cannot be the schema of a hub: take lower-case letters, digits and \
                 underscores, at most {MAX_SCHEMA_BYTES}, no digit first",
                self.schema
            ));
        }
        Ok(())
    }
}

/// A hub in a schema of a `PostgreSQL` database. Clones share it, and any number of processes may
/// open the same hub. What was answered is as durable as the server makes it
/// (`synchronous_commit`).
///
/// ```no_run
/// use durable_store::{PostgresStore, Store};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> durable_store::Result<()> {
/// let url = "postgres://app:secret@db.example.com/app";
/// let store = PostgresStore::options(url).schema("orders").partitions(16).open().await?;
/// assert_eq!(store.hub().await?.partitions, 16);
/// store.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
}

/// What all clones of a store share.
#[derive(Debug)]
struct Inner {
    partitions: u16,
    names: Names,
    place: Place,
    pool: Arc<Connections>,
    ledger: Ledger,
    commits: Gathering<committing::Shared>,
    sends: Gathering<sending::Sending>,
    signals: Signals,
}

impl PostgresStore {
    /// Opens the hub `durable` of the database that the URL names, and creates it if it does not
    /// exist. The database must exist.
    ///
    /// ```no_run
    /// # async fn example() -> durable_store::Result<()> {
    /// let store = durable_store::PostgresStore::connect("postgres://localhost/app").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`PostgresOptions::open`].
    pub async fn connect(url: impl Into<String>) -> Result<Self> {
        Self::options(url).open().await
    }

    /// The options to open a hub of the database with that the URL names.
    pub fn options(url: impl Into<String>) -> PostgresOptions {
        PostgresOptions {
            url: url.into(),
            schema: DEFAULT_SCHEMA.to_owned(),
            partitions: None,
            max_connections: DEFAULT_CONNECTIONS,
            notifications: true,
            transaction_pooler: false,
        }
    }

    /// Closes the connections of the store with all its clones: whatever is asked of them
    /// afterwards fails.
    pub async fn close(&self) {
        self.inner.pool.close().await;
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn hub(&self) -> Result<Hub> {
        Ok(Hub { partitions: self.inner.partitions })
    }

    async fn reserve_numbers(&self, count: u32) -> Result<i64> {
        self.inner.reserve(count).await
    }

    async fn check_in(
        &self,
        worker: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Peer>> {
        self.check("check_in").owner(worker)?;
        self.inner.check_in(worker, now, expires_at).await
    }

    async fn acquire_leases(
        &self,
        owner: &str,
        limit: u16,
        held: &[PartitionId],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Lease>> {
        self.check("acquire_leases").owner(owner)?;
        self.inner.acquire(owner, limit, held, now, expires_at).await
    }

    async fn renew_leases(&self, leases: &[Lease], expires_at: Timestamp) -> Result<Vec<Lease>> {
        self.inner.renew(leases, expires_at).await
    }

    async fn release_leases(&self, leases: &[Lease]) -> Result<()> {
        self.inner.release(leases).await
    }

    async fn load_partition(&self, lease: &Lease) -> Result<Vec<StoredInstance>> {
        self.inner.load_partition(lease).await
    }

    async fn load_instances(&self, lease: &Lease, ids: &[String]) -> Result<Vec<StoredInstance>> {
        self.inner.load_instances(lease, ids).await
    }

    async fn poll(&self, lease: &Lease, horizon: Timestamp, limit: usize) -> Result<Polled> {
        self.inner.poll(lease, horizon, limit).await
    }

    async fn commit(&self, lease: &Lease, batch: Batch) -> Result<()> {
        let bytes = self.check("commit").batch(lease, &batch)?;
        let hints = batch.send.iter().map(Envelope::hint).collect();
        let is_news = batch.news;
        self.inner.commit(lease, batch, bytes).await?;
        self.inner.signals.hint(hints);
        if is_news {
            self.inner.signals.news(lease.partition);
        }
        Ok(())
    }

    async fn send(&self, envelopes: Vec<Envelope>, now: Timestamp) -> Result<Vec<Accepted>> {
        self.check("send").envelopes(&envelopes)?;
        sending::send(&self.inner, envelopes, now).await
    }

    async fn read_instances(&self, ids: &[String]) -> Result<Vec<InstanceRecord>> {
        self.inner.read_instances(ids).await
    }

    async fn find_instances(
        &self,
        query: &InstanceQuery,
        after: Option<InstanceNo>,
        limit: usize,
    ) -> Result<Page> {
        self.inner.find(query, after, limit).await
    }

    async fn count_instances(&self, query: &InstanceQuery) -> Result<u64> {
        self.inner.count(query).await
    }

    async fn purge_instances(&self, numbers: &[InstanceNo]) -> Result<Vec<InstanceNo>> {
        self.check("purge_instances").numbers(numbers)?;
        self.inner.purge(numbers).await
    }

    async fn read_history(
        &self,
        no: InstanceNo,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Payload)>> {
        self.inner.history(no, after, limit).await
    }

    async fn read_replies(&self, requests: &[String]) -> Result<Vec<(String, Payload)>> {
        self.inner.replies(requests).await
    }

    async fn clean(&self, receipts_before: Timestamp, replies_before: Timestamp) -> Result<()> {
        self.inner.clean(receipts_before, replies_before).await
    }

    async fn offer_activities(&self, lease: &Lease, offers: Vec<Offer>) -> Result<()> {
        self.check("offer_activities").offers(lease, &offers)?;
        self.inner.offer(lease, &offers).await?;
        self.inner.signals.hint(BTreeSet::from([Hint::Offers]));
        Ok(())
    }

    async fn withdraw_offers(&self, lease: &Lease, ids: Option<&[String]>) -> Result<()> {
        self.inner.withdraw(lease, ids).await
    }

    async fn lost_offers(&self, lease: &Lease, now: Timestamp) -> Result<Vec<String>> {
        self.inner.lost(lease, now).await
    }

    async fn claim_offers(
        &self,
        worker: &str,
        names: &[String],
        limit: usize,
        expires_at: Timestamp,
    ) -> Result<Vec<Offer>> {
        self.check("claim_offers").claims(worker, names)?;
        self.inner.claim(worker, names, limit.min(limits::MAX_PAGE_ROWS), expires_at).await
    }

    async fn renew_claims(
        &self,
        worker: &str,
        ids: &[String],
        expires_at: Timestamp,
    ) -> Result<Vec<String>> {
        self.check("renew_claims").claims(worker, ids)?;
        self.inner.renew_claims(worker, ids, expires_at).await
    }

    async fn release_claims(&self, worker: &str, ids: &[String]) -> Result<()> {
        self.check("release_claims").claims(worker, ids)?;
        self.inner.release_claims(worker, ids).await
    }

    fn ready_to_commit(&self) -> Option<Ready> {
        gathering::ready::<committing::Shared>(&self.inner)
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.inner.signals.hints()
    }

    fn news(&self) -> broadcast::Receiver<PartitionId> {
        self.inner.signals.hear_news()
    }
}

impl PostgresStore {
    fn check(&self, operation: &'static str) -> Check {
        Check::new(operation, self.inner.partitions)
    }
}
