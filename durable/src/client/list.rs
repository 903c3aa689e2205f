//! Asking for many instances, page by page.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use durable_store::{InstanceNo, InstanceQuery, limits};
use futures_core::Stream;

use super::{Client, ClientError, InstanceStatus};

/// Rows of a page, if nothing else is said.
const DEFAULT_PAGE_ROWS: usize = 100;
/// What every token begins with: the version of its form.
const TOKEN_PREFIX: &str = "p1-";

/// The instances that match a query, page by page, in an order that never changes. Instances that
/// are made or purged meanwhile may be seen or not; all others come exactly once.
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

    /// Goes on where another list of the same query was; see [`InstanceList::token`].
    ///
    /// # Errors
    ///
    /// [`ClientError::InvalidToken`] if it is not a token that a list gave.
    pub fn continue_from(mut self, token: &str) -> Result<Self, ClientError> {
        self.after = Some(parse_token(token)?);
        Ok(self)
    }

    /// Where the list is, for another list to go on from, in another process or later: opaque text
    /// of letters, digits and dashes. `None` before the first page and after the last one.
    pub fn token(&self) -> Option<String> {
        self.after.filter(|_| !self.done).map(token_of)
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

    /// The instances one by one. It ends after an error.
    pub fn stream(self) -> InstanceStream {
        InstanceStream { ready: VecDeque::new(), list: Some(self), page: None }
    }
}

/// The token of a list that is behind this instance.
pub(super) fn token_of(no: InstanceNo) -> String {
    format!("{TOKEN_PREFIX}{:x}", no.0)
}

/// The instance behind which the list of a token is.
pub(super) fn parse_token(token: &str) -> Result<InstanceNo, ClientError> {
    let invalid = || ClientError::InvalidToken { token: token.chars().take(64).collect() };
    let number = token.strip_prefix(TOKEN_PREFIX).ok_or_else(invalid)?;
    i64::from_str_radix(number, 16).map(InstanceNo).map_err(|_| invalid())
}

type NextPage = (InstanceList, Result<Option<Vec<InstanceStatus>>, ClientError>);

/// The instances that match a query, one by one.
#[must_use = "nothing is asked for until this is polled"]
pub struct InstanceStream {
    ready: VecDeque<InstanceStatus>,
    /// `None` while a page is asked for, and at the end.
    list: Option<InstanceList>,
    page: Option<Pin<Box<dyn Future<Output = NextPage> + Send>>>,
}

impl fmt::Debug for InstanceStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceStream").field("ready", &self.ready.len()).finish_non_exhaustive()
    }
}

impl InstanceStream {
    /// The next instance, without a trait in scope.
    pub async fn next(&mut self) -> Option<Result<InstanceStatus, ClientError>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for InstanceStream {
    type Item = Result<InstanceStatus, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(instance) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(instance)));
            }
            if let Some(mut list) = this.list.take() {
                this.page = Some(Box::pin(async move {
                    let page = list.next_page().await;
                    (list, page)
                }));
            }
            let Some(page) = &mut this.page else { return Poll::Ready(None) };
            let Poll::Ready((list, page)) = page.as_mut().poll(context) else {
                return Poll::Pending;
            };
            this.page = None;
            match page {
                Ok(Some(page)) => {
                    this.ready.extend(page);
                    this.list = Some(list);
                }
                Ok(None) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}
