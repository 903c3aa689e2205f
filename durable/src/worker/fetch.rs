//! What a partition reads from the store, as futures of their own so that the loop goes on
//! meanwhile. It decides nothing about what it brings.

use std::collections::HashSet;
use std::sync::Arc;

use durable_store::{Lease, Polled, StoreError, StoredInstance, Timestamp};

use super::flight::Unresolved;
use crate::backoff::retry;
use crate::connection::Connection;
use crate::waiters::News;

/// Reads under a lease are repeated until they succeed, are refused, or nobody waits any more.
const ATTEMPTS: u32 = u32::MAX;
/// Enough to see a whole inbox.
const EVERYTHING: usize = i32::MAX as usize;

/// Reads under a lease.
#[derive(Clone)]
pub(super) struct Fetcher {
    pub(super) connection: Arc<Connection>,
    pub(super) lease: Lease,
}

/// What a load brought.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) found: Vec<StoredInstance>,
    /// Ids that no row has, with a number for the row if one is to be made.
    pub(super) missing: Vec<(Arc<str>, Option<i64>)>,
}

impl Fetcher {
    async fn call<T, F>(
        &self,
        operation: &'static str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let (connection, partition) = (&self.connection, self.lease.partition);
        retry(&*connection.clock, ATTEMPTS, || connection.owner_call(partition, operation, call()))
            .await
    }

    /// The instances that had activities under way.
    pub(super) async fn busy_instances(&self) -> Result<Vec<StoredInstance>, StoreError> {
        let store = &self.connection.store;
        self.call("load_partition", || store.load_partition(&self.lease)).await
    }

    /// Removes what an owner before let others do.
    pub(super) async fn withdraw_offers(&self) -> Result<(), StoreError> {
        let store = &self.connection.store;
        self.call("withdraw_offers", || store.withdraw_offers(&self.lease, None)).await
    }

    /// The instances with these ids; those that would be created get a number if there is no row.
    pub(super) async fn load(self, wanted: Vec<(Arc<str>, bool)>) -> Result<Loaded, StoreError> {
        let store = &self.connection.store;
        let ids: Vec<String> = wanted.iter().map(|(id, _)| id.to_string()).collect();
        let found = self.call("load_instances", || store.load_instances(&self.lease, &ids)).await?;
        let known: HashSet<&str> = found.iter().map(|stored| stored.record.id.as_str()).collect();
        let missing: Vec<_> = wanted.into_iter().filter(|(id, _)| !known.contains(&**id)).collect();
        let count = missing.iter().filter(|(_, creates)| *creates).count();
        let mut numbers = self.connection.take_numbers(count).await?.into_iter();
        let missing = missing
            .into_iter()
            .map(|(id, creates)| (id, if creates { numbers.next() } else { None }))
            .collect();
        Ok(Loaded { found, missing })
    }

    /// What waits in the inbox, and what is due by `horizon`.
    pub(super) async fn poll(self, horizon: Timestamp, limit: usize) -> Result<Polled, StoreError> {
        let store = &self.connection.store;
        self.call("poll", || store.poll(&self.lease, horizon, limit)).await
    }

    /// Finds out whether commits under the epoch before happened. They cannot happen any more, and
    /// a commit is atomic: if what it consumed is still there, it did not.
    pub(super) async fn resolve(&self, commits: Vec<Unresolved>) -> Result<(), StoreError> {
        let waiters = &self.connection.waiters;
        for id in commits.iter().flat_map(|commit| &commit.touched) {
            waiters.tell(id, &News::Unsure);
        }
        if commits.iter().all(|commit| commit.answers.is_empty()) {
            return Ok(());
        }
        let polled = self.clone().poll(Timestamp::MIN, EVERYTHING).await;
        // What a commit in doubt sent elsewhere is stored before anybody is told of it.
        self.connection.doors.note_seen();
        let inbox = polled?.inbox;
        let stored: HashSet<&str> = inbox.iter().map(|message| message.id.as_str()).collect();
        for commit in commits {
            if commit.consumed.is_empty() {
                // Nothing tells.
                continue;
            }
            let happened = commit.consumed.iter().all(|id| !stored.contains(&**id));
            for answer in commit.settle().into_iter().filter(|_| happened) {
                waiters.answer(&answer.request, answer.outcome);
            }
        }
        Ok(())
    }
}
