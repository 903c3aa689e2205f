//! A store that knows whether somebody waits for it, so that no time passes meanwhile: what a test
//! sees does not depend on the speed of the disk.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use durable::store::{
    Accepted, Batch, Envelope, Hint, Hub, InstanceNo, InstanceQuery, InstanceRecord, Lease, Offer,
    Page, PartitionId, Payload, Peer, Polled, Ready, Result, Store, StoredInstance, Timestamp,
};
use tokio::sync::broadcast;

/// Passes everything on, and counts the calls that are open.
pub struct Watched {
    inner: Arc<dyn Store>,
    open: Arc<AtomicUsize>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("open", &self.open).finish_non_exhaustive()
    }
}

/// One call that is open, until it has ended or is given up.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watched {
    /// Watches a store. The number says how many calls are open.
    pub fn over(inner: Arc<dyn Store>) -> (Arc<dyn Store>, Arc<AtomicUsize>) {
        let open = Arc::new(AtomicUsize::new(0));
        (Arc::new(Self { inner, open: Arc::clone(&open) }), open)
    }

    fn open(&self) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(&self.open))
    }
}

#[async_trait]
impl Store for Watched {
    async fn hub(&self) -> Result<Hub> {
        let _open = self.open();
        self.inner.hub().await
    }

    async fn reserve_numbers(&self, count: u32) -> Result<i64> {
        let _open = self.open();
        self.inner.reserve_numbers(count).await
    }

    async fn check_in(
        &self,
        worker: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Peer>> {
        let _open = self.open();
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
        let _open = self.open();
        self.inner.acquire_leases(owner, limit, held, now, expires_at).await
    }

    async fn renew_leases(&self, leases: &[Lease], expires_at: Timestamp) -> Result<Vec<Lease>> {
        let _open = self.open();
        self.inner.renew_leases(leases, expires_at).await
    }

    async fn release_leases(&self, leases: &[Lease]) -> Result<()> {
        let _open = self.open();
        self.inner.release_leases(leases).await
    }

    async fn load_partition(&self, lease: &Lease) -> Result<Vec<StoredInstance>> {
        let _open = self.open();
        self.inner.load_partition(lease).await
    }

    async fn load_instances(&self, lease: &Lease, ids: &[String]) -> Result<Vec<StoredInstance>> {
        let _open = self.open();
        self.inner.load_instances(lease, ids).await
    }

    async fn poll(&self, lease: &Lease, horizon: Timestamp, limit: usize) -> Result<Polled> {
        let _open = self.open();
        self.inner.poll(lease, horizon, limit).await
    }

    async fn commit(&self, lease: &Lease, batch: Batch) -> Result<()> {
        let _open = self.open();
        self.inner.commit(lease, batch).await
    }

    async fn send(&self, envelopes: Vec<Envelope>, now: Timestamp) -> Result<Vec<Accepted>> {
        let _open = self.open();
        self.inner.send(envelopes, now).await
    }

    async fn read_instances(&self, ids: &[String]) -> Result<Vec<InstanceRecord>> {
        let _open = self.open();
        self.inner.read_instances(ids).await
    }

    async fn find_instances(
        &self,
        query: &InstanceQuery,
        after: Option<InstanceNo>,
        limit: usize,
    ) -> Result<Page> {
        let _open = self.open();
        self.inner.find_instances(query, after, limit).await
    }

    async fn count_instances(&self, query: &InstanceQuery) -> Result<u64> {
        let _open = self.open();
        self.inner.count_instances(query).await
    }

    async fn purge_instances(&self, numbers: &[InstanceNo]) -> Result<Vec<InstanceNo>> {
        let _open = self.open();
        self.inner.purge_instances(numbers).await
    }

    async fn read_history(
        &self,
        no: InstanceNo,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Payload)>> {
        let _open = self.open();
        self.inner.read_history(no, after, limit).await
    }

    async fn read_replies(&self, requests: &[String]) -> Result<Vec<(String, Payload)>> {
        let _open = self.open();
        self.inner.read_replies(requests).await
    }

    async fn clean(&self, receipts_before: Timestamp, replies_before: Timestamp) -> Result<()> {
        let _open = self.open();
        self.inner.clean(receipts_before, replies_before).await
    }

    async fn offer_activities(&self, lease: &Lease, offers: Vec<Offer>) -> Result<()> {
        let _open = self.open();
        self.inner.offer_activities(lease, offers).await
    }

    async fn withdraw_offers(&self, lease: &Lease, ids: Option<&[String]>) -> Result<()> {
        let _open = self.open();
        self.inner.withdraw_offers(lease, ids).await
    }

    async fn lost_offers(&self, lease: &Lease, now: Timestamp) -> Result<Vec<String>> {
        let _open = self.open();
        self.inner.lost_offers(lease, now).await
    }

    async fn claim_offers(
        &self,
        worker: &str,
        names: &[String],
        limit: usize,
        expires_at: Timestamp,
    ) -> Result<Vec<Offer>> {
        let _open = self.open();
        self.inner.claim_offers(worker, names, limit, expires_at).await
    }

    async fn renew_claims(
        &self,
        worker: &str,
        ids: &[String],
        expires_at: Timestamp,
    ) -> Result<Vec<String>> {
        let _open = self.open();
        self.inner.renew_claims(worker, ids, expires_at).await
    }

    async fn release_claims(&self, worker: &str, ids: &[String]) -> Result<()> {
        let _open = self.open();
        self.inner.release_claims(worker, ids).await
    }

    fn ready_to_commit(&self) -> Option<Ready> {
        self.inner.ready_to_commit()
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.inner.hints()
    }

    fn news(&self) -> broadcast::Receiver<PartitionId> {
        self.inner.news()
    }
}
