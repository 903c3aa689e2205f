//! The contract between the engine and a backend. A store keeps what it is given, atomically and
//! fenced by leases; it mints no ids, reads no clock where time is passed in, and decides nothing.

use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::Timestamp;
use crate::error::StoreError;
use crate::model::{
    Accepted, Batch, Envelope, Hint, Hub, InstanceNo, InstanceQuery, InstanceRecord, Lease, Offer,
    Page, PartitionId, Payload, Peer, Polled, StoredInstance,
};

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

/// See [`Store::ready_to_commit`].
pub type Ready = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A place where a hub lives. Every method is atomic: it happens wholly or not at all.
///
/// The owner's side is fenced: a method that takes a lease fails with
/// [`LeaseLost`](crate::StoreErrorKind::LeaseLost), and changes nothing, unless the lease's epoch
/// is the partition's current one. Run `durable_store::conformance!` on a new backend.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// What the hub is. Fixed when it was created, so callers may keep it.
    async fn hub(&self) -> Result<Hub>;

    /// Hands out `count` numbers that were never handed out before; returns the first.
    async fn reserve_numbers(&self, count: u32) -> Result<i64>;

    // --- leases -------------------------------------------------------------------------------

    /// Notes that `worker` is alive until `expires_at`, and returns the workers that are alive at
    /// `now`, it among them, by name. Whoever is known to be dead is not, whatever it said. One
    /// that ends says so with a time that is over.
    async fn check_in(
        &self,
        worker: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Peer>>;

    /// Takes up to `limit` partitions that nobody holds, whose lease is over at `now`, whose
    /// holder is known to be dead, or, after all of those, whose holder is `owner` itself, as it
    /// was before it started anew. Those that it holds now are `held`, and are not taken. Each
    /// gets the next epoch and `expires_at`. May return none.
    async fn acquire_leases(
        &self,
        owner: &str,
        limit: u16,
        held: &[PartitionId],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Lease>>;

    /// Extends those of `leases` that are still current, and returns them; the others are lost.
    async fn renew_leases(&self, leases: &[Lease], expires_at: Timestamp) -> Result<Vec<Lease>>;

    /// Gives `leases` back, so that others can take them at once. Lost ones are ignored.
    async fn release_leases(&self, leases: &[Lease]) -> Result<()>;

    // --- the owner's side ---------------------------------------------------------------------

    /// The busy instances of the partition (see [`InstanceChange::busy`]), with their side rows.
    ///
    /// [`InstanceChange::busy`]: crate::InstanceChange::busy
    async fn load_partition(&self, lease: &Lease) -> Result<Vec<StoredInstance>>;

    /// The instances of the partition with these ids, with their side rows. Unknown ids are left
    /// out; the order is not defined.
    async fn load_instances(&self, lease: &Lease, ids: &[String]) -> Result<Vec<StoredInstance>>;

    /// The oldest `limit` messages of the partition's inbox and its earliest `limit` scheduled
    /// messages that are due by `horizon`. Consumes nothing: a message is returned until a commit
    /// removes it. Messages that came with a due time are in `scheduled` like those that the
    /// owner scheduled itself.
    async fn poll(&self, lease: &Lease, horizon: Timestamp, limit: usize) -> Result<Polled>;

    /// Completes when a commit would be worked on at once, rather than wait for others: until then,
    /// who is about to make one had better gather more for it. `None` is now. Only advice.
    fn ready_to_commit(&self) -> Option<Ready> {
        None
    }

    /// Applies `batch` wholly, or changes nothing and says why. Durable when it returns.
    /// [`Conflict`](crate::StoreErrorKind::Conflict) if a message to consume or an instance to
    /// change does not exist, or an id to create or to receive or a turn of its history does.
    async fn commit(&self, lease: &Lease, batch: Batch) -> Result<()>;

    // --- anyone's side ------------------------------------------------------------------------

    /// Stores messages from outside, in order, each if its condition holds. Durable when it
    /// returns. One that is refused does not stop the others. `now` opens the window in which a
    /// message id is remembered.
    async fn send(&self, envelopes: Vec<Envelope>, now: Timestamp) -> Result<Vec<Accepted>>;

    /// The instances with these ids, in no defined order; unknown ids are left out.
    async fn read_instances(&self, ids: &[String]) -> Result<Vec<InstanceRecord>>;

    /// Up to `limit` instances that match, with numbers above `after`, in ascending order.
    async fn find_instances(
        &self,
        query: &InstanceQuery,
        after: Option<InstanceNo>,
        limit: usize,
    ) -> Result<Page>;

    /// How many instances match.
    async fn count_instances(&self, query: &InstanceQuery) -> Result<u64>;

    /// Deletes those of these instances that have ended, with everything that hangs on them, and
    /// returns their numbers in no defined order. The numbers are not used again, so an owner that
    /// still has one in memory cannot bring it back: what it commits about it conflicts. At most
    /// [`MAX_PAGE_ROWS`](crate::limits::MAX_PAGE_ROWS) at once.
    async fn purge_instances(&self, numbers: &[InstanceNo]) -> Result<Vec<InstanceNo>>;

    /// Up to `limit` history rows of the instance with turn numbers above `after`, ascending.
    async fn read_history(
        &self,
        no: InstanceNo,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Payload)>>;

    /// The answers that are there for these requests. They stay until the reply window is over.
    async fn read_replies(&self, requests: &[String]) -> Result<Vec<(String, Payload)>>;

    /// Forgets message receipts older than `receipts_before` and replies older than
    /// `replies_before`.
    async fn clean(&self, receipts_before: Timestamp, replies_before: Timestamp) -> Result<()>;

    // --- offers ---------------------------------------------------------------------------------

    /// Stores attempts of activities that the partition lets others run, in order. One whose id is
    /// stored already stays as it is. At most [`MAX_PAGE_ROWS`](crate::limits::MAX_PAGE_ROWS) at
    /// once.
    async fn offer_activities(&self, lease: &Lease, offers: Vec<Offer>) -> Result<()>;

    /// Removes the offers of the partition with these ids, or all of them if `ids` is `None`,
    /// whether somebody has claimed them or not. Unknown ids are ignored.
    async fn withdraw_offers(&self, lease: &Lease, ids: Option<&[String]>) -> Result<()>;

    /// The ids of those offers of the partition whose claim is over at `now`, in no defined order:
    /// who claimed them is likely dead. They stay until they are withdrawn, and nobody else gets
    /// them.
    async fn lost_offers(&self, lease: &Lease, now: Timestamp) -> Result<Vec<String>>;

    /// Claims up to `limit` offers of any partition for activities of these `names`, the oldest
    /// first, that nobody has claimed, until `expires_at`. At most
    /// [`MAX_PAGE_ROWS`](crate::limits::MAX_PAGE_ROWS) at once. May return fewer than there are.
    async fn claim_offers(
        &self,
        worker: &str,
        names: &[String],
        limit: usize,
        expires_at: Timestamp,
    ) -> Result<Vec<Offer>>;

    /// Extends those of the claims of `worker` that are still its own, and returns their ids in no
    /// defined order; the other offers are gone.
    async fn renew_claims(
        &self,
        worker: &str,
        ids: &[String],
        expires_at: Timestamp,
    ) -> Result<Vec<String>>;

    /// Gives claims of `worker` back, so that others can have them at once. What is not its own is
    /// ignored.
    async fn release_claims(&self, worker: &str, ids: &[String]) -> Result<()>;

    // --- waking -------------------------------------------------------------------------------

    /// Hints at what workers wait for. Hints may be lost, doubled or late, and a receiver that lags
    /// sees that it does; polling is always the fallback.
    fn hints(&self) -> broadcast::Receiver<Hint>;

    /// Hints at what clients wait for: the partition was committed to by a batch that is
    /// [`news`](Batch::news), in this process or another one. As reliable as [`hints`](Self::hints).
    /// Whoever waits in no partition of its own has a receiver only while it waits, so a store that
    /// pays for what it tells other processes need tell them nothing while they have none.
    fn news(&self) -> broadcast::Receiver<PartitionId>;
}
