//! A store that reports its calls to a [`Watch`], and passes everything on as it is.

use std::sync::Arc;

use async_trait::async_trait;
use durable_store::{
    Accepted, Batch, Envelope, Hint, Hub, InstanceNo, InstanceQuery, InstanceRecord, Lease, Offer,
    Page, PartitionId, Payload, Peer, Polled, Ready, Result, Store, StoredInstance, Timestamp,
};
use tokio::sync::broadcast;

use super::watch::Watch;

/// See the module.
pub(super) struct WatchedStore {
    pub(super) inner: Arc<dyn Store>,
    pub(super) watch: Arc<Watch>,
    /// Whether clients use it, in the tasks of the test.
    pub(super) for_clients: bool,
}

impl WatchedStore {
    /// Runs a call that stores something new.
    async fn storing<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let _call = self.watch.call();
        let result = call.await;
        self.watch.stored();
        result
    }

    /// Runs any other call.
    async fn calling<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let _call = self.watch.call();
        call.await
    }
}

#[async_trait]
impl Store for WatchedStore {
    async fn hub(&self) -> Result<Hub> {
        self.calling(self.inner.hub()).await
    }

    async fn reserve_numbers(&self, count: u32) -> Result<i64> {
        self.calling(self.inner.reserve_numbers(count)).await
    }

    async fn check_in(
        &self,
        worker: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Peer>> {
        self.calling(self.inner.check_in(worker, now, expires_at)).await
    }

    async fn acquire_leases(
        &self,
        owner: &str,
        limit: u16,
        held: &[PartitionId],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Lease>> {
        self.calling(self.inner.acquire_leases(owner, limit, held, now, expires_at)).await
    }

    async fn renew_leases(&self, leases: &[Lease], expires_at: Timestamp) -> Result<Vec<Lease>> {
        self.calling(self.inner.renew_leases(leases, expires_at)).await
    }

    async fn release_leases(&self, leases: &[Lease]) -> Result<()> {
        self.calling(self.inner.release_leases(leases)).await
    }

    async fn load_partition(&self, lease: &Lease) -> Result<Vec<StoredInstance>> {
        self.calling(self.inner.load_partition(lease)).await
    }

    async fn load_instances(&self, lease: &Lease, ids: &[String]) -> Result<Vec<StoredInstance>> {
        self.calling(self.inner.load_instances(lease, ids)).await
    }

    async fn poll(&self, lease: &Lease, horizon: Timestamp, limit: usize) -> Result<Polled> {
        self.calling(self.inner.poll(lease, horizon, limit)).await
    }

    async fn commit(&self, lease: &Lease, batch: Batch) -> Result<()> {
        self.storing(self.inner.commit(lease, batch)).await
    }

    async fn send(&self, envelopes: Vec<Envelope>, now: Timestamp) -> Result<Vec<Accepted>> {
        self.storing(self.inner.send(envelopes, now)).await
    }

    async fn read_instances(&self, ids: &[String]) -> Result<Vec<InstanceRecord>> {
        // Who waits was told to read again, so that this is said where it waits.
        assert!(
            !(self.for_clients && self.watch.take_stuck()),
            "the test waits for {ids:?} outside of `run`, where time stands still: write \
             `hub.run(handle.result()).await`, or let time pass before with `hub.advance(..)`"
        );
        self.calling(self.inner.read_instances(ids)).await
    }

    async fn find_instances(
        &self,
        query: &InstanceQuery,
        after: Option<InstanceNo>,
        limit: usize,
    ) -> Result<Page> {
        self.calling(self.inner.find_instances(query, after, limit)).await
    }

    async fn count_instances(&self, query: &InstanceQuery) -> Result<u64> {
        self.calling(self.inner.count_instances(query)).await
    }

    async fn purge_instances(&self, numbers: &[InstanceNo]) -> Result<Vec<InstanceNo>> {
        self.storing(self.inner.purge_instances(numbers)).await
    }

    async fn read_history(
        &self,
        no: InstanceNo,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Payload)>> {
        self.calling(self.inner.read_history(no, after, limit)).await
    }

    async fn read_replies(&self, requests: &[String]) -> Result<Vec<(String, Payload)>> {
        self.calling(self.inner.read_replies(requests)).await
    }

    async fn clean(&self, receipts_before: Timestamp, replies_before: Timestamp) -> Result<()> {
        self.calling(self.inner.clean(receipts_before, replies_before)).await
    }

    async fn offer_activities(&self, lease: &Lease, offers: Vec<Offer>) -> Result<()> {
        self.storing(self.inner.offer_activities(lease, offers)).await
    }

    async fn withdraw_offers(&self, lease: &Lease, ids: Option<&[String]>) -> Result<()> {
        self.calling(self.inner.withdraw_offers(lease, ids)).await
    }

    async fn lost_offers(&self, lease: &Lease, now: Timestamp) -> Result<Vec<String>> {
        self.calling(self.inner.lost_offers(lease, now)).await
    }

    async fn claim_offers(
        &self,
        worker: &str,
        names: &[String],
        limit: usize,
        expires_at: Timestamp,
    ) -> Result<Vec<Offer>> {
        self.calling(self.inner.claim_offers(worker, names, limit, expires_at)).await
    }

    async fn renew_claims(
        &self,
        worker: &str,
        ids: &[String],
        expires_at: Timestamp,
    ) -> Result<Vec<String>> {
        self.calling(self.inner.renew_claims(worker, ids, expires_at)).await
    }

    async fn release_claims(&self, worker: &str, ids: &[String]) -> Result<()> {
        self.calling(self.inner.release_claims(worker, ids)).await
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
