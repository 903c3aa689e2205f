//! A store that fails on purpose. It never changes what the store under
//! it stores, only whether a call reaches it and what its caller is told.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use durable_store::{
    Accepted, Batch, Envelope, Hint, Hub, InstanceNo, InstanceQuery, InstanceRecord, Lease, Offer,
    Page, PartitionId, Payload, Peer, Polled, Ready, Result, Store, StoreError, StoreErrorKind,
    StoredInstance, Timestamp, limits,
};
use tokio::sync::{Notify, broadcast};

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It works.
    None,
    /// It fails so, and nothing happened.
    Before(StoreErrorKind),
    /// It happened, and fails so.
    After(StoreErrorKind),
    /// It happened, and never returns.
    SilenceAfter,
    /// The process dies: this call and all later ones never return, and nothing happened.
    Death,
    /// The same, after it happened.
    DeathAfter,
}

/// One operation is not refused more often than this one after the other, so that whoever repeats a call
/// comes through.
const MAX_REFUSALS_IN_A_ROW: u32 = 3;

/// Decides what happens to the commit of this number, from 1.
type Plan = Box<dyn FnMut(u64, &Batch) -> Fault + Send>;
/// The same for messages that are sent.
type PlanOfSends = Box<dyn FnMut(u64, &[Envelope]) -> Fault + Send>;

/// A store that passes everything on to another one, except for the faults that a test plans.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    state: Mutex<State>,
    died: Notify,
}

struct State {
    plan: Plan,
    plan_of_sends: PlanOfSends,
    commits: u64,
    sends: u64,
    dead: bool,
    unreachable: bool,
    /// One in so many other calls is refused as unavailable; 0 is none.
    refuse_one_in: u64,
    /// By operation.
    refused_in_a_row: HashMap<&'static str, u32>,
    random: Random,
    /// Where news comes from instead of the store.
    news: Option<broadcast::WeakSender<PartitionId>>,
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore").field("commits", &self.commits()).finish_non_exhaustive()
    }
}

impl FaultyStore {
    /// Passes everything on, until a plan is made.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        let state = State {
            plan: Box::new(|_, _| Fault::None),
            plan_of_sends: Box::new(|_, _| Fault::None),
            commits: 0,
            sends: 0,
            dead: false,
            unreachable: false,
            refuse_one_in: 0,
            refused_in_a_row: HashMap::new(),
            random: Random::new(0),
            news: None,
        };
        Self { inner, state: Mutex::new(state), died: Notify::new() }
    }

    /// One in `one_in` commits meets a fault of `kinds`, and one in `one_in` other calls is refused
    /// as unavailable. The same seed gives the same faults for the same calls.
    pub fn seeded(inner: Arc<dyn Store>, seed: u64, one_in: u64, kinds: &'static [Fault]) -> Self {
        let store = Self::new(inner);
        let mut random = Random::new(seed);
        {
            let mut state = store.lock();
            state.random = Random::new(seed ^ u64::MAX);
            state.refuse_one_in = one_in;
        }
        store.plan(move |_, _| {
            if random.below(one_in) > 0 {
                return Fault::None;
            }
            let count = u64::try_from(kinds.len()).unwrap_or(1);
            let index = usize::try_from(random.below(count)).unwrap_or_default();
            kinds.get(index).copied().unwrap_or(Fault::None)
        });
        store
    }

    /// What happens to each commit from now on, by its number from 1.
    pub fn plan(&self, plan: impl FnMut(u64, &Batch) -> Fault + Send + 'static) {
        self.lock().plan = Box::new(plan);
    }

    /// What happens to each call that sends messages from now on, by its number from 1.
    pub fn plan_sends(&self, plan: impl FnMut(u64, &[Envelope]) -> Fault + Send + 'static) {
        self.lock().plan_of_sends = Box::new(plan);
    }

    /// Whether every call is refused as unavailable from now on, except for what a worker needs to
    /// start.
    pub fn set_unreachable(&self, unreachable: bool) {
        self.lock().unreachable = unreachable;
    }

    /// From now on, who begins to listen for news hears of none but what is sent here, and that there
    /// will be none when the sender is dropped.
    pub fn take_over_news(&self) -> broadcast::Sender<PartitionId> {
        let news = broadcast::Sender::new(limits::HINT_CAPACITY);
        self.lock().news = Some(news.downgrade());
        news
    }

    /// How many commits were asked for.
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    /// Completes when a planned death has come.
    pub async fn died(&self) {
        self.died.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every call but a commit passes through.
    async fn pass(&self, operation: &'static str) -> Result<()> {
        let (dead, refused) = {
            let mut state = self.lock();
            (state.dead, state.unreachable || state.refuses(operation))
        };
        if dead {
            std::future::pending::<()>().await;
        }
        if refused { Err(planned(StoreErrorKind::Unavailable, operation)) } else { Ok(()) }
    }

    /// Makes a call that meets a fault.
    async fn meet<T: Send>(
        &self,
        fault: Fault,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match fault {
            Fault::None => call.await,
            Fault::Before(kind) => Err(planned(kind, operation)),
            Fault::After(kind) => {
                call.await?;
                Err(planned(kind, operation))
            }
            Fault::SilenceAfter => {
                call.await?;
                std::future::pending().await
            }
            Fault::Death => self.die().await,
            Fault::DeathAfter => {
                call.await?;
                self.die().await
            }
        }
    }

    async fn die<T>(&self) -> T {
        self.lock().dead = true;
        self.died.notify_one();
        std::future::pending().await
    }
}

