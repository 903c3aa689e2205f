//! Asking for many instances, page by page.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use durable_store::InstanceQuery;
use futures_core::Stream;

use super::pages::Pages;
use super::{Client, ClientError, InstanceStatus};

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
    query: InstanceQuery,
    pages: Pages,
}

impl InstanceList {
    pub(super) fn new(client: Client, query: InstanceQuery) -> Self {
        Self { query, pages: Pages::new(client) }
    }

    /// Pages of this many rows, at most [`MAX_PAGE_ROWS`](durable_store::limits::MAX_PAGE_ROWS).
    pub fn page_rows(mut self, rows: usize) -> Self {
        self.pages.set_rows(rows);
        self
    }

    /// Goes on where another list of the same query was; see [`InstanceList::token`].
    ///
    /// # Errors
    ///
    /// [`ClientError::InvalidToken`] if it is not a token that a list gave.
    pub fn continue_from(mut self, token: &str) -> Result<Self, ClientError> {
        self.pages.continue_from(token)?;
        Ok(self)
    }

    /// Where the list is, for another list to go on from, in another process or later: opaque text
    /// of letters, digits and dashes. `None` before the first page and after the last one.
    pub fn token(&self) -> Option<String> {
        self.pages.token()
    }

    /// The next page, or `None` after the last one.
    pub async fn next_page(&mut self) -> Result<Option<Vec<InstanceStatus>>, ClientError> {
        if self.pages.has_ended() {
            return Ok(None);
        }
        let records = self.pages.next(&self.query).await?;
        if records.is_empty() {
            return Ok(None);
        }
        Ok(Some(records.into_iter().map(InstanceStatus::of).collect()))
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
