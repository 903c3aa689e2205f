//! Deleting what is stored about orchestrations that have ended.

use std::collections::HashSet;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use durable_store::{InstanceKind, InstanceNo, InstanceQuery, InstanceRecord, Status, limits};

use super::{Client, ClientError, Handle};
use crate::connection::Connection;

/// Instances that one purge deletes at most, if nothing else is said.
pub const DEFAULT_PURGE_INSTANCES: usize = 1_000;
/// Instances that one call of the store deletes.
const PURGE_PAGE: usize = 100;

/// What a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// The instances that were deleted.
    pub count: u64,
    /// Whether the limit ended the purge before everything was gone: purge again.
    pub more: bool,
}

/// A purge that was not made yet: await it.
#[must_use = "nothing is purged until this is awaited"]
pub struct Purge {
    client: Client,
    what: What,
    recursive: bool,
    limit: usize,
}

enum What {
    One(String),
    Matching(Box<InstanceQuery>),
}

impl fmt::Debug for Purge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Purge(recursive {}, limit {})", self.recursive, self.limit)
    }
}

impl<T> Handle<T> {
    /// Deletes the instance, which must have ended, with its history.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] if there is no such instance, [`ClientError::NotEnded`] if it has
    /// not ended.
    pub fn purge(&self) -> Purge {
        Purge::new(self.client.clone(), What::One(self.id.clone()))
    }
}

