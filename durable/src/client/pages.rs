//! Where a list of instances or entities is: what both of them are made of.

use durable_store::{InstanceNo, InstanceQuery, InstanceRecord, limits};

use super::{Client, ClientError};

/// Rows of a page, if nothing else is said.
const DEFAULT_PAGE_ROWS: usize = 100;
/// What every token begins with: the version of its form.
const TOKEN_PREFIX: &str = "p1-";

/// Reads what matches a query, a page at a time.
#[derive(Debug)]
pub(super) struct Pages {
    client: Client,
    rows: usize,
    after: Option<InstanceNo>,
    ended: bool,
}

impl Pages {
    pub(super) fn new(client: Client) -> Self {
        Self { client, rows: DEFAULT_PAGE_ROWS, after: None, ended: false }
    }

    pub(super) fn set_rows(&mut self, rows: usize) {
        self.rows = rows.clamp(1, limits::MAX_PAGE_ROWS);
    }

    pub(super) fn continue_from(&mut self, token: &str) -> Result<(), ClientError> {
        let invalid = || ClientError::InvalidToken { token: token.chars().take(64).collect() };
        let number = token.strip_prefix(TOKEN_PREFIX).ok_or_else(invalid)?;
        let number = i64::from_str_radix(number, 16).map_err(|_| invalid())?;
        self.after = Some(InstanceNo(number));
        Ok(())
    }

    /// `None` before the first page and after the last one.
    pub(super) fn token(&self) -> Option<String> {
        let InstanceNo(number) = self.after.filter(|_| !self.ended)?;
        Some(format!("{TOKEN_PREFIX}{number:x}"))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next page, which may be empty.
    pub(super) async fn next(
        &mut self,
        query: &InstanceQuery,
    ) -> Result<Vec<InstanceRecord>, ClientError> {
        let store = &self.client.connection.store;
        let find = || store.find_instances(query, self.after, self.rows);
        let page = self.client.read("find_instances", find).await?;
        self.after = page.next;
        self.ended = page.next.is_none();
        Ok(page.records)
    }
}