impl State {
    fn refuses(&mut self, operation: &'static str) -> bool {
        let in_a_row = self.refused_in_a_row.entry(operation).or_default();
        let refuses = self.refuse_one_in > 0
            && self.random.below(self.refuse_one_in) == 0
            && *in_a_row < MAX_REFUSALS_IN_A_ROW;
        *in_a_row = if refuses { *in_a_row + 1 } else { 0 };
        refuses
    }
}

fn planned(kind: StoreErrorKind, operation: &'static str) -> StoreError {
    StoreError::new(kind, operation, "a fault that the test planned")
}

/// A small generator of random numbers (`SplitMix64`), so that a seed says everything.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator of the numbers that belong to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, 0 if that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next_number().checked_rem(limit).unwrap_or_default()
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn hub(&self) -> Result<Hub> {
        self.inner.hub().await
    }

    async fn reserve_numbers(&self, count: u32) -> Result<i64> {
        self.pass("reserve_numbers").await?;
        self.inner.reserve_numbers(count).await
    }

    async fn check_in(
        &self,
        worker: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Peer>> {
        // A worker that cannot start has nothing to test.
        if self.lock().dead {
            std::future::pending::<()>().await;
        }
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
        // A worker that cannot start has nothing to test.
        self.inner.acquire_leases(owner, limit, held, now, expires_at).await
    }

    async fn renew_leases(&self, leases: &[Lease], expires_at: Timestamp) -> Result<Vec<Lease>> {
        self.pass("renew_leases").await?;
        self.inner.renew_leases(leases, expires_at).await
    }

    async fn release_leases(&self, leases: &[Lease]) -> Result<()> {
        self.pass("release_leases").await?;
        self.inner.release_leases(leases).await
    }

    async fn load_partition(&self, lease: &Lease) -> Result<Vec<StoredInstance>> {
        self.pass("load_partition").await?;
        self.inner.load_partition(lease).await
    }

    async fn load_instances(&self, lease: &Lease, ids: &[String]) -> Result<Vec<StoredInstance>> {
        self.pass("load_instances").await?;
        self.inner.load_instances(lease, ids).await
    }

    async fn poll(&self, lease: &Lease, horizon: Timestamp, limit: usize) -> Result<Polled> {
        self.pass("poll").await?;
        self.inner.poll(lease, horizon, limit).await
    }

    async fn commit(&self, lease: &Lease, batch: Batch) -> Result<()> {
        let fault = {
            let mut state = self.lock();
            state.commits += 1;
            let number = state.commits;
            match state.dead {
                true => Fault::Death,
                false if state.unreachable => Fault::Before(StoreErrorKind::Unavailable),
                false => (state.plan)(number, &batch),
            }
        };
        self.meet(fault, "commit", self.inner.commit(lease, batch)).await
    }

    async fn send(&self, envelopes: Vec<Envelope>, now: Timestamp) -> Result<Vec<Accepted>> {
        self.pass("send").await?;
        let fault = {
            let mut state = self.lock();
            state.sends += 1;
            let number = state.sends;
            (state.plan_of_sends)(number, &envelopes)
        };
        self.meet(fault, "send", self.inner.send(envelopes, now)).await
    }

    async fn read_instances(&self, ids: &[String]) -> Result<Vec<InstanceRecord>> {
        self.pass("read_instances").await?;
        self.inner.read_instances(ids).await
    }

    async fn find_instances(
        &self,
        query: &InstanceQuery,
        after: Option<InstanceNo>,
        limit: usize,
    ) -> Result<Page> {
        self.pass("find_instances").await?;
        self.inner.find_instances(query, after, limit).await
    }

    async fn count_instances(&self, query: &InstanceQuery) -> Result<u64> {
        self.pass("count_instances").await?;
        self.inner.count_instances(query).await
    }

    async fn purge_instances(&self, numbers: &[InstanceNo]) -> Result<Vec<InstanceNo>> {
        self.pass("purge_instances").await?;
        self.inner.purge_instances(numbers).await
    }

    async fn read_history(
        &self,
        no: InstanceNo,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Payload)>> {
        self.pass("read_history").await?;
        self.inner.read_history(no, after, limit).await
    }

    async fn read_replies(&self, requests: &[String]) -> Result<Vec<(String, Payload)>> {
        self.pass("read_replies").await?;
        self.inner.read_replies(requests).await
    }

    async fn clean(&self, receipts_before: Timestamp, replies_before: Timestamp) -> Result<()> {
        self.pass("clean").await?;
        self.inner.clean(receipts_before, replies_before).await
    }

    async fn offer_activities(&self, lease: &Lease, offers: Vec<Offer>) -> Result<()> {
        self.pass("offer_activities").await?;
        self.inner.offer_activities(lease, offers).await
    }

    async fn withdraw_offers(&self, lease: &Lease, ids: Option<&[String]>) -> Result<()> {
        self.pass("withdraw_offers").await?;
        self.inner.withdraw_offers(lease, ids).await
    }

    async fn lost_offers(&self, lease: &Lease, now: Timestamp) -> Result<Vec<String>> {
        self.pass("lost_offers").await?;
        self.inner.lost_offers(lease, now).await
    }

    async fn claim_offers(
        &self,
        worker: &str,
        names: &[String],
        limit: usize,
        expires_at: Timestamp,
    ) -> Result<Vec<Offer>> {
        self.pass("claim_offers").await?;
        self.inner.claim_offers(worker, names, limit, expires_at).await
    }

    async fn renew_claims(
        &self,
        worker: &str,
        ids: &[String],
        expires_at: Timestamp,
    ) -> Result<Vec<String>> {
        self.pass("renew_claims").await?;
        self.inner.renew_claims(worker, ids, expires_at).await
    }

    async fn release_claims(&self, worker: &str, ids: &[String]) -> Result<()> {
        self.pass("release_claims").await?;
        self.inner.release_claims(worker, ids).await
    }

    fn ready_to_commit(&self) -> Option<Ready> {
        self.inner.ready_to_commit()
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.inner.hints()
    }

    fn news(&self) -> broadcast::Receiver<PartitionId> {
        match &self.lock().news {
            None => self.inner.news(),
            Some(taken_over) => match taken_over.upgrade() {
                Some(news) => news.subscribe(),
                None => broadcast::channel(1).1,
            },
        }
    }
}