impl Client {
    /// Deletes the orchestrations that match and have ended, with their history.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use durable::{Client, ClientError, InstanceQuery, Status, Timestamp};
    /// # async fn example(client: Client, now: Timestamp) -> Result<(), ClientError> {
    /// let old = InstanceQuery {
    ///     statuses: vec![Status::Completed, Status::Terminated],
    ///     finished_to: Some(now - Duration::from_secs(30 * 24 * 3600)),
    ///     ..InstanceQuery::default()
    /// };
    /// while client.purge(old.clone()).recursive().await?.more {}
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientError::InvalidQuery`] if the query asks for entities, or for a status that is not an
    /// end.
    pub fn purge(&self, query: InstanceQuery) -> Purge {
        Purge::new(self.clone(), What::Matching(Box::new(query)))
    }
}

impl Purge {
    fn new(client: Client, what: What) -> Self {
        Self { client, what, recursive: false, limit: DEFAULT_PURGE_INSTANCES }
    }

    /// Deletes the sub-orchestrations too that have ended, and theirs, before their parents. Those
    /// that have not ended are left alone.
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    /// Deletes at most so many instances, so that one call does not take for ever. Default:
    /// [`DEFAULT_PURGE_INSTANCES`].
    pub fn limit(mut self, instances: usize) -> Self {
        self.limit = instances.max(1);
        self
    }

    async fn run(self) -> Result<Purged, ClientError> {
        let Self { client, what, recursive, limit } = self;
        let mut run = Run { client, recursive, left: limit, count: 0, seen: HashSet::new() };
        let more = match what {
            What::One(id) => run.one(id).await?,
            What::Matching(query) => run.matching(ended_only(*query)?).await?,
        };
        Ok(Purged { count: run.count, more })
    }
}

impl IntoFuture for Purge {
    type Output = Result<Purged, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// The same query, for orchestrations that have ended.
fn ended_only(mut query: InstanceQuery) -> Result<InstanceQuery, ClientError> {
    let refused = |reason: String| Err(ClientError::InvalidQuery { reason });
    if query.kind == Some(InstanceKind::Entity) {
        return refused("entities do not end, so that none can be purged".to_owned());
    }
    query.kind = Some(InstanceKind::Orchestration);
    if let Some(status) = query.statuses.iter().find(|status| !status.is_terminal()) {
        return refused(format!("what is {status:?} cannot be purged: terminate it first"));
    }
    if query.statuses.is_empty() {
        query.statuses = Status::ALL.into_iter().filter(|status| status.is_terminal()).collect();
    }
    Ok(query)
}

/// A purge under way.
struct Run {
    client: Client,
    recursive: bool,
    left: usize,
    count: u64,
    /// Instances that were looked at.
    seen: HashSet<InstanceNo>,
}

impl Run {
    async fn one(&mut self, id: String) -> Result<bool, ClientError> {
        let record = self.client.record(&id).await?;
        let is_orchestration = |r: &InstanceRecord| r.kind == InstanceKind::Orchestration;
        let Some(record) = record.filter(is_orchestration) else {
            return Err(ClientError::NotFound { id });
        };
        if !record.status.is_terminal() {
            return Err(ClientError::NotEnded { id, status: record.status });
        }
        let more = self.trees(vec![record]).await?;
        match self.client.record(&id).await? {
            // It is not the one of before, or it goes on by now.
            Some(record) if !record.status.is_terminal() => {
                Err(ClientError::NotEnded { id, status: record.status })
            }
            _ => Ok(more),
        }
    }

    /// Returns whether there may be more.
    async fn matching(&mut self, query: InstanceQuery) -> Result<bool, ClientError> {
        let mut after = None;
        loop {
            let rows = self.left.min(PURGE_PAGE);
            let page = self.find(&query, after, rows).await?;
            let next = page.next;
            if self.trees(page.records).await? {
                return Ok(true);
            }
            if next.is_none() || self.left == 0 {
                return Ok(next.is_some());
            }
            after = next;
        }
    }

    /// Purges these instances, and what is under them if that is wanted. Returns whether something
    /// of it is left.
    async fn trees(&mut self, roots: Vec<InstanceRecord>) -> Result<bool, ClientError> {
        let mut stack: Vec<(InstanceNo, Option<String>)> =
            roots.into_iter().rev().map(|root| (root.no, Some(root.id))).collect();
        let (mut batch, mut is_cut) = (Vec::new(), false);
        while let Some((no, unvisited)) = stack.pop() {
            match unvisited.filter(|_| self.recursive) {
                // First its children, then itself.
                Some(id) => {
                    if self.seen.insert(no) {
                        stack.push((no, None));
                        let (children, all) = self.children(&id).await?;
                        stack.extend(children.into_iter().map(|r| (r.no, Some(r.id))));
                        if !all {
                            // It stays until the rest of them is gone.
                            stack.retain(|(other, _)| *other != no);
                            is_cut = true;
                        }
                    }
                }
                None => batch.push(no),
            }
            if batch.len() >= PURGE_PAGE.min(self.left) {
                self.purge(&mut batch).await?;
                if self.left == 0 {
                    return Ok(is_cut || !stack.is_empty());
                }
            }
        }
        self.purge(&mut batch).await?;
        Ok(is_cut)
    }

    /// The ended children of an instance, as many as may be purged, and whether these are all.
    async fn children(&self, id: &str) -> Result<(Vec<InstanceRecord>, bool), ClientError> {
        let query = InstanceQuery { parent: Some(id.to_owned()), ..InstanceQuery::default() };
        let query = ended_only(query)?;
        let (mut children, mut after) = (Vec::new(), None);
        loop {
            let page = self.find(&query, after, limits::MAX_PAGE_ROWS).await?;
            children.extend(page.records);
            after = page.next;
            if after.is_none() || children.len() >= self.left {
                return Ok((children, after.is_none()));
            }
        }
    }

    async fn find(
        &self,
        query: &InstanceQuery,
        after: Option<InstanceNo>,
        rows: usize,
    ) -> Result<durable_store::Page, ClientError> {
        let Connection { store, .. } = &*self.client.connection;
        let find = || store.find_instances(query, after, rows);
        Ok(self.client.read("find_instances", find).await?)
    }

    async fn purge(&mut self, batch: &mut Vec<InstanceNo>) -> Result<(), ClientError> {
        if batch.is_empty() {
            return Ok(());
        }
        let Connection { store, .. } = &*self.client.connection;
        let purge = || store.purge_instances(batch);
        let purged = self.client.read("purge_instances", purge).await?;
        self.count += purged.len() as u64;
        // What was not there counts too: the work was done.
        self.left = self.left.saturating_sub(batch.len());
        batch.clear();
        Ok(())
    }
}
