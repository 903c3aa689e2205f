//! Asking for many instances, page by page.

use durable_store::{InstanceNo, InstanceQuery, limits};

use super::{Client, ClientError, InstanceStatus};

/// Rows of a page, if nothing else is said.
const DEFAULT_PAGE_ROWS: usize = 100;

/// The instances that match a query, page by page, in the order in which they were made.
///
/// ```no_run
/// # async fn example(client: durable::Client) -> Result<(), durable::ClientError> {
/// let mut list = client.list(durable::InstanceQuery::default());
/// while let Some(page) = list.next_page().await? {
///     for instance in page {
///         println!("{} is {:?}", instance.id, instance.status);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is asked for until a page is"]
pub struct InstanceList {
    client: Client,
    query: InstanceQuery,
    rows: usize,
    after: Option<InstanceNo>,
    done: bool,
}

impl InstanceList {
    pub(super) fn new(client: Client, query: InstanceQuery) -> Self {
        Self { client, query, rows: DEFAULT_PAGE_ROWS, after: None, done: false }
    }

    /// Pages of this many rows, at most [`limits::MAX_PAGE_ROWS`].
    pub fn page_rows(mut self, rows: usize) -> Self {
        self.rows = rows.clamp(1, limits::MAX_PAGE_ROWS);
        self
    }

    /// Begins after the place where another list was; see [`InstanceList::place`].
    pub fn after(mut self, place: Option<i64>) -> Self {
        self.after = place.map(InstanceNo);
        self
    }

    /// Where the list is: the place to begin another one after, `None` at either end.
    pub fn place(&self) -> Option<i64> {
        self.after.filter(|_| !self.done).map(|no| no.0)
    }

    /// The next page, or `None` after the last one.
    pub async fn next_page(&mut self) -> Result<Option<Vec<InstanceStatus>>, ClientError> {
        if self.done {
            return Ok(None);
        }
        let store = &self.client.connection.store;
        let find = || store.find_instances(&self.query, self.after, self.rows);
        let page = self.client.read("find_instances", find).await?;
        self.after = page.next;
        self.done = page.next.is_none();
        if page.records.is_empty() {
            return Ok(None);
        }
        Ok(Some(page.records.into_iter().map(InstanceStatus::of).collect()))
    }

    /// All pages at once.
    pub async fn all(mut self) -> Result<Vec<InstanceStatus>, ClientError> {
        let mut all = Vec::new();
        while let Some(page) = self.next_page().await? {
            all.extend(page);
        }
        Ok(all)
    }
}
